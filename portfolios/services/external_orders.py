"""Orders that nobody booked: stored without an owner until a person or a rule claims them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from portfolios.amounts import difference, exact_sum
from portfolios.models import ExchangeAccount, Order, SyncRun
from portfolios.reconciliation.execution import opening_cost
from portfolios.reconciliation.fills import unseen
from portfolios.services.incidents import record_incident
from portfolios.services.order_reads import OrderReads, unknown_orders
from providers.errors import UnexpectedReport
from providers.redaction import leg_error
from providers.reports import FillReport, OrderReport, OrderStatus


def store_external_orders(account: ExchangeAccount, reads: OrderReads, run: SyncRun) -> int:
    """Store the orders that nobody booked, without an owner; how many could not be read.

    What they had filled when the account's baseline was taken is part of the baseline.
    """
    ours = {
        (report.symbol, report.external_id)
        for reports in reads.acknowledged.values()
        for report in reports
    }
    unknown = sorted(unknown_orders(account, reads).items())
    told = [max(reports, key=_tells_most) for key, reports in unknown if key not in ours]
    orders = []
    for report in told:
        order = _external_order(account, report, reads)
        if order is None:
            _refuse(account, report, run)
        else:
            orders.append(order)
    Order.objects.bulk_create(orders)
    return len(told) - len(orders)


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
    if report.side is None or report.amount is None:
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
    filled = (report.amount or Decimal(0)) if report.filled is None else report.filled
    if account.baseline_at is None:
        return filled
    if report.created_at is not None and report.created_at > account.baseline_at:
        return Decimal(0)
    fills = unseen((), reads.fills_of(report.external_id, report.symbol))
    since = exact_sum(fill.amount for fill in fills if _is_since(fill, account.baseline_at))
    return max(difference(filled, since), Decimal(0))


def _is_since(row: FillReport, baseline_at: datetime) -> bool:
    return row.executed_at is not None and row.executed_at > baseline_at
