"""Fills as they are stored: each once, whoever told of it and however often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet, prefetch_related_objects

from portfolios.amounts import exact_sum, plain
from portfolios.models import Discrepancy, ExchangeAccount, Fill, Order, SyncRun
from portfolios.models.choices import Severity
from portfolios.reconciliation.fills import fill_conflict, late_fees, oldest_first, unseen
from portfolios.services.discrepancies import Finding, Findings
from portfolios.services.ledger import book_fill, fill_report, take_back_fill
from providers.reports import FeeReport, FillReport, Leg, LegKind

# For so long a fill without a fee, or without its order, is looked at again, and a withdrawal without a fee: some
# exchanges tell them later.
TOLD_LATE: Final = timedelta(days=1)
_Key = tuple[str, str, str]


@dataclass(slots=True)
class Stored:
    """What storing fills has changed.

    Parameters
    ----------
    news : int
        Fills that are new, or of which something new is known.
    new : list of Fill
        Those that are new.
    """

    news: int = 0
    new: list[Fill] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def fill_rows(leg: Leg | None) -> list[FillReport]:
    return [] if leg is None else [row for row in leg.rows if isinstance(row, FillReport)]


def account_fills(legs: Iterable[Leg]) -> dict[str, list[FillReport]]:
    """Sort the fills of whole lists by the exchange's id of their order, oldest first."""
    found: defaultdict[str, list[FillReport]] = defaultdict(list)
    lists = [fill_rows(leg) for leg in legs if leg.kind is LegKind.ACCOUNT_FILLS]
    for row in oldest_first({row for rows in lists for row in rows}):
        found[row.order_external_id].append(row)
    return dict(found)


def store_fills(
    told: Sequence[tuple[Order, Sequence[Sequence[FillReport]]]], run: SyncRun | None
) -> list[Stored]:
    """Store the fills of orders of one account; those that were known without theirs join it.

    What joins leaves the unassigned part. The fills of the orders are prefetched, and are again when it returns.

    Parameters
    ----------
    told : sequence of pairs
        Each order with what each read tells of it; all reads may tell the same fills.

    Returns
    -------
    list of Stored
        What changed of each order.
    """
    rows = [row for _order, reads in told for read in reads for row in read]
    if not rows:
        return [Stored() for _told in told]
    known = _known(told[0][0].account, rows)
    parts = [_taken_in(order, reads, known, run) for order, reads in told]
    Fill.objects.bulk_create(fill for part in parts for fill in part.new)
    _read_again([order for (order, _reads), part in zip(told, parts, strict=True) if part.new])
    return parts


def _taken_in(
    order: Order,
    reads: Sequence[Sequence[FillReport]],
    known: dict[_Key, Fill],
    run: SyncRun | None,
) -> Stored:
    """Make the fills of `order` that are new, and add them to the `known` ones; nobody has written them yet."""
    stored = Stored()
    rows = oldest_first({row for rows in reads for row in rows})
    for row in rows:
        fill = known.get(_key(row))
        if fill is not None:
            _compare(fill, row, order, stored)
            _attach(fill, order, run, stored)
    if stored.news:
        _read_again([order])
    of_order = [fill_report(fill) for fill in order.fills.all()] if rows else []
    own = [
        [row for row in read if _key(row) not in known or known[_key(row)].order_id == order.pk]
        for read in reads
    ]
    new = oldest_first(unseen(of_order, own))
    stored.new = [_fill(order.account, order, row) for row in new]
    stored.news += len(stored.new)
    _compare_new(stored.new, rows, order, stored)
    known.update({(fill.symbol, fill.side, fill.external_id): fill for fill in stored.new})
    return stored


def _read_again(orders: Sequence[Order]) -> None:
    for order in orders:
        order.refresh_from_db(fields=["fills"])  # forgets them, and asks nothing
    prefetch_related_objects(orders, "fills")


def _compare_new(
    created: Iterable[Fill], rows: Iterable[FillReport], order: Order, stored: Stored
) -> None:
    """Compare what is stored now with all that the same reads tell under its id."""
    fills = {(fill.symbol, fill.side, fill.external_id): fill for fill in created}
    for row in rows:
        fill = fills.get(_key(row))
        if fill is not None:
            _compare(fill, row, order, stored)


def _attach(fill: Fill, order: Order, run: SyncRun | None, stored: Stored) -> None:
    if fill.order_id is None:
        take_back_fill(fill, run)
        fill.order = order
        fill.save(update_fields=["order"])
        stored.news += 1


def store_orphans(
    account: ExchangeAccount,
    reads: Sequence[Sequence[FillReport]],
    run: SyncRun,
    findings: Findings,
) -> int:
    """Store fills whose order is not known, or frozen; they count for the account, in its unassigned part.

    Parameters
    ----------
    reads : sequence of sequences of FillReport
        What each read tells; all of them may tell the same fills.
    """
    stored = Stored()
    rows = [row for read in reads for row in read]
    known = _known(account, rows)
    orphans = [fill_report(fill) for fill in account.fills.filter(order=None)] if rows else []
    for row in unseen(orphans, reads):
        if _key(row) not in known:
            fill = known[_key(row)] = _fill(account, None, row)
            fill.save()
            stored.news += 1
    told = [(known[_key(row)], row) for row in oldest_first(rows) if _key(row) in known]
    for fill, row in told:
        _compare(fill, row, fill.order, stored)
    for fill, _row in told:
        if fill.order_id is None:
            book_fill(fill, run)
    findings.found += stored.findings
    return stored.news


def orphan_key(symbol: str, order_id: str) -> str:
    """Name the finding of the fills of an order that is not known."""
    return f"orphan:{symbol}:{order_id}"[:200]


def find_orphans(account: ExchangeAccount, findings: Findings) -> None:
    """Tell of fills whose order is not known, one finding an order."""
    findings.judged |= findings.live(account, Discrepancy.Code.FILL_ORPHAN)
    orders: defaultdict[tuple[str, str], list[Fill]] = defaultdict(list)
    for fill in account.fills.filter(order=None):
        orders[fill.symbol, fill.order_external_id].append(fill)
    ids = {order_id for _, order_id in orders} - {""}
    real = account.orders.filter(is_backtest=False)
    named = real.filter(external_id__in=ids) if ids else real.none()
    known = {(order.symbol, order.external_id): order for order in named}
    for (symbol, order_id), fills in sorted(orders.items()):
        why = "could not be read, or is not known at the exchange"
        if (order := known.get((symbol, order_id))) is not None:
            why = "could not be booked; the exceptions tell why"
            if order.frozen_because:
                why = "contradicts the books and is left as it is"
        findings.add(
            Finding(
                key=orphan_key(symbol, order_id),
                code=Discrepancy.Code.FILL_ORPHAN,
                severity=Severity.WARNING,
                symbol=symbol,
                exchange=exact_sum(fill.amount for fill in fills),
                cause=f"its order {order_id or '(no id)'} {why}",
            )
        )


def find_missing_fees(account: ExchangeAccount, now: datetime, findings: Findings) -> None:
    """Tell of new fills without a fee, on accounts that pay fees otherwise."""
    findings.judged |= findings.live(account, Discrepancy.Code.FEE_MISSING)
    recent = list(fills_without_fee(account, now).select_related("order__portfolio"))
    if not recent or not account.fills.exclude(fees=[]).exists():
        return
    by_order: defaultdict[int, list[Fill]] = defaultdict(list)
    for fill in recent:
        if fill.order_id is not None:
            by_order[fill.order_id].append(fill)
    for fills in by_order.values():
        order = fills[0].order
        if order is None:
            continue
        findings.add(
            Finding(
                key=f"order:{order.pk}:fee",
                code=Discrepancy.Code.FEE_MISSING,
                severity=Severity.NOTICE,
                order=order,
                portfolio=order.portfolio,
                symbol=order.symbol,
                exchange=exact_sum(fill.amount for fill in fills),
                cause="no fee is reported yet",
            )
        )


def half_told_since(account: ExchangeAccount, now: datetime) -> datetime | None:
    """Tell when the first of the recent fills was made that were told without their fee, or the id of their order."""
    has_no_order = Q(order=None, order_external_id="")
    recent = account.fills.filter(Q(fees=[]) | has_no_order, executed_at__gt=now - TOLD_LATE)
    return recent.order_by("executed_at").values_list("executed_at", flat=True).first()


def fills_without_fee(account: ExchangeAccount, now: datetime) -> QuerySet[Fill]:
    recent = account.fills.filter(
        fees=[], executed_at__gt=now - TOLD_LATE, undoes=None, undone_by=None
    )
    return recent.order_by("executed_at", "pk")


def denied_key(fill: int) -> str:
    """Name the finding of a fill that the exchange tells no more."""
    return f"denied:{fill}"


def denied_fill(found: Discrepancy) -> Fill | None:
    """Find the fill that a finding says is told no more."""
    named, _, pk = found.key.partition(":")
    fills = found.account.fills.select_related("order__account", "order__portfolio")
    return fills.filter(pk=int(pk)).first() if named == "denied" else None


def denied_fills(account: ExchangeAccount, keys: Iterable[str], now: datetime) -> list[Fill]:
    """List the recent fills that the exchange has told and seems to tell no more, by the keys of their findings."""
    pks = [int(key.partition(":")[2]) for key in keys]
    return list(account.fills.filter(pk__in=pks, executed_at__gt=now - TOLD_LATE)) if pks else []


def fee_rows(fees: Iterable[FeeReport]) -> list[dict[str, str]]:
    return [{"asset": fee.asset, "amount": plain(fee.amount)} for fee in fees]


def _key(row: FillReport) -> _Key:
    return row.symbol, row.side, row.external_id


def _known(account: ExchangeAccount, rows: Sequence[FillReport]) -> dict[_Key, Fill]:
    if not rows:
        return {}
    fills = account.fills.filter(external_id__in={row.external_id for row in rows})
    found: Mapping[_Key, Fill] = {
        (fill.symbol, fill.side, fill.external_id): fill
        for fill in fills.select_related("order", "undone_by")
    }
    return dict(found)


def _compare(fill: Fill, row: FillReport, order: Order | None, stored: Stored) -> None:
    """Take in the fees that a stored fill still lacked; tell of what contradicts it, which changes nothing."""
    told = fill_report(fill)
    conflict = "it is told again, and was taken as undone" if fill.is_undone else ""
    conflict = conflict or fill_conflict(told, row)
    if order is not None and fill.order_id not in (None, order.pk):
        if not conflict and _is_of_earlier(fill, order):
            return
        conflict = f"it was told of order {fill.order_external_id} before"
    if conflict:
        stored.findings.append(_conflict(fill, row, conflict))
        return
    fees = late_fees(told, row)
    if fees:
        fill.fees = fee_rows(fees)
        if fill.pk is not None:  # what is new is written with them
            fill.save(update_fields=["fees"])
        stored.news += 1


def _is_of_earlier(fill: Fill, order: Order) -> bool:
    """Whether it is of an order that had the same id before `order` was made."""
    return bool(fill.executed_at and order.created_at and fill.executed_at < order.created_at)


def _conflict(fill: Fill, row: FillReport, conflict: str) -> Finding:
    order = fill.order
    return Finding(
        key=f"fill:{fill.symbol}:{fill.side}:{fill.external_id}"[:200],
        code=Discrepancy.Code.FILL_CONFLICT,
        severity=Severity.ERROR,
        order=order,
        portfolio=order.portfolio if order else None,
        symbol=fill.symbol,
        book=fill.amount,
        exchange=row.amount,
        cause=f"fill {fill.external_id}: {conflict}",
        is_certain=True,
    )


def _fill(account: ExchangeAccount, order: Order | None, row: FillReport) -> Fill:
    return Fill(
        account=account,
        order=order,
        order_external_id=row.order_external_id or (order.external_id if order else ""),
        external_id=row.external_id,
        symbol=row.symbol,
        side=row.side,
        price=row.price,
        amount=row.amount,
        cost=row.cost,
        fees=fee_rows(row.fees),
        executed_at=row.executed_at,
    )
