"""What was read, stored as it was read; rows that were read before are referred to, not stored again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from portfolios.amounts import plain
from portfolios.models import ExchangeAccount, LegContent, StoredLeg, SyncRun
from providers.redaction import one_line
from providers.reports import FeeReport, Leg, Row

PlainRows = list[dict[str, Any]]
# Of small reads, such as one order each, many are written together; a large one is by itself.
ROWS_AT_ONCE: Final = 200


def store_legs(run: SyncRun, legs: Iterable[Leg]) -> None:
    """Store the legs of `run`; call it before anything is concluded from them."""
    read = [(leg, leg_digest(leg)) for leg in legs]
    contents = _contents(run.account, {digest: leg.rows for leg, digest in read if leg.rows})
    StoredLeg.objects.bulk_create(
        _stored_leg(run, leg, contents.get(digest)) for leg, digest in read
    )


def store_known_legs(legs: Iterable[tuple[SyncRun, Leg, int | None]]) -> None:
    """Store legs whose rows are stored already, each with the content that they are in."""
    StoredLeg.objects.bulk_create(_stored_leg(run, leg, content) for run, leg, content in legs)


def leg_digest(leg: Leg) -> str:
    """Name the rows of a leg by all that they tell, before anything of it is hidden; empty if there are none."""
    if not leg.rows:
        return ""
    rows = [_plain_row(row, str) for row in leg.rows]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


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


def _contents(account: ExchangeAccount, rows: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    """Find the contents by digest, and store those that are new; the account is locked, so nobody else does."""
    stored = account.leg_contents.filter(digest__in=list(rows))
    contents = dict(stored.values_list("digest", "pk"))
    # Most of their texts are the same words; what is hidden changes from account to account.
    written = cache(one_line)
    new = [
        # Each text by itself: what is cut or hidden in the whole would leave no JSON behind.
        LegContent(account=account, digest=digest, rows=[_plain_row(row, written) for row in told])
        for digest, told in rows.items()
        if digest not in contents
    ]
    for some in _in_parts(new):
        contents |= {one.digest: one.pk for one in LegContent.objects.bulk_create(some)}
    return contents


def _in_parts(contents: Iterable[LegContent]) -> Iterator[list[LegContent]]:
    """Divide what is written at once: of an array PostgreSQL's library takes thirty times the memory of its rows."""
    part: list[LegContent] = []
    rows = 0
    for content in contents:
        if part and rows + len(content.rows) > ROWS_AT_ONCE:
            yield part
            part, rows = [], 0
        part.append(content)
        rows += len(content.rows)
    if part:
        yield part


def _plain_row(row: Row | FeeReport, written: Callable[[str], str]) -> dict[str, Any]:
    return {name: _plain_value(getattr(row, name), written) for name in row.__dataclass_fields__}


def _plain_value(value: Any, written: Callable[[str], str]) -> Any:
    if value is None:  # as most are
        return None
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, str):
        return written(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain_row(item, written) for item in value]
    return value
