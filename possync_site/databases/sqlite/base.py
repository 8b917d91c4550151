"""SQLite as Django has it, with our compilers."""

from __future__ import annotations

from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.db.backends.sqlite3.operations import DatabaseOperations


class Operations(DatabaseOperations):
    compiler_module = "possync_site.databases.sqlite.compiler"


class DatabaseWrapper(SQLite):
    ops_class = Operations
