"""What works in an empty data folder right after `migrate`, from any folder, with nothing set but the data folder."""

from __future__ import annotations

import json
import signal
import stat
import time
from collections.abc import Iterator
from typing import Any

import pytest

from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.portfolios.commands.command_line import Manage


@pytest.fixture(scope="module")
def manage(tmp_path_factory: pytest.TempPathFactory) -> Manage:
    manage = Manage(tmp_path_factory.mktemp("data") / "new", tmp_path_factory.mktemp("elsewhere"))
    migrated = manage("migrate", "--verbosity", "0")
    assert (migrated.returncode, migrated.stderr) == (0, "")
    return manage


def book(sandbox: SandboxServer) -> str:
    account: dict[str, Any] = {
        "label": "desk",
        "market": "binance",
        "endpoint": sandbox.url,
        "credential": {"apiKey": "practice-key", "secret": "practice-secret"},
    }
    return json.dumps({"accounts": [account]})


def test_workers_that_find_no_tables_say_what_to_do(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    answer = Manage(tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("here"))("worker")

    assert answer.returncode == 1
    assert "run `python manage.py migrate` first" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_report_is_there_at_once(manage: Manage) -> None:
    answer = manage("report", "--format", "json")

    assert (answer.returncode, answer.stderr) == (0, "")
    assert set(json.loads(answer.stdout)) >= {"accounts", "runs"}


def test_a_bad_book_is_one_line_and_exit_code_1(manage: Manage) -> None:
    answer = manage("import_book", "-", stdin='{"accounts": [{"label": 5}]}')

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "CommandError: $.accounts[0].label: expected text, was 5\n"


def test_a_first_book_is_synced_and_reported(manage: Manage, sandbox: SandboxServer) -> None:
    sandbox.engine.deposit("practice-key", "USDT", "12.5")

    imported = manage("import_book", "-", stdin=book(sandbox))
    synced = manage("sync", "--format", "json")
    exported = manage("export_book")

    assert imported.stdout == "1 created, 0 updated, 0 unchanged\n"
    assert (imported.stderr, synced.returncode, exported.stderr) == ("", 0, "")
    assert [run["status"] for run in json.loads(synced.stdout)] == ["succeeded"]
    assert synced.stderr.splitlines()[-1] == "desk: Succeeded"
    assert "practice" not in synced.stdout + synced.stderr + exported.stdout
    key_file = manage.data_folder / "credentials.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Let children take SIGINT: what a shell script runs in its background ignores it, and they would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_closes_the_run(manage: Manage, sandbox: SandboxServer) -> None:
    row = json.loads(book(sandbox))["accounts"][0] | {"label": "hanging"}
    manage("import_book", "-", stdin=json.dumps({"accounts": [row]}))
    sandbox.faults.append(Fault(FaultKind.HANG))
    process = manage.start("sync", "--account", "hanging")
    while not sandbox.requests:
        assert process.poll() is None
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert err.splitlines()[-1] == "CommandError: Interrupted."
    assert "Traceback" not in err
    [run] = json.loads(manage("report", "--account", "hanging", "--format", "json").stdout)["runs"]
    assert (run["status"], bool(run["finished_at"])) == ("failed", True)
