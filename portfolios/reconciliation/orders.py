"""How a report of an exchange changes what is known of an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from providers.reports import FeeReport, OrderReport, OrderStatus, OrderType

# What an exchange says outweighs what was concluded here, and an end outweighs what came before it. Of two ends that
# contradict each other the one that tells of more is kept, whichever comes first.
_WEIGHT: Final[Mapping[OrderStatus, int]] = {
    OrderStatus.CREATED: 0,
    OrderStatus.LAPSED: 1,
    OrderStatus.OPEN: 2,
    OrderStatus.REJECTED: 3,
    OrderStatus.EXPIRED: 4,
    OrderStatus.CANCELED: 5,
    OrderStatus.CLOSED: 6,
}


@dataclass(frozen=True, slots=True)
class OrderState:
    """What the books know of one order; the fields are those of the order model."""

    status: OrderStatus
    amount: Decimal
    filled: Decimal
    external_id: str = ""
    client_order_id: str = ""
    type: OrderType | None = None
    raw_status: str = ""
    price: Decimal | None = None
    average: Decimal | None = None
    cost: Decimal | None = None
    fees: tuple[FeeReport, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None


def merged_order(known: OrderState, report: OrderReport) -> OrderState:
    """Join `report` into `known`: arriving twice, late or out of order gives the same state.

    What the exchange does not report, or reports in a word that is not known, leaves the books as they are. `filled`
    never falls, and an order that has ended does not open again: such a report is an older copy.
    """
    named = replace(
        known,
        external_id=known.external_id or report.external_id,
        client_order_id=known.client_order_id or report.client_order_id,
        type=known.type or report.type,
        created_at=known.created_at or report.created_at,
    )
    executed = _with_execution(named, report)
    return executed if _is_older(report, known) else _with_terms(executed, report)


def _with_execution(known: OrderState, report: OrderReport) -> OrderState:
    """Take over what is filled together with its cost, since the cost of less would price the rest wrongly."""
    if report.filled is None or report.filled < known.filled:
        return known
    if report.filled > known.filled:
        known = replace(known, filled=report.filled, average=None, cost=None)
    elif _is_older(report, known):
        return known
    return replace(
        known,
        average=known.average if report.average is None else report.average,
        cost=known.cost if report.cost is None else report.cost,
        fees=report.fees or known.fees,
    )


def _with_terms(known: OrderState, report: OrderReport) -> OrderState:
    times = [time for time in (known.updated_at, report.updated_at) if time is not None]
    latest = replace(
        known,
        amount=known.amount if report.amount is None else report.amount,
        price=known.price if report.price is None else report.price,
        updated_at=max(times, default=None),
    )
    if report.status is None:
        return latest
    return replace(latest, status=report.status, raw_status=report.raw_status)


def _is_older(report: OrderReport, known: OrderState) -> bool:
    """Whether the report was overtaken: by an end, by a fill, or by its exchange's own clock."""
    status = known.status if report.status is None else report.status
    if _has_ended(status) != _has_ended(known.status):
        return _has_ended(known.status)
    if report.filled is not None and report.filled != known.filled:
        return report.filled < known.filled
    if report.updated_at and known.updated_at and report.updated_at != known.updated_at:
        return report.updated_at < known.updated_at
    return _WEIGHT[status] < _WEIGHT[known.status]


def _has_ended(status: OrderStatus) -> bool:
    return status.is_terminal and status is not OrderStatus.LAPSED
