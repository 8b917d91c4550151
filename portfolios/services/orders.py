"""The order service: what the exchange reports of orders, joined into the books one order at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from portfolios.amounts import exact_sum, plain
from portfolios.models import Discrepancy, ExchangeAccount, Fill, Order, Portfolio, SyncRun
from portfolios.models.choices import Severity
from portfolios.reconciliation.execution import covers, fees_by_asset, opening_cost
from portfolios.reconciliation.orders import OrderState, merged_order
from portfolios.services.discrepancies import Finding
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import book_order, fill_report, stored_fees
from providers.errors import UnexpectedReport
from providers.redaction import leg_error
from providers.reports import (
    FeeReport,
    FillReport,
    KnownOrder,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    OrderType,
)

OPEN_STATUSES = (OrderStatus.CREATED, OrderStatus.OPEN)
# Syncs that ask for an order's fills until they add up: an exchange may list them a little later than the order.
FILL_READS = 10
STATE_FIELDS = (
    "external_id",
    "client_order_id",
    "raw_status",
    "price",
    "average",
    "amount",
    "filled",
    "cost",
    "created_at",
    "updated_at",
)


@dataclass(frozen=True, slots=True)
class OrderReads:
    """What one snapshot says of orders, by the exchange's id."""

    reports: Mapping[str, OrderReport]
    by_client_id: Mapping[str, OrderReport]
    fills: Mapping[str, Leg]
    unknown_at_exchange: frozenset[str]


@dataclass(slots=True)
class OrdersOutcome:
    checked: int = 0
    changed: int = 0
    problems: int = 0
    findings: list[Finding] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)


def known_orders(account: ExchangeAccount) -> tuple[KnownOrder, ...]:
    """List the orders that a provider is asked about, oldest first: open ones, and those whose fills are wanted.

    A backtest has none at an exchange.
    """
    rows = account.orders.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    return tuple(
        KnownOrder(
            external_id=order.external_id,
            symbol=order.symbol,
            filled=order.filled,
            client_order_id=order.client_order_id,
            created_at=order.created_at,
            is_open=order.is_open,
            wants_fills=order.fills_wanted > 0,
        )
        for order in rows.filter(Q(status__in=OPEN_STATUSES) | Q(fills_wanted__gt=0))
    )


def order_reads(legs: Iterable[Leg]) -> OrderReads:
    """Sort the legs of one snapshot; of two reports of one order the one read later counts."""
    reports: dict[str, OrderReport] = {}
    fills: dict[str, Leg] = {}
    unknown = set()
    for leg in legs:
        for row in leg.rows:
            if isinstance(row, OrderReport):
                reports[row.external_id] = row
        if leg.kind is LegKind.FILLS:
            fills[leg.subject] = leg
        if leg.kind is LegKind.ORDER and leg.error and leg.error.category == "not_found":
            unknown.add(leg.subject)
    by_client_id = {row.client_order_id: row for row in reports.values() if row.client_order_id}
    return OrderReads(reports, by_client_id, fills, frozenset(unknown))


def sync_orders(
    account: ExchangeAccount, portfolio: Portfolio | None, reads: OrderReads, run: SyncRun
) -> OrdersOutcome:
    """Bring the orders of `portfolio` (None: those that nobody claims) to what the exchange reports.

    In the order of their creation, each all or nothing: one that cannot be applied is recorded and does not keep the
    next from its turn.
    """
    outcome = OrdersOutcome()
    orders = account.orders.filter(portfolio=portfolio).select_related("account", "portfolio")
    reported = orders.filter(external_id__in=list(reads.reports))
    waiting = orders.filter(status__in=OPEN_STATUSES)
    for order in (waiting | reported).distinct().order_by("created_at", "pk"):
        _sync_order(order, reads, run, outcome)
    return outcome


def _sync_order(order: Order, reads: OrderReads, run: SyncRun, outcome: OrdersOutcome) -> None:
    report = reads.reports.get(order.external_id)
    if report is None and not order.external_id:
        report = reads.by_client_id.get(order.client_order_id)
    _look_for_it(order, report, reads, run, outcome)
    if report is None:
        return
    outcome.checked += 1
    fills = reads.fills.get(report.external_id)
    if _tells_nothing_new(order, report, fills):
        return
    try:
        with transaction.atomic():
            changed = apply_report(order, report, fills, run)
    except Exception as e:  # whatever is wrong with one order stays with that order
        record_incident(
            order.account, leg_error(e), "orders.apply", run=run, subject=report.external_id
        )
        outcome.problems += 1
        return
    outcome.changed += changed
    outcome.problems += _report_unknown_status(order, report, run)


def _tells_nothing_new(order: Order, report: OrderReport, fills: Leg | None) -> bool:
    """Whether the books know all of it: most orders of most syncs, and so without a question to the database."""
    known = _state(order)
    is_settled = order.missing_since is None and not order.fills_wanted and fills is None
    return is_settled and report.status is not None and merged_order(known, report) == known


def apply_report(order: Order, report: OrderReport, fills: Leg | None, run: SyncRun | None) -> bool:
    """Join one report into `order` and book what it moved; whether anything changed.

    Parameters
    ----------
    fills : Leg or None
        The read of the order's fills; None if there was none.

    Raises
    ------
    UnexpectedReport
        If the report is of another symbol or side than the order, or what it filled has no price.
    """
    _refuse_another_order(order, report)
    known, was_wanted = _state(order), order.fills_wanted
    new_fills = _store_fills(order, fill_rows(fills))
    merged = _with_fills(merged_order(known, report), order)
    order.fills_wanted = _fills_wanted(order, merged, fills)
    if merged == known and not new_fills and order.missing_since is None:
        if order.fills_wanted != was_wanted:
            order.save(update_fields=["fills_wanted"])
        return False
    _write_state(order, merged)
    if not book_order(order, run):
        raise UnexpectedReport(
            f"Order {order.external_id} ({order.symbol}) is reported as filled without any price. "
            "Nothing was booked; it is tried again at the next sync."
        )
    return True


def fill_rows(leg: Leg | None) -> list[FillReport]:
    return [] if leg is None else [row for row in leg.rows if isinstance(row, FillReport)]


def _with_fills(state: OrderState, order: Order) -> OrderState:
    """Add what the fills know better than the order's own report: fees, and an amount that it does not tell."""
    fills = [fill_report(fill) for fill in order.fills.all()]
    filled = exact_sum(fill.amount for fill in fills)
    fees = fees_by_asset(fee for fill in fills for fee in fill.fees)
    if not covers(filled, order.opening_filled, state.filled):
        fees = {}
    return replace(
        state,
        filled=max(state.filled, filled),
        fees=tuple(FeeReport(*pair) for pair in sorted(fees.items())) or state.fees,
    )


def _fills_wanted(order: Order, state: OrderState, fills: Leg | None) -> int:
    """How many more syncs ask for the fills. A failed read is none; a market that lists no fills is not asked again."""
    known = exact_sum(order.fills.values_list("amount", flat=True))
    if covers(known, order.opening_filled, state.filled):
        return 0
    if fills is None or fills.status in (LegStatus.FAILED, LegStatus.SKIPPED):
        return order.fills_wanted or FILL_READS
    if fills.status is LegStatus.UNSUPPORTED:
        return 0
    return max((order.fills_wanted or FILL_READS) - 1, 0)


def _refuse_another_order(order: Order, report: OrderReport) -> None:
    if report.symbol != order.symbol or report.side not in (None, order.side):
        raise UnexpectedReport(
            f"Order {report.external_id} is {order.side} {order.symbol} in the books and "
            f"{report.side} {report.symbol} at the exchange. It was left as it is."
        )


def _state(order: Order) -> OrderState:
    return OrderState(
        status=OrderStatus(order.status),
        type=OrderType(order.type) if order.type else None,
        fees=stored_fees(order.fees),
        **{name: getattr(order, name) for name in STATE_FIELDS},
    )


def _write_state(order: Order, state: OrderState) -> None:
    for name in STATE_FIELDS:
        setattr(order, name, getattr(state, name))
    order.status, order.type = state.status, state.type or ""
    order.fees = fee_rows(state.fees)
    order.missing_since = None
    order.save()


def fee_rows(fees: Iterable[FeeReport]) -> list[dict[str, str]]:
    return [{"asset": fee.asset, "amount": plain(fee.amount)} for fee in fees]


def _store_fills(order: Order, fills: Sequence[FillReport]) -> int:
    if not fills:
        return 0
    known = set(order.fills.values_list("external_id", flat=True))
    new = [fill for fill in fills if fill.external_id not in known]
    Fill.objects.bulk_create(
        Fill(
            account=order.account,
            order=order,
            external_id=fill.external_id,
            symbol=fill.symbol,
            side=fill.side,
            price=fill.price,
            amount=fill.amount,
            cost=fill.cost,
            fees=fee_rows(fill.fees),
            executed_at=fill.executed_at,
        )
        for fill in new
    )
    return len(new)


def store_external_orders(account: ExchangeAccount, reads: OrderReads, run: SyncRun) -> int:
    """Store the orders that nobody booked, without an owner; how many could not be read.

    What they had filled when the account's baseline was taken is part of the baseline.
    """
    known = set(
        account.orders.filter(external_id__in=list(reads.reports)).values_list(
            "external_id", flat=True
        )
    )
    ours = set(
        account.orders.filter(
            external_id="", client_order_id__in=list(reads.by_client_id)
        ).values_list("client_order_id", flat=True)
    )
    problems = 0
    for report in reads.reports.values():
        if report.external_id not in known and report.client_order_id not in ours:
            problems += not _store_external_order(account, report, run)
    return problems


def _store_external_order(account: ExchangeAccount, report: OrderReport, run: SyncRun) -> bool:
    if report.side is None or report.amount is None:
        error = UnexpectedReport(
            f"Order {report.external_id} ({report.symbol}) is in no book, and the exchange does not "
            "report its side and amount. It was not stored."
        )
        record_incident(
            account, leg_error(error), "orders.store", run=run, subject=report.external_id
        )
        return False
    already_counted = _filled_before_baseline(account, report)
    Order.objects.create(
        account=account,
        external=True,
        external_id=report.external_id,
        client_order_id=report.client_order_id,
        symbol=report.symbol,
        side=report.side,
        type=report.type or "",
        status=OrderStatus.OPEN,
        price=report.price,
        amount=report.amount,
        filled=already_counted,
        opening_filled=already_counted,
        opening_cost=_cost_of(already_counted, report),
        created_at=report.created_at,
    )
    return True


def _cost_of(counted: Decimal, report: OrderReport) -> Decimal:
    if counted == report.filled and report.cost is not None:
        return report.cost
    return opening_cost(counted, average=report.average, price=report.price)


def _filled_before_baseline(account: ExchangeAccount, report: OrderReport) -> Decimal:
    is_newer = (
        account.baseline_at is not None
        and report.created_at is not None
        and report.created_at > account.baseline_at
    )
    return Decimal(0) if is_newer else report.filled or Decimal(0)


def _report_unknown_status(order: Order, report: OrderReport, run: SyncRun) -> bool:
    if report.status is not None:
        return False
    error = UnexpectedReport(
        f"Order {report.external_id} ({report.symbol}) has the status "
        f"{json.dumps(report.raw_status)}, which is not known. Its status stays {order.status}."
    )
    record_incident(
        order.account, leg_error(error), "orders.status", run=run, subject=report.external_id
    )
    return True


def _look_for_it(
    order: Order,
    report: OrderReport | None,
    reads: OrderReads,
    run: SyncRun,
    outcome: OrdersOutcome,
) -> None:
    """Note an order that the exchange says it does not have, or never acknowledged; nothing is concluded from it."""
    seen_at: datetime = run.started_at or run.queued_at
    key = f"order:{order.pk}:missing"
    if report is not None:
        outcome.judged.add(key)
    elif order.external_id in reads.unknown_at_exchange:
        if order.missing_since is None:
            order.missing_since = seen_at
            order.save(update_fields=["missing_since"])
        outcome.findings.append(
            _order_finding(key, order, Discrepancy.Code.ORDER_MISSING_AT_VENUE, Severity.ERROR)
        )
    elif not order.external_id and order.is_open:
        outcome.findings.append(
            _order_finding(key, order, Discrepancy.Code.ORDER_UNACKED, Severity.WARNING)
        )


def _order_finding(key: str, order: Order, code: Discrepancy.Code, severity: Severity) -> Finding:
    return Finding(
        key=key,
        code=code,
        severity=severity,
        order=order,
        portfolio=order.portfolio,
        symbol=order.symbol,
        book=order.remaining,
        cause="the exchange does not know this order",
    )
