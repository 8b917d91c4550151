"""Fills that the exchange has told and tells no more: they stay booked, and somebody is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_

from django.db.models import Q

from portfolios.models import Discrepancy, ExchangeAccount, Fill
from portfolios.models.choices import Severity
from portfolios.services.cursors import overlap
from portfolios.services.discrepancies import Finding, Findings
from portfolios.services.fills import TOLD_LATE, denied_key, fill_rows
from portfolios.services.order_reads import names_of
from providers import catalogue
from providers.mapping import has_made_id
from providers.reports import FillReport, Leg, LegKind, LegStatus

ZERO = Decimal(0)
# Symbol, side, price, amount.
_Content = tuple[str, str, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class _Whole:
    """A whole read of fills, and between which moments it must have told all there are."""

    leg: Leg
    begins: datetime
    ends: datetime

    def has(self, fill: Fill) -> bool:
        """Whether the exchange, if the fill were still one, would have told it."""
        if fill.executed_at is None or not self.begins <= fill.executed_at <= self.ends:
            return False
        if self.leg.kind is LegKind.ACCOUNT_FILLS:
            return self.leg.subject in ("", fill.symbol)
        # An id may have been given to a later order meanwhile.
        is_of_order = fill.order is None or fill.order.external_id == fill.order_external_id
        return is_of_order and self.leg.subject in names_of(fill.order_external_id, fill.symbol)


def find_denied_fills(account: ExchangeAccount, legs: Iterable[Leg], findings: Findings) -> None:
    """Tell of stored fills that a whole read of their time leaves out; the next one that tells them resolves it."""
    legs = list(legs)
    reads = [whole for leg in legs if (whole := _whole(account, leg)) is not None]
    if not reads:
        return
    told = [row for leg in legs for row in fill_rows(leg)]
    is_told, about = _teller(told), _finder(reads)
    # What a person has taken as undone is not looked for, nor what takes it back.
    told_once = account.fills.filter(_narrowed(reads), undoes=None)
    for fill in told_once.select_related("order__portfolio", "undone_by"):
        if fill.is_undone or not any(read.has(fill) for read in about(fill)):
            continue
        findings.judged.add(denied_key(fill.pk))
        if not is_told(fill):
            findings.add(_finding(fill))


def _whole(account: ExchangeAccount, leg: Leg) -> _Whole | None:
    is_of_fills = leg.kind in (LegKind.ACCOUNT_FILLS, LegKind.FILLS)
    if not is_of_fills or leg.status is not LegStatus.OBSERVED or not leg.complete:
        return None
    asked_at = leg.requested_at + timedelta(seconds=leg.clock_offset)
    begins = asked_at - _told_for(account)
    if leg.kind is LegKind.ACCOUNT_FILLS:
        if leg.since is None:
            return None
        begins = max(begins, leg.since)
    # What is younger may not be listed yet.
    return _Whole(leg, begins, asked_at - overlap(account))


def _narrowed(reads: Sequence[_Whole]) -> Q:
    """Narrow what the database reads; `has` decides.

    The reads of single orders are one condition: SQLite takes no more than a thousand.
    """
    lists = [read for read in reads if read.leg.kind is LegKind.ACCOUNT_FILLS]
    found = [
        _within([read]) & (Q(symbol=read.leg.subject) if read.leg.subject else Q())
        for read in lists
    ]
    # Of a single order some exchanges tell for years: that is no reason to look at all fills since.
    of_orders = [read for read in reads if read.leg.kind is LegKind.FILLS]
    if of_orders:
        subjects = [read.leg.subject for read in of_orders]
        ids = {*subjects, *(subject.rpartition(" ")[0] for subject in subjects)} - {""}
        found.append(_within(of_orders) & Q(order_external_id__in=ids))
    return reduce(or_, found)


def _finder(reads: Iterable[_Whole]) -> Callable[[Fill], list[_Whole]]:
    """Tell how to find the lists, and the reads of the order of a fill, without a look at those of all orders."""
    lists: list[_Whole] = []
    of_orders: defaultdict[str, list[_Whole]] = defaultdict(list)
    for read in reads:
        is_list = read.leg.kind is LegKind.ACCOUNT_FILLS
        (lists if is_list else of_orders[read.leg.subject]).append(read)

    def about(fill: Fill) -> list[_Whole]:
        names = names_of(fill.order_external_id, fill.symbol)
        return [*lists, *(read for name in names for read in of_orders.get(name, ()))]

    return about


def _within(reads: Sequence[_Whole]) -> Q:
    begins, ends = min(read.begins for read in reads), max(read.ends for read in reads)
    return Q(executed_at__gte=begins, executed_at__lte=ends)


def _teller(rows: Iterable[FillReport]) -> Callable[[Fill], bool]:
    """Tell how to find whether a fill is among `rows`: by its id, or by its content where either has none."""
    told = list(rows)
    ids = {(row.symbol, row.side, row.external_id) for row in told}
    contents: dict[_Content, bool] = {}
    for row in told:
        content = _content(row)
        contents[content] = contents.get(content, False) or has_made_id(row.external_id)

    def is_told(fill: Fill) -> bool:
        if (fill.symbol, fill.side, fill.external_id) in ids:
            return True
        is_without_id = contents.get(_content(fill))
        return is_without_id is not None and (is_without_id or has_made_id(fill.external_id))

    return is_told


def _content(fill: Fill | FillReport) -> _Content:
    return fill.symbol, fill.side, fill.price, fill.amount


def _told_for(account: ExchangeAccount) -> timedelta:
    """Tell how long the exchange goes on to tell a fill; where nobody knows, for a day."""
    is_known = catalogue.is_market(account.market)
    seconds = catalogue.market(account.market).fills_seconds if is_known else None
    return TOLD_LATE if seconds is None else timedelta(seconds=seconds)


def _finding(fill: Fill) -> Finding:
    order = fill.order
    return Finding(
        key=denied_key(fill.pk),
        code=Discrepancy.Code.FILL_LOCAL_ONLY,
        severity=Severity.ERROR,
        order=order,
        portfolio=order.portfolio if order else None,
        symbol=fill.symbol,
        book=fill.amount,
        exchange=ZERO,
        difference=fill.amount.copy_negate(),
        cause=f"fill {fill.external_id} is no longer told by the exchange",
    )
