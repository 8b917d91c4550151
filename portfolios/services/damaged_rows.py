"""A row that holds what nothing of ours writes keeps the others from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import structlog
from django.db import DatabaseError
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)
log = structlog.get_logger(__name__)
# What reading a value raises that is none of its column's kind.
UNREADABLE = (ValueError, TypeError, DatabaseError)


def readable(rows: QuerySet[Row]) -> list[Row]:
    """List the rows, without those that cannot be read; of each of these the log tells."""
    try:
        return list(rows)
    except UNREADABLE:
        return list(_one_by_one(rows))


def _one_by_one(rows: QuerySet[Row]) -> Iterator[Row]:
    for pk in list(rows.values_list("pk", flat=True)):
        try:
            yield from rows.filter(pk=pk)
        except UNREADABLE as e:
            of = rows.model.__name__
            log.error("row_damaged", of=of, row=pk, reason=str(e)[:200])  # noqa: TRY400 - said in one line
