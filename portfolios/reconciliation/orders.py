"""How a report of an exchange changes what is known of an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from portfolios.reconciliation.execution import fees_by_asset
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
# An exchange gives no id again sooner.
REUSED_AFTER: Final = timedelta(days=1)
# An order that waits for a price goes on as a plain one once it is triggered.
_TYPES: Final = (OrderType.LIMIT, OrderType.MARKET, OrderType.STOP, OrderType.STOP_LIMIT)


@dataclass(frozen=True, slots=True)
class OrderState:
    """What the books know of one order; the fields are those of the order model.

    Parameters
    ----------
    updated_at : datetime or None
        The exchange's time of the report that `amount` and `price` were taken from; None if it tells no times.
    has_final_terms : bool
        Whether that report told of the order's end, after which nothing changes them.
    """

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
    has_final_terms: bool = False


class Conflict(StrEnum):
    """How a report contradicts what the exchange said before.

    `STATE`: two ends that cannot both hold. `FILL_AHEAD`: less filled than is known. `RESURRECTED`: alive, or ended by
    the exchange, though it lapsed here. `REGRESSION`: open again after its end.
    """

    STATE = "state"
    FILL_AHEAD = "fill_ahead"
    RESURRECTED = "resurrected"
    REGRESSION = "regression"


def merged_order(known: OrderState, report: OrderReport) -> OrderState:
    """Join `report` into `known`: arriving twice, late or out of order gives the same state.

    Each part of an order joins by itself: the furthest status; the most filled, with its cost; the most fees; the
    newest terms by the exchange's clock. What is not reported, or reported in a word that is not known, leaves the
    books as they are.

    An exchange that tells no times leaves it open which of two terms are newer. These alone depend on the order of
    arrival, unless an end or more filled shows the older ones. The terms that an order ended with are the newest.
    """
    joined = {
        "external_id": known.external_id or report.external_id,
        "client_order_id": known.client_order_id or report.client_order_id,
        "type": max(known.type, report.type, key=_type_rank),
        "fees": _fees(known, report),
        "created_at": _earliest(known.created_at, report.created_at),
        **_status(known, report),
        **_execution(known, report),
        **_terms(known, report),
    }
    # Most reports say again what is known, and a copy takes longer than to see that.
    changed = {name: value for name, value in joined.items() if getattr(known, name) != value}
    return replace(known, **changed) if changed else known


def _fees(known: OrderState, report: OrderReport) -> tuple[FeeReport, ...]:
    is_same = len(known.fees) == 1 and report.fees == known.fees
    return known.fees if is_same or not report.fees else joined_fees(known.fees, report.fees)


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((time for time in (one, other) if time is not None), default=None)


def _type_rank(kind: OrderType | None) -> int:
    return -1 if kind is None else _TYPES.index(kind)


def _status(known: OrderState, report: OrderReport) -> dict[str, Any]:
    if report.status is None:
        return {}
    told = (_WEIGHT[report.status], report.raw_status)
    if told <= (_WEIGHT[known.status], known.raw_status):
        return {}
    return {"status": report.status, "raw_status": report.raw_status}


def _execution(known: OrderState, report: OrderReport) -> dict[str, Any]:
    """Take over what is filled together with its cost, since the cost of less would price the rest wrongly.

    Of two costs of one amount the larger counts, since ccxt derives some by cutting digits off.
    """
    if report.filled is None or report.filled < known.filled:
        return {}
    if report.filled > known.filled:
        return {"filled": report.filled, "average": report.average, "cost": report.cost}
    average, cost = _most(known.average, report.average), _most(known.cost, report.cost)
    return {"average": average, "cost": cost}


def joined_fees(*told: tuple[FeeReport, ...]) -> tuple[FeeReport, ...]:
    """Take of each asset the most: the fees of an order only grow, as do its rebates, which are negative."""
    joined: dict[str, Decimal] = {}
    for fees in told:
        for asset, amount in fees_by_asset(fees).items():
            joined[asset] = max(joined.get(asset, amount), amount, key=lambda x: (x.copy_abs(), x))
    return fee_reports(joined)


def fee_reports(fees: Mapping[str, Decimal]) -> tuple[FeeReport, ...]:
    """Write fees by asset as one fee of each, sorted."""
    return tuple(FeeReport(asset, fees[asset]) for asset in sorted(fees))


def _most(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _terms(known: OrderState, report: OrderReport) -> dict[str, Any]:
    """Take over amount and price together, so that one time is enough to tell which are newer.

    Nobody orders nothing: an amount of zero is one that is not told.
    """
    if not report.amount or not _has_newer_terms(report, known):
        return {}
    return {
        "amount": report.amount,
        "price": report.price,
        "updated_at": report.updated_at,
        "has_final_terms": _tells_end(report),
    }


def _has_newer_terms(report: OrderReport, known: OrderState) -> bool:
    if (report.price is None) != (known.price is None):
        return known.price is None
    if _tells_end(report) != known.has_final_terms:
        return not known.has_final_terms
    if report.updated_at is None:
        return known.updated_at is None and not _is_overtaken(report, known)
    if known.updated_at is None or report.updated_at != known.updated_at:
        return known.updated_at is None or report.updated_at > known.updated_at
    # Told of one moment, both cannot hold: the larger ones, in whatever order they come.
    return (report.amount, report.price) > (known.amount, known.price)


def _is_overtaken(report: OrderReport, known: OrderState) -> bool:
    """Whether an end or more filled shows that the report is an older copy."""
    if report.status is not None and _has_ended(known.status) and not _tells_end(report):
        return True
    return report.filled is not None and report.filled < known.filled


def _tells_end(report: OrderReport) -> bool:
    return report.status is not None and _has_ended(report.status)


def _has_ended(status: OrderStatus) -> bool:
    return status.is_terminal and status is not OrderStatus.LAPSED


def conflicts(known: OrderState, report: OrderReport) -> tuple[Conflict, ...]:
    """Name how `report` contradicts `known`; an older copy, by its exchange's clock, contradicts nothing it precedes.

    An end after which more is filled is late, no contradiction. Whether a second look says the same is for the caller.
    """
    found = []
    if report.status is not None and _contradict(known, report.status, report.filled):
        found.append(Conflict.STATE)
    is_older = bool(report.updated_at and known.updated_at and report.updated_at < known.updated_at)
    if not is_older and report.filled is not None and report.filled < known.filled:
        found.append(Conflict.FILL_AHEAD)
    if known.status is OrderStatus.LAPSED and report.status is not None:
        found.append(Conflict.RESURRECTED)
    if not is_older and _has_ended(known.status) and report.status is OrderStatus.OPEN:
        found.append(Conflict.REGRESSION)
    return tuple(found)


def _contradict(known: OrderState, told: OrderStatus, filled: Decimal | None) -> bool:
    if known.status is told or not (_has_ended(known.status) and _has_ended(told)):
        return False
    # An exchange may close what was filled with the word for a cancellation.
    is_same_end = known.status is OrderStatus.CLOSED and told is OrderStatus.CANCELED
    return not (is_same_end and filled in (None, known.filled))


def is_another(known: OrderState, report: OrderReport) -> bool:
    """Whether `report` tells of a later order that was given the id of this one, which had ended a day before.

    The time alone does not say it: some exchanges tell when an order was changed as if it was made then.
    """
    if not known.status.is_terminal or known.created_at is None or report.created_at is None:
        return False
    ended = max(known.created_at, known.updated_at or known.created_at)
    if report.created_at - ended <= REUSED_AFTER:
        return False
    is_other = bool(report.amount) and report.amount != known.amount
    return report.status is OrderStatus.OPEN or is_other


def amendment(before: OrderState, after: OrderState) -> bool:
    """Whether the exchange has changed the terms of an order; a price told for the first time is no change."""
    is_repriced = before.price is not None and before.price != after.price
    return is_repriced or before.amount != after.amount
