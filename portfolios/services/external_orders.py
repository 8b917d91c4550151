"""Orders that nobody booked: stored without an owner until a person or a rule claims them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import transaction

from portfolios.amounts import difference, exact_sum
from portfolios.models import ExchangeAccount, Order, SyncRun
from portfolios.reconciliation.execution import opening_cost
from portfolios.reconciliation.fills import unseen
from portfolios.reconciliation.orders import merged_order
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import require_lock
from portfolios.services.order_batch import OrdersOutcome
from portfolios.services.order_reads import OrderReads, unknown_orders
from portfolios.services.order_states import order_state, set_state
from providers.errors import UnexpectedReport
from providers.redaction import leg_error
from providers.reports import FillReport, OrderReport, OrderStatus

# Orders of a new account that are made and written at a time: thousands of them are not to be held twice.
_AT_ONCE: Final = 1000


def store_external_orders(
    account: ExchangeAccount, reads: OrderReads, run: SyncRun
) -> OrdersOutcome:
    """Store the orders that nobody booked, without an owner; how many are whole by that, and how many cannot be read.

    What they had filled when the account's baseline was taken is part of the baseline.
    """
    ours = {
        (report.symbol, report.external_id)
        for reports in reads.acknowledged.values()
        for report in reports
    }
    unknown = sorted(unknown_orders(account, reads).items())
    told = [reports for key, reports in unknown if key not in ours]
    outcome = OrdersOutcome()
    for start in range(0, len(told), _AT_ONCE):
        outcome.add(_store_some(account, told[start : start + _AT_ONCE], reads, run))
    return outcome


def _store_some(
    account: ExchangeAccount,
    told: Iterable[Sequence[OrderReport]],
    reads: OrderReads,
    run: SyncRun,
) -> OrdersOutcome:
    outcome = OrdersOutcome()
    orders, whole = [], []
    for reports in told:
        report = max(reports, key=_tells_most)
        order = _external_order(account, report, reads)
        if order is None:
            _refuse(account, report, run)
            outcome.problems += 1
            continue
        orders.append(order)
        if _moves_nothing(reports, reads):
            # Nothing is left to be booked: it is written once, not once more with what it moved.
            set_state(order, merged_order(order_state(order), report), is_found=True)
            whole.append(order)
    stored = _store(account, orders, run)
    outcome.problems += len(orders) - len(stored)
    kept = {order.pk for order in stored}
    outcome.whole = {order.pk for order in whole if order.pk in kept}
    outcome.checked = outcome.changed = len(outcome.whole)
    return outcome


def _store(account: ExchangeAccount, orders: Sequence[Order], run: SyncRun) -> Sequence[Order]:
    """Store the orders, all at once and, only if that fails, one after the other; those that could be."""
    try:
        _insert(orders)
    except Exception:  # whatever is wrong with one of them
        return [order for order in orders if _is_stored_apart(account, order, run)]
    return orders


def _is_stored_apart(account: ExchangeAccount, order: Order, run: SyncRun) -> bool:
    order.pk = None
    try:
        _insert([order])
    except Exception as e:  # whatever is wrong with one order stays with that order
        subject = order.external_id
        record_incident(account, leg_error(e), "orders.store", run=run, subject=subject)
        return False
    return True


@transaction.atomic
def _insert(orders: Sequence[Order]) -> None:
    for order in orders:
        require_lock(order)
    Order.objects.bulk_create(orders)


def _moves_nothing(reports: Sequence[OrderReport], reads: OrderReads) -> bool:
    """Whether all that is told of an order is that it waits, and that nothing of it is filled."""
    if len(reports) > 1:
        return False
    [report] = reports
    is_charged = any(fee.amount for fee in report.fees)
    is_untouched = report.status is OrderStatus.OPEN and report.filled == 0 and not is_charged
    of_order = (report.external_id, report.symbol)
    return is_untouched and not (reads.fills_leg(*of_order) or reads.fills_of(*of_order))


def _tells_most(report: OrderReport) -> tuple[Decimal, str, bool]:
    is_ended = report.status is not None and report.status.is_terminal
    return report.filled or Decimal(0), str(report.updated_at or ""), is_ended


def _refuse(account: ExchangeAccount, report: OrderReport, run: SyncRun) -> None:
    error = UnexpectedReport(
        f"Order {report.external_id} ({report.symbol}) is in no book, and the exchange does not "
        "report its side and amount. It was not stored."
    )
    record_incident(account, leg_error(error), "orders.store", run=run, subject=report.external_id)


def _external_order(
    account: ExchangeAccount, report: OrderReport, reads: OrderReads
) -> Order | None:
    if report.side is None or not report.amount:
        return None
    already_counted = _filled_before_baseline(account, report, reads)
    return Order(
        account=account,
        external=True,
        joined_after_baseline=account.baseline_at is not None,
        external_id=report.external_id,
        client_order_id=report.client_order_id,
        symbol=report.symbol,
        side=report.side,
        type=report.type or "",
        status=OrderStatus.OPEN,
        price=report.price,
        amount=report.amount,
        # Not told is not none: all of it is taken as counted until it is told.
        filled=Decimal(0) if report.filled is None else already_counted,
        opening_filled=already_counted,
        opening_cost=_cost_of(already_counted, report),
        created_at=report.created_at,
    )


def _cost_of(counted: Decimal, report: OrderReport) -> Decimal:
    if counted == report.filled and report.cost is not None:
        return report.cost
    return opening_cost(counted, average=report.average, price=report.price)


def _filled_before_baseline(
    account: ExchangeAccount, report: OrderReport, reads: OrderReads
) -> Decimal:
    """Tell how much the baseline holds already: all of an order older than it, but for the fills made since."""
    fills = unseen((), reads.fills_of(report.external_id, report.symbol))
    filled = report.filled
    if filled is None:  # an order may be filled beyond its amount
        filled = max(report.amount or Decimal(0), exact_sum(fill.amount for fill in fills))
    if account.baseline_at is None:
        return filled
    if report.created_at is not None and report.created_at > account.baseline_at:
        return Decimal(0)
    since = exact_sum(fill.amount for fill in fills if _is_since(fill, account.baseline_at))
    return max(difference(filled, since), Decimal(0))


def _is_since(row: FillReport, baseline_at: datetime) -> bool:
    return row.executed_at is not None and row.executed_at > baseline_at
