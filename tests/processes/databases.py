"""Copies of a whole database, made while nobody uses it, and databases of a test's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
import psycopg
from django.db import connections
from psycopg import sql

URL = os.environ.get("POSSYNC_DATABASE_URL", "")


class SQLiteFiles:
    def __init__(self) -> None:
        self.original = Path(connections["default"].settings_dict["NAME"])
        self.folder = self.original.parent / "copies"
        self.folder.mkdir(exist_ok=True)

    def copy(self, name: str, *, of: str = "") -> None:
        """Copy the original, or its copy `of`, and let this process and its children use what was made."""
        copied = self._path(of) if of else self.original
        self.use(copied)  # what was written last goes into the file with the last connection
        path = self._path(name)
        shutil.copy(copied, path)
        self.use(path)

    def drop(self, name: str) -> None:
        self.use(self.original)
        for path in self.folder.glob(f"{name}.*"):
            path.unlink()

    def take_over(self, name: str) -> None:
        """Let the copy be the original from now on."""
        self.use(self.original)
        self._path(name).replace(self.original)

    def use(self, path: Path) -> None:
        connections.close_all()
        connections["default"].settings_dict["NAME"] = str(path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.sqlite3"


class PostgresDatabases:
    """The same on a server; copies made of a template."""

    def __init__(self) -> None:
        self.original = str(connections["default"].settings_dict["NAME"])

    def copy(self, name: str, *, of: str = "") -> None:
        self.use(self.original)
        self._run("CREATE DATABASE {} TEMPLATE {}", name, of or self.original)
        self.use(name)

    def drop(self, name: str) -> None:
        self.use(self.original)
        self._run("DROP DATABASE {} WITH (FORCE)", name)

    def take_over(self, name: str) -> None:
        self.drop(self.original)
        self._run("ALTER DATABASE {} RENAME TO {}", name, self.original)

    def use(self, name: str) -> None:
        connections.close_all()
        connections["default"].settings_dict["NAME"] = name

    def _run(self, statement: str, *names: str) -> None:
        given = connections["default"].settings_dict
        keys = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
        server: dict[str, Any] = {name: given[key] for name, key in keys.items() if given[key]}
        with psycopg.connect(**server, dbname="postgres", autocommit=True) as session:
            session.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def databases() -> SQLiteFiles | PostgresDatabases:
    is_sqlite = connections["default"].vendor == "sqlite"
    return SQLiteFiles() if is_sqlite else PostgresDatabases()


def server_session(url: str, *, autocommit: bool = True) -> psycopg.Connection[Any]:
    """Open a session of its own with the database that Django would use at `url`."""
    given = environ.Env.db_url_config(url)
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    named: dict[str, Any] = {name: given[key] for name, key in names.items() if given[key]}
    return psycopg.connect(**named, dbname=given["NAME"], autocommit=autocommit)


@contextmanager
def database_of_its_own(name: str) -> Iterator[str]:
    """Yield the URL of an empty database on the server that the tests use; empty where they use files."""
    if not URL:
        yield ""
        return
    database = sql.Identifier(name)
    with server_session(URL) as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
        session.execute(sql.SQL("CREATE DATABASE {}").format(database))
        yield f"{URL.rpartition('/')[0]}/{name}"
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
