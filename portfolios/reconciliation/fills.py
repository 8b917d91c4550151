"""Whether two tellings of one execution agree, and what the later one adds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from portfolios.amounts import difference, plain
from portfolios.reconciliation.execution import fees_by_asset
from portfolios.reconciliation.orders import REUSED_AFTER
from providers.mapping import has_made_id
from providers.reports import FeeReport, FillReport

ZERO = Decimal(0)

_Identity = tuple[str, str, str]
_Content = tuple[str, str, str, datetime | None, Decimal, Decimal, Decimal]
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def fill_conflict(stored: FillReport, told: FillReport) -> str:
    """Name the first fact in which `told` contradicts `stored`, both of one id; empty if there is none.

    A fee or an order that only one of them tells is no contradiction, nor is the time: endpoints tell it to the second
    or to the millisecond.
    """
    facts = (
        ("symbol", stored.symbol, told.symbol),
        ("side", stored.side.value, told.side.value),
        ("amount", plain(stored.amount), plain(told.amount)),
        ("price", plain(stored.price), plain(told.price)),
        ("cost", plain(stored.cost), plain(told.cost)),
        ("fee", _shown(stored.fees), _shown(told.fees)),
        ("order", stored.order_external_id, told.order_external_id),
    )
    for name, was, now in facts:
        if was and now and was != now:
            return f"{name} {was} is told as {now}"
    return ""


def is_another_fill(stored: FillReport, told: FillReport) -> bool:
    """Whether `told`, of the same id, is a later execution: an exchange that was reset counts from the first on again.

    The time alone does not say it.
    """
    if stored.executed_at is None or told.executed_at is None:
        return False
    is_later = told.executed_at - stored.executed_at > REUSED_AFTER
    return is_later and bool(fill_conflict(stored, replace(told, fees=stored.fees)))


def late_fees(stored: FillReport, told: FillReport) -> tuple[FeeReport, ...]:
    """Give the fees that `told` adds to a fill stored without any; empty if it adds none."""
    return () if stored.fees else told.fees


def overfill(amount: Decimal, filled: Decimal) -> Decimal:
    """Tell how many base units are filled beyond what was ordered, >= 0."""
    return max(difference(filled, amount), ZERO)


def _shown(fees: Iterable[FeeReport]) -> str:
    """Write fees the same in whatever parts and order they are told."""
    sums = sorted(fees_by_asset(fees).items())
    return ", ".join(f"{plain(amount)} {asset}" for asset, amount in sums)


def oldest_first(rows: Iterable[FillReport]) -> list[FillReport]:
    """Put fills into an order of their own, whatever the order of their arrival."""
    return sorted(rows, key=_rank)


def _rank(row: FillReport) -> tuple[object, ...]:
    # Of one id and time, what tells of less comes last: it adds nothing.
    return (
        row.executed_at or _EPOCH,
        row.symbol,
        row.external_id,
        row.side,
        not row.order_external_id,
        row.price,
        row.amount,
        row.cost,
        not row.fees,
        tuple((fee.asset, fee.amount) for fee in row.fees),
    )


def _first_by_content(rows: Iterable[FillReport]) -> dict[_Identity, FillReport]:
    """Choose among the rows of one id the one that counts: the first with a time, whatever the order of arrival."""
    ranked = sorted(oldest_first(rows), key=lambda row: row.executed_at is None)
    return {_identity(row): row for row in reversed(ranked)}


def unseen(stored: Iterable[FillReport], reads: Iterable[Sequence[FillReport]]) -> list[FillReport]:
    """Choose the fills that are not stored yet out of what several reads tell of one order.

    A fill may be told with its id by one read and without by another. Of equal content there are as many fills as ids,
    or as the longest single read has of them; what goes beyond the stored ones is new, those with an id first. Of one
    id told in several ways one row counts.
    """
    reads = list(reads)
    counts = _first_by_content(row for rows in reads for row in rows)
    have: defaultdict[_Content, set[str]] = defaultdict(set)
    told: defaultdict[_Content, dict[str, FillReport]] = defaultdict(dict)
    most: Counter[_Content] = Counter()
    known: set[_Identity] = set()
    for fill in stored:
        have[_content(fill)].add(fill.external_id)
        known.add(_identity(fill))
    for rows in reads:
        in_read = {_identity(row): counts[_identity(row)] for row in rows}
        for row in in_read.values():
            told[_content(row)][row.external_id] = row
        most |= Counter(_content(row) for row in in_read.values())
    new: list[FillReport] = []
    for content, rows_by_id in told.items():
        named = {id_ for id_ in {*have[content], *rows_by_id} if not has_made_id(id_)}
        room = max(len(named), most[content]) - len(have[content])
        fresh = [id_ for id_, row in rows_by_id.items() if _identity(row) not in known]
        fresh.sort(key=lambda id_: (has_made_id(id_), id_))
        new += [rows_by_id[id_] for id_ in fresh[: max(room, 0)]]
    return new


def _identity(fill: FillReport) -> _Identity:
    return fill.symbol, fill.side, fill.external_id


def _content(fill: FillReport) -> _Content:
    return (
        fill.order_external_id,
        fill.symbol,
        fill.side,
        fill.executed_at,
        fill.price,
        fill.amount,
        fill.cost,
    )
