"""What one read of a list brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from providers.reports import Row


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read brought.

    Parameters
    ----------
    pages : int
        HTTP requests that carried rows.
    why_incomplete : str
        Why more may be there than `rows`; empty if nothing can.
    problems : tuple of str
        What is wrong with rows that could not be told.
    hidden_ids : frozenset of str or None
        Ids of rows that are there but not in `rows`; None if there may be more of them.
    since, until : datetime or None
        The time, by the exchange's clock, of which every row was read; None if it covers nothing.
    error : Exception or None
        What broke the read off after the rows that it brought.
    """

    rows: tuple[Row, ...]
    pages: int
    why_incomplete: str = ""
    problems: tuple[str, ...] = ()
    hidden_ids: frozenset[str] | None = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    error: Exception | None = None
