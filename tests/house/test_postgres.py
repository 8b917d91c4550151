from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import environ
import psycopg
import pytest

from scripts import postgres
from scripts.postgres import PostgresMissing, PrivateServer, private_postgres, private_server
from tests.house.processes import running, wait_until_gone

pytestmark = pytest.mark.processes
HOLDER = """
import time
from scripts.postgres import private_postgres
with private_postgres() as url:
    print("ready", url, flush=True)
    time.sleep(600)
"""


def socket_folder(url: str) -> Path:
    return Path(environ.Env.db_url_config(url)["HOST"])


def connected(url: str) -> psycopg.Connection[tuple[object, ...]]:
    config = environ.Env.db_url_config(url)
    return psycopg.connect(host=config["HOST"], user=config["USER"], dbname=config["NAME"])


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    try:
        with private_server() as started:
            yield started
    except PostgresMissing as e:
        # The gate has said so in a line of its own; where everything must be checked it is a failure.
        pytest.fail(str(e)) if os.environ.get("CI") == "true" else pytest.skip(str(e))


@pytest.fixture
def url(server: PrivateServer) -> str:
    return server.url


def test_it_answers(url: str) -> None:
    with connected(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_does_not_run_as_root(url: str) -> None:
    assert (socket_folder(url) / "data" / "postmaster.pid").stat().st_uid != 0


def test_it_listens_on_no_network(url: str) -> None:
    with connected(url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_it_ends_with_whoever_holds_it_even_when_that_is_killed(url: str) -> None:
    with running([sys.executable, "-c", HOLDER]) as holder:
        folder = socket_folder(holder.line("^ready").split()[1])
        started = holder.descendants()

        holder.stop(signal.SIGKILL)

        assert wait_until_gone(started, 10) == set()
    shutil.rmtree(folder)


def test_it_comes_back_from_a_crash_with_what_it_held(server: PrivateServer) -> None:
    with connected(server.url) as connection:
        connection.execute("SET synchronous_commit TO on")
        connection.execute("CREATE TABLE held ()")
    server.stop(signal.SIGQUIT)
    assert not (server.folder / "data" / "postmaster.pid").exists()
    server.start()

    with connected(server.url) as connection:
        assert connection.execute("SELECT count(*) FROM held").fetchone() == (0,)


def test_it_leaves_nothing_behind(url: str) -> None:
    with private_postgres() as other:
        folder = socket_folder(other)
        assert folder.is_dir()

    assert not folder.exists()


def test_missing_binaries_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PostgresMissing, match="no PostgreSQL server binaries"), private_postgres():
        pass
