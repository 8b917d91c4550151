"""The compilers of PostgreSQL's queries; those that read keep what they compiled."""

from __future__ import annotations

from django.db.backends.postgresql import compiler
from django.db.backends.postgresql.compiler import (
    SQLAggregateCompiler,
    SQLDeleteCompiler,
    SQLInsertCompiler,
    SQLUpdateCompiler,
)

from possync_site.databases.compiled_queries import KeepingCompiler

__all__ = [
    "SQLAggregateCompiler",
    "SQLCompiler",
    "SQLDeleteCompiler",
    "SQLInsertCompiler",
    "SQLUpdateCompiler",
]


class SQLCompiler(KeepingCompiler, compiler.SQLCompiler):
    """Keeps what it compiles, as PostgreSQL wants it."""
