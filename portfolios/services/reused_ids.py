"""Ids that an exchange gives to a second order: the first, long ended, keeps its facts under a name of its own."""

from __future__ import annotations

from typing import Final

from portfolios.models import ExchangeAccount, Order
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.orders import is_another
from portfolios.services.order_reads import OrderReads
from portfolios.services.orders import order_state

# What is left of an id beside the day up to which it was the order's; columns end there.
_LONGEST: Final = 100


def set_reused_apart(account: ExchangeAccount, reads: OrderReads) -> None:
    """Rename ended orders whose id now is that of a later one, so that nothing of it is booked to them."""
    if not reads.reports:
        return
    ended = account.orders.filter(external_id__in=list(reads.reports), created_at__isnull=False)
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
