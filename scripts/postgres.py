"""A PostgreSQL server of one's own, in a temporary folder, for as long as it is needed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def private_postgres() -> Iterator[str]:
    """Yield the database URL of a new, empty server on a socket in a temporary folder.

    Raises
    ------
    PostgresMissing
        If there are no server binaries, or they do not start; the message says what to do.
    """
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="possync-pg-"))
    try:
        _hand_over(folder)
        _initialise(binaries, folder)
        with (
            (folder / "server.log").open("wb") as log,
            leashed(
                [*_as_server_user(), binaries / "postgres", *_options(folder)],
                _environment(),
                output=log,
            ) as server,
        ):
            _wait_until_ready(binaries, folder, server)
            # An empty host and a path with a folder: the folder of the server's socket.
            yield f"postgres://{USER}@/{folder}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


def _options(folder: Path) -> list[str | Path]:
    settings = (
        "listen_addresses=",
        f"unix_socket_directories={folder}",
        "max_connections=30",
        *FAST,
    )
    return ["-D", folder / "data", *(word for x in settings for word in ("-c", x))]


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
