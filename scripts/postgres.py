"""A PostgreSQL server of one's own, in a temporary folder, for as long as it is needed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.leashed import leashed

USER: Final = "possync"
DEBIAN_FOLDER: Final = Path("/usr/lib/postgresql")
SECONDS_TO_START: Final = 30
# Nothing of it has to survive a crash.
FAST: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresMissing(Exception):
    pass


@dataclass
class PrivateServer:
    """Runs between `start` and `stop`, as often as wanted; what it holds is kept in `folder`."""

    binaries: Path
    folder: Path
    settings: tuple[str, ...] = FAST
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        # An empty host and a path with a folder: the folder of the server's socket.
        return f"postgres://{USER}@/{self.folder}/postgres"

    def start(self) -> None:
        log = self._running.enter_context((self.folder / "server.log").open("ab"))
        options = _options(self.folder, self.settings)
        command = [*_as_server_user(), self.binaries / "postgres", *options]
        server = self._running.enter_context(leashed(command, _environment(), output=log))
        _wait_until_ready(self.binaries, self.folder, server)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it at once: SIGINT ends all sessions in order, SIGQUIT is a crash, of which the next start recovers."""
        told = self.folder / "data" / "postmaster.pid"
        if told.exists():
            os.kill(int(told.read_text().split()[0]), how)
        deadline = time.monotonic() + SECONDS_TO_START
        while told.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.end()

    def end(self) -> None:
        self._running.close()


@contextmanager
def private_server(settings: tuple[str, ...] = FAST) -> Iterator[PrivateServer]:
    """Yield a new, empty server that has been started, on a socket in a temporary folder.

    Raises
    ------
    PostgresMissing
        If there are no server binaries, or they do not start; the message says what to do.
    """
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="possync-pg-"))
    server = PrivateServer(binaries, folder, settings)
    try:
        _hand_over(folder)
        _initialise(binaries, folder)
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_postgres() -> Iterator[str]:
    """Yield the database URL of such a server.

    Raises
    ------
    PostgresMissing
        As `private_server`.
    """
    with private_server() as server:
        yield server.url


def _binaries() -> Path:
    found = sorted(
        DEBIAN_FOLDER.glob("*/bin/initdb"),
        key=lambda x: int(x.parts[-3]),
        reverse=True,
    )
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve())
    if not found:
        raise PostgresMissing("no PostgreSQL server binaries (initdb); install postgresql")
    return found[0].parent


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _as_server_user() -> list[str]:
    user = _server_user()
    if user is None:
        return []
    if not shutil.which("setpriv"):
        raise PostgresMissing(
            "no setpriv, with which root could start PostgreSQL; install util-linux"
        )
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _hand_over(folder: Path) -> None:
    user = _server_user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)


def _initialise(binaries: Path, folder: Path) -> None:
    options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(  # noqa: S603 - our own words
        [*_as_server_user(), binaries / "initdb", "--pgdata", folder / "data", *options],
        env=_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PostgresMissing(f"initdb failed: {done.stderr.strip()}")


def _options(folder: Path, settings: tuple[str, ...]) -> list[str | Path]:
    own = ("listen_addresses=", f"unix_socket_directories={folder}", "max_connections=30")
    return ["-D", folder / "data", *(word for x in (*own, *settings) for word in ("-c", x))]


def _wait_until_ready(binaries: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    ready = [str(binaries / "pg_isready"), "--quiet", "--host", str(folder)]
    deadline = time.monotonic() + SECONDS_TO_START
    while subprocess.run(ready, env=_environment(), check=False).returncode:  # noqa: S603 - our own words
        if server.poll() is not None or time.monotonic() > deadline:
            log = (folder / "server.log").read_text(errors="replace")
            raise PostgresMissing(f"the server did not start: {log.strip()[-2000:]}")
        time.sleep(0.05)


def _environment() -> dict[str, str]:
    # A developer's own PGHOST, PGDATA and the like are not meant for this server.
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
