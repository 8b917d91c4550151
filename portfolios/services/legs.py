"""What was read, stored as it was read; rows that were read before are referred to, not stored again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from portfolios.amounts import plain
from portfolios.models import ExchangeAccount, LegContent, StoredLeg, SyncRun
from providers.redaction import one_line
from providers.reports import FeeReport, Leg, Row

PlainRows = list[dict[str, Any]]


def store_legs(run: SyncRun, legs: Iterable[Leg]) -> None:
    """Store the legs of `run`; call it before anything is concluded from them."""
    read = [(leg, *_written(leg.rows)) for leg in legs]
    contents = _contents(run.account, {digest: rows for _leg, digest, rows in read if rows})
    StoredLeg.objects.bulk_create(
        _stored_leg(run, leg, contents.get(digest)) for leg, digest, _rows in read
    )


def store_known_legs(run: SyncRun, legs: Iterable[tuple[Leg, int | None]]) -> None:
    """Store legs whose rows are stored already, each with the content that they are in."""
    StoredLeg.objects.bulk_create(_stored_leg(run, leg, content) for leg, content in legs)


def leg_digest(leg: Leg) -> str:
    """Name the rows of a leg by all that they tell; empty if there are none."""
    return _written(leg.rows)[0] if leg.rows else ""


def leg_rows(leg: StoredLeg) -> PlainRows:
    """Return the rows of a stored leg in plain values: amounts as text, times in ISO 8601."""
    rows: PlainRows = leg.content.rows if leg.content else []
    return rows


def _stored_leg(run: SyncRun, leg: Leg, content_id: int | None) -> StoredLeg:
    error = leg.error
    return StoredLeg(
        run=run,
        content_id=content_id,
        kind=leg.kind,
        subject=one_line(leg.subject, 128),
        status=leg.status,
        row_count=len(leg.rows),
        complete=leg.complete,
        why_incomplete=one_line(leg.why_incomplete, 200),
        pages=leg.pages,
        since=leg.since,
        until=leg.until,
        clock_offset=leg.clock_offset,
        requested_at=leg.requested_at,
        responded_at=leg.responded_at,
        error_category=error.category[:20] if error else "",
        error_kind=error.kind[:100] if error else "",
        error_message=one_line(error.message, 500) if error else "",
    )


def _written(rows: Iterable[Row]) -> tuple[str, PlainRows]:
    """Write rows in plain values, with a digest of them."""
    plain_rows = [_plain_row(row) for row in rows]
    text = json.dumps(plain_rows, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest(), plain_rows


def _contents(account: ExchangeAccount, rows: Mapping[str, PlainRows]) -> dict[str, int]:
    """Find the contents by digest, and store those that are new; the account is locked, so nobody else does."""
    stored = account.leg_contents.filter(digest__in=list(rows))
    contents = dict(stored.values_list("digest", "pk"))
    new = [
        LegContent(account=account, digest=digest, rows=plain_rows)
        for digest, plain_rows in rows.items()
        if digest not in contents
    ]
    return contents | {one.digest: one.pk for one in LegContent.objects.bulk_create(new)}


def _plain_row(row: Row | FeeReport) -> dict[str, Any]:
    return {field.name: _plain_value(getattr(row, field.name)) for field in fields(row)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain_row(item) for item in value]
    if isinstance(value, str):
        # Each by itself: what is cut or hidden in the whole text would leave no JSON behind.
        return one_line(value)
    return value
