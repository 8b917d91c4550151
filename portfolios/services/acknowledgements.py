"""Orders that were sent without learning the exchange's id: which of its orders each of them is, by client id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from portfolios.models import ExchangeAccount, Order
from portfolios.models.order import OPEN_STATUSES
from portfolios.services.contradictions import is_used_up
from portfolios.services.order_reads import OrderId, OrderReads, unknown_orders
from providers.reports import OrderReport, OrderStatus

# The exchange never said of these that they ended, so it may still have them.
_FINDABLE: Final = (*OPEN_STATUSES, OrderStatus.LAPSED)
_Told = Mapping[OrderId, Sequence[OrderReport]]


def with_acknowledged(account: ExchangeAccount, reads: OrderReads) -> OrderReads:
    """Add what is told of orders without an exchange's id: of one order each, since a client id may be used again.

    A lapsed order comes after those that still wait. One that waits is given the reports of another portfolio's live
    order, if there are only those: the ids of the two contradict each other.
    """
    if not reads.by_client_id:
        return reads
    real = account.orders.filter(is_backtest=False)
    rows = real.filter(
        external_id="", client_order_id__in=list(reads.by_client_id), status__in=_FINDABLE
    )
    orders = sorted(rows, key=lambda row: (row.status == OrderStatus.LAPSED, row.pk))
    if not orders:
        return reads
    told = real.filter(external_id__in=list(reads.reports))
    known = {(row.symbol, row.external_id): row for row in told}
    free = unknown_orders(account, reads)
    acknowledged: dict[int, Sequence[OrderReport]] = {}
    for order_id, order in _assigned(orders, free).items():
        acknowledged[order.pk] = free[order_id]
    for order in orders:
        if order.pk not in acknowledged and order.is_open:
            acknowledged[order.pk] = _contested(order, reads, known)
    return replace(reads, acknowledged={pk: told for pk, told in acknowledged.items() if told})


def _assigned(orders: Sequence[Order], free: _Told) -> dict[OrderId, Order]:
    """Give each order of the exchange to the nearest of those that it may be."""
    given: dict[OrderId, tuple[tuple[bool, timedelta, int], Order]] = {}
    for order in orders:
        order_id = _nearest(order, free)
        if order_id is None:
            continue
        distance = _distance(order, free[order_id])
        rank = (not order.is_open, timedelta.max if distance is None else distance, order.pk)
        if order_id not in given or rank < given[order_id][0]:
            given[order_id] = rank, order
    return {order_id: order for order_id, (_, order) in given.items()}


def _nearest(order: Order, free: _Told) -> OrderId | None:
    """Find the order of its client id, symbol and side that was created nearest to it; None if that is not one."""
    fitting = {id_: reports for id_, reports in free.items() if _fits(order, reports)}
    if len(fitting) < 2:
        return next(iter(fitting), None)
    distances = {id_: _distance(order, reports) for id_, reports in fitting.items()}
    timed = sorted((distance, id_) for id_, distance in distances.items() if distance is not None)
    if len(timed) < len(fitting) or timed[0][0] == timed[1][0]:
        return None
    return timed[0][1]


def _fits(order: Order, reports: Sequence[OrderReport]) -> bool:
    is_named = any(report.client_order_id == order.client_order_id for report in reports)
    return is_named and all(
        report.symbol == order.symbol and report.side in (None, order.side) for report in reports
    )


def _distance(order: Order, reports: Sequence[OrderReport]) -> timedelta | None:
    """Tell how far apart the two were created; None if the exchange does not say when."""
    created_at = min((report.created_at for report in reports if report.created_at), default=None)
    return None if created_at is None else abs(created_at - (order.created_at or order.joined_at))


def _contested(
    order: Order, reads: OrderReads, known: Mapping[OrderId, Order]
) -> Sequence[OrderReport]:
    """List the reports of orders that are another portfolio's and still have the client id of `order`."""
    owners = [
        (report, known.get((report.symbol, report.external_id)))
        for report in reads.by_client_id[order.client_order_id]
    ]
    used_up = {owner.pk for report, owner in owners if owner and is_used_up(owner, report)}
    return [
        report
        for report, owner in owners
        if owner is not None and owner.portfolio_id is not None and owner.pk not in used_up
    ]
