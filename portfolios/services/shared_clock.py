"""One clock for all who share a database, by which they keep out of each other's way; and what a wrong one leaves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

# Hosts may show times so far apart. What lies further ahead than anybody puts off anything, and that, was written by a
# clock that was wrong.
CLOCKS_APART: Final = timedelta(minutes=1)


def shared_now() -> datetime:
    """Tell the time by the database server's clock; on SQLite by that of the one host that can have the file open."""
    return timezone.now() if connection.vendor == "sqlite" else _servers_now()


def _servers_now() -> datetime:
    with connection.cursor() as cursor:
        # Not the time at which the transaction began.
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
