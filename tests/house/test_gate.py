from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import gate
from scripts.gate import Check, Gate
from tests.house.processes import wait_until_gone

FOLDER = Path("somewhere")


def python(name: str, code: str, **environment: str) -> Check:
    return Check(name, (sys.executable, "-c", code), environment)


def test_a_check_that_fails_fails_the_gate() -> None:
    house = Gate(FOLDER)
    house.run(python("good", "pass"), 60)
    house.run(python("bad", "raise SystemExit(3)"), 60)

    assert house.failed == ["bad"]


def test_a_check_that_fails_shows_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    Gate(FOLDER).run(python("bad", "raise SystemExit('line 7 is wrong')"), 60)

    assert "line 7 is wrong" in capsys.readouterr().out


def test_a_check_that_passes_shows_its_name_and_seconds_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Gate(FOLDER).run(python("good", "print('much')"), 60)

    header, seconds = capsys.readouterr().out.splitlines()
    assert header == "== good"
    assert float(seconds.removesuffix(" s")) >= 0


def test_a_check_beyond_its_time_is_ended_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    house = Gate(FOLDER)
    house.run(python("slow", "import time; time.sleep(600)"), 0.1)

    assert house.failed == ["slow"]
    assert "hangs" in capsys.readouterr().out


def test_a_developers_own_settings_are_not_tested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSSYNC_DATABASE_URL", "postgres://mine")
    shown = "import os; raise SystemExit(sorted(k for k in os.environ if k.startswith('POSSYNC_')))"

    Gate(FOLDER).run(python("environment", shown), 60)

    said = capsys.readouterr().out
    assert "['POSSYNC_CHROMIUM', 'POSSYNC_DATA_DIR', 'POSSYNC_ENV_FILE']" in said


def test_modules_are_compiled_once_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    house = Gate(FOLDER)
    house.run(python("compiled", "import sys; raise SystemExit(sys.dont_write_bytecode)"), 60)

    assert house.failed == []


def test_a_check_can_be_given_settings() -> None:
    house = Gate(FOLDER)
    code = "import os; raise SystemExit(os.environ['POSSYNC_ENV'] != 'production')"
    house.run(python("deployment", code, POSSYNC_ENV="production"), 60)

    assert house.failed == []


@pytest.mark.parametrize(("ci", "failed"), [(True, ["a browser"]), (False, [])])
def test_what_is_missing_is_a_failure_only_where_everything_must_be_there(
    monkeypatch: pytest.MonkeyPatch, ci: bool, failed: list[str]
) -> None:
    monkeypatch.setattr(gate, "CI", ci)
    house = Gate(FOLDER)
    house.miss("a browser")

    assert house.failed == failed


def test_what_is_missing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Gate(FOLDER).miss("a browser")

    assert capsys.readouterr().out == "   NOT CHECKED: a browser\n"


def test_nothing_of_a_check_is_left_running(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    code = (
        "import pathlib, subprocess\n"
        "left = subprocess.Popen(['sleep', '600'])\n"
        f"pathlib.Path({str(noted)!r}).write_text(str(left.pid))"
    )
    Gate(FOLDER).run(python("litter", code), 60)

    assert wait_until_gone({int(noted.read_text())}, 5) == set()
