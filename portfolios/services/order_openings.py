"""How much of an order the baseline holds: less than was thought, once its time or a fill is told late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from portfolios.amounts import difference, exact_sum
from portfolios.models import Order, SyncRun
from portfolios.reconciliation.execution import opening_cost
from portfolios.reconciliation.orders import OrderState
from portfolios.services.cursors import overlap
from providers.reports import OrderReport

ZERO = Decimal(0)


def correct_opening(
    order: Order, state: OrderState, reports: Sequence[OrderReport], run: SyncRun | None
) -> None:
    """Lower what the baseline is taken to hold of an order that no book opened: its time or a fill may be told late."""
    baseline_at = order.account.baseline_at
    if baseline_at is None or not order.opening_filled or order.book_values:
        return
    fills = [(fill.amount, fill.executed_at) for fill in order.fills.all()]
    if not fills and all(report.filled is None for report in reports):
        return  # nothing new is told
    if exact_sum(amount for amount, _ in fills) > state.filled:
        return  # the report is older than the fills
    if run is not None and any(_may_be_newer(at, state, reports, run) for _, at in fills):
        return
    since = exact_sum(amount for amount, at in fills if at is not None and at > baseline_at)
    held = max(difference(state.filled, since), ZERO)
    if state.created_at and state.created_at > baseline_at:
        held = ZERO
    if held < order.opening_filled:
        order.opening_filled = held
        order.opening_cost = opening_cost(held, average=state.average, price=state.price)


def _may_be_newer(
    executed_at: datetime | None, state: OrderState, reports: Sequence[OrderReport], run: SyncRun
) -> bool:
    """Whether a fill may have been made after what is told of its order was: they are read one after the other."""
    if executed_at is None or state.status.is_terminal:
        return False
    if not reports:
        return state.updated_at is None or executed_at > state.updated_at
    read_at = run.started_at or run.queued_at
    if executed_at <= (state.updated_at or read_at):
        return False
    return executed_at > read_at - overlap(run.account)
