"""Fills that the exchange has undone, once a person says so: each is taken back by one of the opposite amounts.

Fills are append-only. The opposite of one makes all sums of its order's fills what they would be without it; what its
order says is brought to that, so that what is booked of it follows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.amounts import difference, exact_sum
from portfolios.models import Decision, Discrepancy, Fill, Order, OrderVersion
from portfolios.reconciliation.execution import fees_by_asset
from portfolios.reconciliation.orders import OrderState, fee_reports
from portfolios.services.discrepancies import resolve
from portfolios.services.fills import denied_fill, fee_rows
from portfolios.services.journal import posted
from portfolios.services.ledger import book_order, stored_fees
from portfolios.services.order_states import order_state, set_state
from providers.reports import FeeReport, OrderStatus

ACCEPTED: Final = "accepted as undone"
_LIVE: Final = (Discrepancy.State.OPEN, Discrepancy.State.ACKNOWLEDGED)
# What is left of an id beside the number of a decision; columns end there.
_LONGEST: Final = 96


class UndoingRefused(Exception):
    """The fill cannot be taken as undone; nothing has changed."""


def proposes_undoing(discrepancy: Discrepancy) -> bool:
    """Whether two whole lists leave out a fill of an order that the books hold."""
    is_proved = discrepancy.code == Discrepancy.Code.FILL_LOCAL_ONLY and discrepancy.state in _LIVE
    return is_proved and discrepancy.order is not None and not discrepancy.order.frozen_because


def accept_undone(discrepancy: Discrepancy, decision: Decision) -> Fill:
    """Take the fill that `discrepancy` tells of as undone, and return it.

    Raises
    ------
    UndoingRefused
        If nothing proves it, or no longer, or it was filled before the books took its order over.
    """
    fill = denied_fill(discrepancy) if proposes_undoing(discrepancy) else None
    if fill is None or fill.order is None or fill.is_undone:
        raise UndoingRefused(_("Nothing proves any more that the exchange has undone the fill."))
    if difference(fill.order.filled, fill.amount) < fill.order.opening_filled:
        raise UndoingRefused(_("It was filled before the books took its order over."))
    take_back(newest(fill), fill.order, decision)
    resolve(discrepancy, ACCEPTED, timezone.now(), decision=decision)
    return fill


def newest(fill: Fill) -> Fill:
    """Find what was stored last of `fill`, of what takes it back, of what takes that back."""
    while (later := fill.undoing) is not None:
        fill = later
    return fill


def take_back(fill: Fill, order: Order, decision: Decision) -> None:
    """Store the opposite of `fill`, and bring its order and what is booked of it to where they are without it."""
    opposite = Fill.objects.create(
        account=fill.account,
        order=order,
        order_external_id=fill.order_external_id,
        external_id=f"{fill.external_id[:_LONGEST]} (undone by decision {decision.pk})",
        symbol=fill.symbol,
        side=fill.side,
        price=fill.price,
        amount=fill.amount.copy_negate(),
        cost=fill.cost.copy_negate(),
        fees=fee_rows(_opposite_fees(fill)),
        executed_at=timezone.now(),
        undoes=fill,
    )
    before = order_state(order)
    set_state(order, _with(before, opposite), is_found=False)
    order.fills_wanted = 0
    order.save()
    _note_version(order, before)
    with posted(order.account) as journal:
        book_order(order, None, journal)


def _with(state: OrderState, fill: Fill) -> OrderState:
    """Add a fill to an order, or what takes one back; one that ended with less than was ordered has been canceled.

    The word that the exchange had for its end is forgotten: the next one that it tells counts.
    """
    filled = exact_sum((state.filled, fill.amount))
    fees = fees_by_asset((*state.fees, *stored_fees(fill.fees)))
    is_cut_short = state.status is OrderStatus.CLOSED and filled < state.amount
    return replace(
        state,
        filled=filled,
        cost=None if state.cost is None else exact_sum((state.cost, fill.cost)),
        average=None,
        fees=fee_reports({asset: amount for asset, amount in fees.items() if amount}),
        status=OrderStatus.CANCELED if is_cut_short else state.status,
        raw_status="" if is_cut_short else state.raw_status,
    )


def _opposite_fees(fill: Fill) -> list[FeeReport]:
    return [FeeReport(fee.asset, fee.amount.copy_negate()) for fee in stored_fees(fill.fees)]


def _note_version(order: Order, before: OrderState) -> None:
    OrderVersion.objects.create(
        order=order,
        number=order.times_changed + 1,
        price=before.price,
        amount=before.amount,
        filled=before.filled,
        average=before.average,
        replaced_at=timezone.now(),
    )
