"""What many tests of a module begin with: made once, and put back for each of them as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

Rows = dict[str, list[str]]


@dataclass(frozen=True)
class State:
    made: Any
    at: datetime
    rows: Rows
    counters: Rows


def kept(make: Callable[[], Any]) -> Any:
    """Make a fixture of `make`, which writes rows into an empty database and may return some of them.

    It is called for the first test of a module. Each further one has the same rows, and a clock that goes on from when
    they were made. Called for every test instead where the clock stands elsewhere, or on another database.
    """

    @pytest.fixture(name=make.__name__)
    def given(db: None, kept_states: dict[Any, State]) -> Iterator[Any]:
        if connection.vendor != "sqlite" or time_machine.escape_hatch.is_travelling():
            yield make()
        elif make not in kept_states:
            before = rows_of_all_tables()
            made = make()
            kept_states[make] = _noted(made, before)
            yield made
        else:
            state = kept_states[make]
            _put_back(state)
            with time_machine.travel(state.at):
                yield copy.deepcopy(state.made)

    return given


def rows_of_all_tables() -> Rows:
    """Read every table, each row as SQLite itself writes its values."""
    with connection.cursor() as cursor:
        return {
            table: [row for (row,) in cursor.execute(reading).fetchall()]
            for table, reading in _readings()
        }


@cache
def _readings() -> list[tuple[str, str]]:
    """Write the question for the rows of each table; no test makes another one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tables.name, group_concat('quote(\"' || columns.name || '\")', ' || '','' || ') "
            "FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns "
            "WHERE tables.type = 'table' GROUP BY tables.name"
        )
        return [(table, f'SELECT {columns} FROM "{table}"') for table, columns in cursor.fetchall()]  # noqa: S608


COUNTERS = "sqlite_sequence"


def _noted(made: Any, before: Rows) -> State:
    now = rows_of_all_tables()
    written = {table: rows for table, rows in now.items() if rows != before[table]}
    counters = {COUNTERS: written.pop(COUNTERS, [])}
    assert not any(before[table] for table in written), "It wants tables that nobody wrote to."
    return State(copy.deepcopy(made), timezone.now(), written, counters)


def _put_back(state: State) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for table, rows in state.rows.items():
            cursor.execute(_insertion(table, rows))
        if state.counters[COUNTERS]:
            cursor.execute(f"DELETE FROM {COUNTERS}")  # noqa: S608 - our own names
            cursor.execute(_insertion(COUNTERS, state.counters[COUNTERS]))


def _insertion(table: str, rows: list[str]) -> str:
    values = ", ".join(f"({row})" for row in rows)
    return f'INSERT INTO "{table}" VALUES {values}'  # noqa: S608 - as SQLite quoted them
