from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.processes import (
    ROOT,
    Running,
    free_port,
    product_environment,
    running,
    wait_until_gone,
)

pytestmark = pytest.mark.processes
READY = r"^PosSync is at http://127\.0\.0\.1:\d+/ "
UP = (sys.executable, "manage.py", "up")


def up(folder: Path, port: int, **more: str) -> AbstractContextManager[Running]:
    settings = {"POSSYNC_DEMO": "0", "PORT": str(port), **more}
    return running(UP, product_environment(folder, **settings))


def refused(folder: Path, **more: str) -> str:
    """Start what must not start, and return what it says, which is all on standard error."""
    settings = {"POSSYNC_DEMO": "0", "PORT": str(free_port()), **more}
    ended = subprocess.run(
        UP,
        cwd=ROOT,
        env=product_environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    return ended.stderr


def status_of(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@dataclass(frozen=True)
class Living:
    folder: Path
    port: int
    possync: Running


@dataclass(frozen=True)
class Stopped:
    """A first start with the practice exchange, ended by Ctrl-C."""

    folder: Path
    lines: list[str]
    processes: int
    survivors: set[int]
    seconds: float
    exit_code: int


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder, port = tmp_path_factory.mktemp("living") / "data", free_port()
    with up(folder, port, POSSYNC_DEMO="1") as possync:
        possync.line(READY)
        yield Living(folder, port, possync)


@pytest.fixture(scope="module")
def stopped(living: Living) -> Stopped:
    """End `living`, which no test can use after this one."""
    possync = living.possync
    started = possync.descendants()
    seconds = possync.stop(signal.SIGINT)
    survivors = wait_until_gone(started, 0)
    code = possync.process.returncode
    return Stopped(living.folder, possync.lines, len(started), survivors, seconds, code)


def test_it_says_where_its_pages_are(living: Living) -> None:
    assert living.possync.line(READY).startswith(
        f"PosSync is at http://127.0.0.1:{living.port}/ - log in as admin."
    )


def test_it_answers_the_probe(living: Living) -> None:
    assert status_of(living.port, "/healthz") == 200


def test_its_pages_want_a_log_in(living: Living) -> None:
    assert status_of(living.port, "/") == 302


def test_it_shows_the_password_of_the_admin_that_it_made(living: Living) -> None:
    shown = living.possync.line("^admin password: ")

    assert re.fullmatch(r"admin password: \S{12,}", shown)


def test_it_refuses_a_data_folder_on_which_it_already_runs(living: Living) -> None:
    assert refused(living.folder) == (
        f"CommandError: PosSync already runs on the data folder {living.folder}. "
        "Stop it first, or set POSSYNC_DATA_DIR.\n"
    )


def test_ctrl_c_ends_every_process(stopped: Stopped) -> None:
    assert stopped.processes > 6
    assert stopped.survivors == set()


def test_ctrl_c_takes_less_than_10_seconds(stopped: Stopped) -> None:
    assert stopped.seconds < 10


def test_ctrl_c_is_no_error(stopped: Stopped) -> None:
    assert stopped.exit_code == 0
    assert not any("Traceback" in line for line in stopped.lines)


def test_the_practice_exchange_brings_accounts_whose_first_sync_is_queued(
    stopped: Stopped,
) -> None:
    report = subprocess.run(
        [sys.executable, "manage.py", "report", "--format", "json"],
        cwd=ROOT,
        env=product_environment(stopped.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    rows = json.loads(report.stdout)

    assert {run["trigger"] for run in rows["runs"]} == {"start"}
    assert {run["account"] for run in rows["runs"]} == {x["label"] for x in rows["accounts"]}


def test_a_second_start_shows_no_password(stopped: Stopped) -> None:
    with up(stopped.folder, free_port()) as possync:
        possync.line(READY)

        assert not any("password" in line for line in possync.lines)


def test_key_files_and_database_are_for_their_owner_only(stopped: Stopped) -> None:
    private = ["secret.key", "credentials.key", "possync.sqlite3"]

    modes = {name: stat.S_IMODE((stopped.folder / name).stat().st_mode) for name in private}

    assert modes == dict.fromkeys(private, 0o600)


def test_it_refuses_a_port_in_use(tmp_path: Path) -> None:
    with listening() as port:
        assert refused(tmp_path, PORT=str(port)) == (
            f"CommandError: Port {port} is in use. Stop what listens there, or set PORT.\n"
        )


@pytest.mark.parametrize("port", ["65536", "http"])
def test_it_refuses_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    assert refused(tmp_path, PORT=port) == (
        f"CommandError: PORT must be a number from 1 to 65535, was {port}.\n"
    )


def test_it_refuses_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    said = refused(tmp_path / "file" / "data")

    assert said.startswith("possync: The data folder ")
    assert said.count("\n") == 1


def test_it_refuses_to_start_when_the_key_of_stored_credentials_is_lost(
    stopped: Stopped, tmp_path: Path
) -> None:
    folder = shutil.copytree(stopped.folder, tmp_path / "data")
    (folder / "credentials.key").unlink()

    said = refused(folder)

    assert said.startswith("CommandError: The key file credentials.key is missing")
    assert said.count("\n") == 1
