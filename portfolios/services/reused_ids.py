"""Ids that an exchange gives a second time, as one does that was reset: each order and each fill keeps its own facts.

The first order, long ended, is given a name of its own; of fills, which never change, the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from portfolios.models import ExchangeAccount, Order
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.fills import is_another_fill
from portfolios.reconciliation.orders import is_another
from portfolios.services.fills import fill_rows
from portfolios.services.ledger import fill_report
from portfolios.services.order_reads import OrderReads
from portfolios.services.order_states import order_state
from providers.reports import FillReport, Leg, Row

# What is left of an id beside the day that tells it from another one; columns end there.
_LONGEST: Final = 100
# Symbol, side and id.
_Key = tuple[str, str, str]


def set_reused_apart(account: ExchangeAccount, reads: OrderReads) -> None:
    """Rename ended orders whose id now is that of a later one, so that nothing of it is booked to them."""
    if not reads.reports:
        return
    real = account.orders.filter(is_backtest=False, created_at__isnull=False)
    ended = real.filter(external_id__in=list(reads.reports))
    for order in ended.exclude(status__in=OPEN_STATUSES):
        # Some exchanges number the orders of each symbol anew: that of another one is no second order of this id.
        told = [report for report in reads.of(order) if report.symbol == order.symbol]
        later = [report for report in told if is_another(order_state(order), report)]
        if later:
            _rename(order, f"{later[0].created_at:%Y-%m-%d}")


def _rename(order: Order, day: str) -> None:
    order.external_id = f"{order.external_id[:_LONGEST]} (until {day})"
    # By that name nobody can ask the exchange for its fills any more.
    order.fills_wanted = 0
    order.save(update_fields=["external_id", "fills_wanted"])


def with_own_fill_ids(account: ExchangeAccount, legs: Sequence[Leg]) -> Sequence[Leg]:
    """Name the fills anew whose id is that of a much earlier one, each time in the same way."""
    earlier = _stored(account, [row for leg in legs for row in fill_rows(leg)])
    if not earlier:
        return legs
    return [replace(leg, rows=tuple(_named(row, earlier) for row in leg.rows)) for leg in legs]


def _stored(account: ExchangeAccount, rows: Iterable[FillReport]) -> Mapping[_Key, FillReport]:
    ids = {row.external_id for row in rows}
    fills = account.fills.filter(external_id__in=ids) if ids else ()
    return {(fill.symbol, fill.side, fill.external_id): fill_report(fill) for fill in fills}


def _named(row: Row, earlier: Mapping[_Key, FillReport]) -> Row:
    if not isinstance(row, FillReport):
        return row
    stored = earlier.get((row.symbol, row.side, row.external_id))
    if stored is None or not is_another_fill(stored, row):
        return row
    return replace(row, external_id=f"{row.external_id[:_LONGEST]} ({row.executed_at:%Y-%m-%d})")
