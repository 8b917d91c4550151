"""A process on a database of its own, for what must never meet the user's data."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

ROOT: Final = Path(__file__).resolve().parents[2]
URL: Final = "POSSYNC_DATABASE_URL"
LOOPBACK: Final = "127.0.0.1"


@contextmanager
def own_database() -> Iterator[Mapping[str, str]]:
    """Yield the environment of a process with a new data folder and database, which are gone afterwards.

    On PostgreSQL it is a further database of the same server, where the user may make one.
    """
    with tempfile.TemporaryDirectory(prefix="possync-own-") as folder:
        environment = {**os.environ, "POSSYNC_DATA_DIR": folder, "POSSYNC_LOG_LEVEL": "ERROR"}
        environment |= {"DJANGO_SETTINGS_MODULE": "possync_site.settings", "PYTHONPATH": str(ROOT)}
        # Nobody else comes here: a public installation refuses the practice exchange, and sends pages away to https.
        environment |= {"POSSYNC_ENV": "local", "POSSYNC_ENDPOINT_ALLOWLIST": LOOPBACK}
        if connection.vendor == "sqlite":
            environment.pop(URL, None)
            yield environment
        else:
            with _further_database(connection) as name:
                url = os.environ[URL].rpartition("/")[0]
                yield {**environment, URL: f"{url}/{name}"}


@contextmanager
def _further_database(server: BaseDatabaseWrapper) -> Iterator[str]:
    name = f"possync_own_{os.getpid()}"
    with server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        with server.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def run_manage(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command of ours there, and return what it prints; its errors go where ours do.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *words]
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout
