"""Rows as nobody of ours writes them: what hands, disks and other programs leave in a database."""

from __future__ import annotations

from typing import Final

import pytest
from django.db import connection

# Times that a database holds and Python does not; SQLite holds anything.
NO_TIMES: Final = {
    "sqlite": ("2001-99-99 garbage", "2001-99-99 12:00:00", ""),
    "postgresql": ("-infinity",),
}
no_times = pytest.mark.parametrize("no_time", NO_TIMES[connection.vendor])


def damage(table: str, column: str, value: str, *, pk: int | None = None) -> None:
    """Write `value` into that row behind the models' back; into all rows if none is named."""
    which = "id > %s" if pk is None else "id = %s"
    statement = f"UPDATE {table} SET {column} = %s WHERE {which}"  # noqa: S608 - names of the tests' own
    with connection.cursor() as cursor:
        cursor.execute(statement, [value, pk or 0])
