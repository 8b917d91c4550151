"""The order service: what the exchange reports of orders, joined into the books one order at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from portfolios.amounts import difference, exact_sum
from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Order,
    OrderVersion,
    Portfolio,
    SyncRun,
)
from portfolios.models.order import TRIGGER_TYPES
from portfolios.reconciliation.execution import covers, fees_by_asset, opening_cost
from portfolios.reconciliation.orders import (
    OrderState,
    amendment,
    fee_reports,
    joined_fees,
    merged_order,
)
from portfolios.services.discrepancies import Findings
from portfolios.services.fills import fee_rows, orphan_key, store_fills
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import book_order, fill_report, stored_fees
from portfolios.services.order_findings import (
    amount_of_fills,
    find_fills_ahead,
    find_in_report,
    find_in_state,
    freeze_contradictions,
    judge_reports,
    thaw,
)
from portfolios.services.order_reads import OrderReads as OrderReads
from portfolios.services.order_reads import names_of
from providers.errors import UnexpectedReport
from providers.redaction import leg_error
from providers.reports import (
    FillReport,
    KnownOrder,
    Leg,
    LegStatus,
    OrderReport,
    OrderStatus,
    OrderType,
)

ZERO = Decimal(0)
OPEN_STATUSES: Final = (OrderStatus.CREATED, OrderStatus.OPEN)
# What an exchange is asked about an order by.
ASKED_BY: Final = (
    *("external_id", "symbol", "filled", "client_order_id"),
    *("created_at", "status", "fills_wanted", "type", "pk"),
)
# Syncs that ask for an order's fills until they add up: an exchange may list them a little later than the order.
FILL_READS: Final = 10
# For so long after its fill was first seen an order is asked for.
ORPHANS_ASKED_FOR: Final = timedelta(days=1)
STATE_FIELDS: Final = (
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


@dataclass(slots=True)
class OrdersOutcome:
    """How many orders were seen and changed, and what is wrong with how many."""

    checked: int = 0
    changed: int = 0
    problems: int = 0


def known_orders(account: ExchangeAccount) -> tuple[KnownOrder, ...]:
    """List the orders that a provider is asked about, oldest first: open ones, and those whose fills are wanted.

    A backtest has none at an exchange.
    """
    rows = account.orders.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    # Each by its index: of both in one question an account's orders would all be looked through.
    wanted = rows.filter(fills_wanted__gt=0).order_by().values(*ASKED_BY)
    asked = rows.filter(status__in=OPEN_STATUSES).order_by().values(*ASKED_BY).union(wanted)
    known = tuple(
        KnownOrder(
            external_id=row["external_id"],
            symbol=row["symbol"],
            filled=row["filled"],
            client_order_id=row["client_order_id"],
            created_at=row["created_at"],
            is_open=row["status"] in OPEN_STATUSES,
            wants_fills=row["fills_wanted"] > 0,
            is_trigger=row["type"] in TRIGGER_TYPES,
        )
        for row in asked.order_by("created_at", "pk")
    )
    return (*known, *_orders_of_orphans(account))


def _orders_of_orphans(account: ExchangeAccount) -> list[KnownOrder]:
    """List the orders whose fills are known and they are not: they were asked for once, but could not be read."""
    told = account.discrepancies.filter(
        code=Discrepancy.Code.FILL_ORPHAN, first_seen__gt=timezone.now() - ORPHANS_ASKED_FOR
    )
    recent = set(told.values_list("key", flat=True))
    if not recent:
        return []
    named = account.fills.filter(order=None).exclude(order_external_id="").order_by()
    orphans = set(named.values_list("symbol", "order_external_id"))
    orphans = {orphan for orphan in orphans if orphan_key(*orphan) in recent}
    ours = account.orders.filter(external_id__in={order_id for _, order_id in orphans})
    return [
        KnownOrder(order_id, symbol, filled=ZERO, is_open=False, wants_fills=True)
        for symbol, order_id in sorted(orphans - set(ours.values_list("symbol", "external_id")))
    ]


def has_frozen_orders(account: ExchangeAccount) -> bool:
    """Whether an open order contradicts the exchange: what it moves is not booked to its owner meanwhile."""
    waiting = account.orders.filter(status__in=OPEN_STATUSES)
    return waiting.exclude(frozen_because="").exists()


def sync_orders(
    account: ExchangeAccount,
    portfolio: Portfolio | None,
    reads: OrderReads,
    run: SyncRun,
    findings: Findings,
) -> OrdersOutcome:
    """Bring the orders of `portfolio` (None: those that nobody claims) to what the exchange reports.

    In the order of their creation, each all or nothing: one that cannot be applied is recorded and does not keep the
    next from its turn.
    """
    outcome = OrdersOutcome()
    orders = account.orders.filter(portfolio=portfolio)
    is_reported = Q(external_id__in=reads.ids) | Q(pk__in=list(reads.acknowledged))
    found = orders.filter(Q(status__in=OPEN_STATUSES) | is_reported)
    for order in found.order_by("created_at", "external_id", "pk"):
        order.portfolio = portfolio
        _sync_order(order, reads, run, outcome, findings)
    _count_denials(orders, reads.denied)
    return outcome


def _count_denials(orders: QuerySet[Order], denied: frozenset[str]) -> None:
    """Count a denial of an ended order as a read of its fills: it is not asked for without end."""
    if not denied:
        return
    ended = orders.filter(fills_wanted__gt=0).exclude(status__in=OPEN_STATUSES)
    pks = [
        order.pk
        for order in ended
        if denied.intersection(names_of(order.external_id or order.client_order_id, order.symbol))
    ]
    ended.filter(pk__in=pks).update(fills_wanted=F("fills_wanted") - 1)


def _sync_order(
    order: Order, reads: OrderReads, run: SyncRun, outcome: OrdersOutcome, findings: Findings
) -> None:
    reports = reads.of(order)
    external_id = order.external_id or next((report.external_id for report in reports), "")
    leg = reads.fills_leg(external_id, order.symbol)
    fills = reads.fills_of(external_id, order.symbol)
    outcome.checked += bool(reports)
    if not reports and leg is None and not fills:
        if not order.external_id and order.client_order_id in reads.by_client_id:
            thaw(order, findings)
        return
    if freeze_contradictions(order, reports, findings):
        _record(order, UnexpectedReport(order.frozen_because), "orders.apply", run)
        outcome.problems += 1
        return
    if reports:
        judge_reports(order, findings)
    if _tells_nothing_new(order, reports, leg, fills):
        return
    try:
        with transaction.atomic():
            changed = apply_facts(order, reports, leg, fills, run, findings)
    except Exception as e:  # whatever is wrong with one order stays with that order
        _record(order, e, "orders.apply", run)
        outcome.problems += 1
        return
    outcome.changed += changed
    outcome.problems += _report_unknown_status(order, reports, run)


def _tells_nothing_new(
    order: Order,
    reports: Sequence[OrderReport],
    leg: Leg | None,
    fills: Sequence[Sequence[FillReport]],
) -> bool:
    """Whether the books know all of it: most orders of most syncs, and so without a question to the database."""
    is_settled = order.missing_since is None and not order.fills_wanted and not order.frozen_because
    if not is_settled or leg is not None or fills:
        return False
    known = order_state(order)
    return all(
        report.status is not None
        and merged_order(known, report) == known
        and not find_in_report(order, known, report)
        for report in reports
    )


def apply_facts(
    order: Order,
    reports: Sequence[OrderReport],
    leg: Leg | None,
    fills: Sequence[Sequence[FillReport]],
    run: SyncRun | None,
    findings: Findings,
) -> bool:
    """Join what a snapshot tells of `order` and book what it moved; whether anything changed.

    Parameters
    ----------
    leg : Leg or None
        The read of the order's own fills; None if there was none.
    fills : sequence of sequences of FillReport
        What each read tells of the order's fills.

    Raises
    ------
    UnexpectedReport
        If what was filled has no price.
    """
    known, was_wanted = order_state(order), order.fills_wanted
    was_missing = order.missing_since is not None and bool(reports)
    merged = _with_reports(order, known, reports, findings)
    stored = store_fills(order, fills, run)
    # Read once for all that follows.
    prefetch_related_objects([order], "fills")
    findings.found += stored.findings
    _correct_opening(order, merged, reports)
    told, merged = merged, _with_fills(merged, order)
    is_ahead = find_fills_ahead(order, told, reports, findings)
    order.fills_wanted = _fills_wanted(order, merged, reports, leg, is_ahead=is_ahead)
    find_in_state(order, merged, reports, leg, findings)
    if merged == known and not stored.news and not was_missing:
        if order.fills_wanted != was_wanted:
            order.save(update_fields=["fills_wanted"])
        return False
    _note_version(order, known, merged, run)
    _write_state(order, merged, is_found=bool(reports))
    if not book_order(order, run):
        raise UnexpectedReport(
            f"Order {order.external_id} ({order.symbol}) is reported as filled without any price. "
            "Nothing was booked; it is tried again at the next sync."
        )
    return True


def _with_reports(
    order: Order, known: OrderState, reports: Sequence[OrderReport], findings: Findings
) -> OrderState:
    """Join all reports of a snapshot, and tell what each says against the books."""
    for report in reports:
        if not _is_overtaken(report, reports):
            findings.found += find_in_report(order, known, report)
        known = merged_order(known, report)
    return known


def _is_overtaken(report: OrderReport, reports: Iterable[OrderReport]) -> bool:
    """Whether another report of the same snapshot tells of more filled: then this one is only an older copy."""
    if report.filled is None:
        return False
    return any(other.filled is not None and other.filled > report.filled for other in reports)


def _correct_opening(order: Order, state: OrderState, reports: Sequence[OrderReport]) -> None:
    """Lower what the baseline is taken to hold of an order that no book opened: its time or a fill may be told late."""
    baseline_at = order.account.baseline_at
    if baseline_at is None or not order.opening_filled or order.book_values:
        return
    fills = [(fill.amount, fill.executed_at) for fill in order.fills.all()]
    if not fills and all(report.filled is None for report in reports):
        return  # nothing new is told
    if exact_sum(amount for amount, _ in fills) > state.filled:
        return  # the report is older than the fills
    since = exact_sum(amount for amount, at in fills if at is not None and at > baseline_at)
    held = max(difference(state.filled, since), ZERO)
    if state.created_at and state.created_at > baseline_at:
        held = ZERO
    if held < order.opening_filled:
        order.opening_filled = held
        order.opening_cost = opening_cost(held, average=state.average, price=state.price)


def _with_fills(state: OrderState, order: Order) -> OrderState:
    """Add what the fills know better than the order's own report: fees, and an amount that it does not tell.

    Of a part of the fills the fees may be more than a report tells, or less: the most counts, whichever came first.
    """
    fills = [fill_report(fill) for fill in order.fills.all()]
    filled = exact_sum(fill.amount for fill in fills)
    fees = fee_reports(fees_by_asset(fee for fill in fills for fee in fill.fees))
    if not fees or not covers(filled, order.opening_filled, state.filled):
        fees = joined_fees(state.fees, fees)
    if filled > state.filled:  # the cost that was told is one of less
        state = replace(state, filled=filled, average=None, cost=None)
    return replace(state, fees=fees)


def _fills_wanted(
    order: Order,
    state: OrderState,
    reports: Sequence[OrderReport],
    fills: Leg | None,
    *,
    is_ahead: bool,
) -> int:
    """How many more syncs ask for the fills. A failed read is none; a market that lists no fills is not asked again."""
    known = amount_of_fills(order)
    is_told = all(report.filled is not None for report in reports) or not state.status.is_terminal
    if not reports and order.fills_wanted:
        is_told = False  # nothing was said of the order itself
    if fills is not None and fills.status is LegStatus.OBSERVED and fills.complete:
        is_told = True
    if covers(known, order.opening_filled, state.filled) and is_told and not is_ahead:
        return 0
    if fills is None or fills.status in (LegStatus.FAILED, LegStatus.SKIPPED):
        return order.fills_wanted or FILL_READS
    if fills.status is LegStatus.UNSUPPORTED:
        return 0
    return max((order.fills_wanted or FILL_READS) - 1, 0)


def order_state(order: Order) -> OrderState:
    return OrderState(
        status=OrderStatus(order.status),
        type=OrderType(order.type) if order.type else None,
        fees=stored_fees(order.fees),
        **{name: getattr(order, name) for name in STATE_FIELDS},
    )


def _write_state(order: Order, state: OrderState, *, is_found: bool) -> None:
    for name in STATE_FIELDS:
        setattr(order, name, getattr(state, name))
    order.status, order.type = state.status, state.type or ""
    order.fees = fee_rows(state.fees)
    if is_found:
        order.missing_since, order.strikes, order.last_strike_at = None, 0, None
    order.save()


def _note_version(order: Order, before: OrderState, after: OrderState, run: SyncRun | None) -> None:
    """Keep the terms that an amendment at the exchange has replaced."""
    if amendment(before, after):
        OrderVersion.objects.create(
            order=order,
            number=order.versions.count() + 1,
            price=before.price,
            amount=before.amount,
            run=run,
            replaced_at=timezone.now(),
        )


def _report_unknown_status(order: Order, reports: Sequence[OrderReport], run: SyncRun) -> bool:
    unknown = [report for report in reports if report.status is None]
    for report in unknown:
        error = UnexpectedReport(
            f"Order {report.external_id} ({report.symbol}) has the status "
            f"{json.dumps(report.raw_status)}, which is not known. Its status stays {order.status}."
        )
        _record(order, error, "orders.status", run)
    return bool(unknown)


def _record(order: Order, error: Exception, operation: str, run: SyncRun) -> None:
    subject = order.external_id or order.client_order_id
    record_incident(order.account, leg_error(error), operation, run=run, subject=subject)
