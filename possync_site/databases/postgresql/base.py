"""PostgreSQL as Django has it, with our compilers."""

from __future__ import annotations

from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from django.db.backends.postgresql.operations import DatabaseOperations


class Operations(DatabaseOperations):
    compiler_module = "possync_site.databases.postgresql.compiler"


class DatabaseWrapper(PostgreSQL):
    ops_class = Operations
