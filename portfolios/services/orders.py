"""The order service: what the exchange reports of orders, joined into the books one order at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Self

from django.db import transaction
from django.db.models import F, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from portfolios.amounts import exact_sum
from portfolios.models import (
    ExchangeAccount,
    Order,
    OrderVersion,
    Portfolio,
    SyncRun,
)
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.execution import covers, fees_by_asset
from portfolios.reconciliation.orders import (
    OrderState,
    amendment,
    fee_reports,
    joined_fees,
    merged_order,
)
from portfolios.services.contradictions import Contradictions
from portfolios.services.discrepancies import Findings
from portfolios.services.fills import Stored, store_fills
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import book_order, fill_report, require_lock
from portfolios.services.order_batch import OrderBatch, OrdersOutcome
from portfolios.services.order_findings import (
    amount_of_fills,
    find_fills_ahead,
    find_in_report,
    find_in_state,
    judge_reports,
    tells_undone,
)
from portfolios.services.order_openings import correct_opening
from portfolios.services.order_reads import OrderReads as OrderReads
from portfolios.services.order_reads import names_of
from portfolios.services.order_states import order_state, set_state
from portfolios.services.unmoved_orders import UnmovedOrders
from providers.errors import UnexpectedReport
from providers.redaction import leg_error
from providers.reports import (
    FillReport,
    Leg,
    LegStatus,
    OrderReport,
    OrderType,
)

ZERO = Decimal(0)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
# Syncs that ask for an order's fills until they add up: an exchange may list them a little later than the order.
FILL_READS: Final = 10


def sync_orders(
    account: ExchangeAccount,
    portfolios: Sequence[Portfolio],
    reads: OrderReads,
    run: SyncRun,
    findings: Findings,
    whole: Collection[int] = (),
) -> OrdersOutcome:
    """Bring the orders of `portfolios`, and those that nobody claims, to what the exchange reports.

    In the order of their creation, each all or nothing: one that cannot be applied is recorded and does not keep the
    next from its turn. All are written at once; only if that fails, one after the other.

    Parameters
    ----------
    whole : collection of int
        Orders of which this look has stored all that it tells.
    """
    try:
        with transaction.atomic():
            outcome, told = _sync_orders(account, portfolios, reads, run, whole, _apply_together)
    except Exception:  # whatever is wrong with one of them
        outcome, told = _sync_orders(account, portfolios, reads, run, whole, _apply_one_by_one)
    findings.found += told.found
    findings.judged |= told.judged
    return outcome


News = Sequence[tuple[Order, "Told"]]
Apply = Callable[[ExchangeAccount, News, SyncRun, Findings], OrdersOutcome]


def _sync_orders(
    account: ExchangeAccount,
    portfolios: Sequence[Portfolio],
    reads: OrderReads,
    run: SyncRun,
    whole: Collection[int],
    apply: Apply,
) -> tuple[OrdersOutcome, Findings]:
    outcome, findings = OrdersOutcome(), Findings()
    owners = {portfolio.pk: portfolio for portfolio in portfolios}
    orders = account.orders.filter(Q(portfolio__in=owners) | Q(portfolio=None))
    told = _waiting_or_told(orders, reads, whole)
    moved, outcome.checked = UnmovedOrders(account, reads).moved(told)
    found = _found(orders.filter(pk__in=moved), owners, reads)
    contradictions = Contradictions(found, reads)
    news = []
    for order in found:
        told_of_it = Told.of(order, reads)
        outcome.checked += bool(told_of_it.reports)
        if contradictions.freeze(order, findings):
            _leave(order, told_of_it, run, outcome)
            continue
        if told_of_it.reports:
            judge_reports(order, findings)
        if told_of_it.is_news_of(order):
            news.append((order, told_of_it))
    outcome.add(apply(account, news, run, findings))
    _count_denials(orders, reads.denied)
    return outcome, findings


def _apply_together(
    account: ExchangeAccount, news: News, run: SyncRun, findings: Findings
) -> OrdersOutcome:
    """Apply what is told of all; what is wrong with one of them raises."""
    outcome, batch = OrdersOutcome(), OrderBatch(account)
    stored = store_fills([(order, told.fills) for order, told in news], run)
    for (order, told), of_order in zip(news, stored, strict=True):
        outcome.changed += apply_facts(order, told, of_order, run, findings, batch)
        outcome.problems += _report_unknown_status(order, told.reports, run)
    batch.write()
    return outcome


def _apply_one_by_one(
    account: ExchangeAccount, news: News, run: SyncRun, findings: Findings
) -> OrdersOutcome:
    """Apply what is told of each, all or nothing: whatever is wrong with one order stays with that order."""
    outcome, batch = OrdersOutcome(), OrderBatch(account)
    for order, told in news:
        try:
            with transaction.atomic():
                [stored] = store_fills([(order, told.fills)], run)
                changed = apply_facts(order, told, stored, run, findings, batch)
                batch.write()
        except Exception as e:
            _record(order, e, "orders.apply", run)
            outcome.problems += 1
            outcome.failed.add((order.symbol, order.external_id))
            batch = OrderBatch(account)
            continue
        outcome.changed += changed
        outcome.problems += _report_unknown_status(order, told.reports, run)
    return outcome


def _waiting_or_told(
    orders: QuerySet[Order], reads: OrderReads, whole: Collection[int]
) -> QuerySet[Order]:
    is_told = Q(external_id__in=reads.ids) | Q(pk__in=list(reads.acknowledged))
    rows = orders.filter(Q(status__in=OPEN_STATUSES) | is_told)
    if not whole:
        return rows
    # Thousands of a new account, of which nobody has to look at any value.
    left = [pk for pk in rows.values_list("pk", flat=True) if pk not in whole]
    return orders.filter(pk__in=left)


def _found(
    orders: QuerySet[Order], owners: Mapping[int, Portfolio], reads: OrderReads
) -> list[Order]:
    """Load the orders with what they need to be brought up to date: by portfolio, oldest first."""
    places = {pk: place for place, pk in enumerate([*owners, None])}
    found = sorted(
        orders.order_by("pk"),
        # Not by the database: each has its own order of letters, and of times that are not told.
        key=lambda order: (
            places[order.portfolio_id],
            order.created_at or _EPOCH,
            order.external_id,
        ),
    )
    for order in found:
        order.portfolio = None if order.portfolio_id is None else owners[order.portfolio_id]
    news = [order for order in found if Told.of(order, reads).is_news_of(order)]
    prefetch_related_objects(news, "fills", "ledger_entries")
    return found


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


@dataclass(frozen=True, slots=True)
class Told:
    """What a snapshot tells of one order: its reports, the read of its own fills, what each read tells of those."""

    reports: Sequence[OrderReport]
    leg: Leg | None
    fills: Sequence[Sequence[FillReport]]

    @classmethod
    def of(cls, order: Order, reads: OrderReads) -> Self:
        reports = reads.of(order)
        external_id = order.external_id or next((x.external_id for x in reports), "")
        leg = reads.fills_leg(external_id, order.symbol)
        return cls(reports, leg, reads.fills_of(external_id, order.symbol))

    def __bool__(self) -> bool:
        return bool(self.reports or self.leg or self.fills)

    def is_news_of(self, order: Order) -> bool:
        return bool(self) and not _tells_nothing_new(order, self.reports, self.leg, self.fills)


def _leave(order: Order, told: Told, run: SyncRun, outcome: OrdersOutcome) -> None:
    """Note that something is told of an order that is frozen, and that nothing is applied."""
    if told:
        _record(order, UnexpectedReport(order.frozen_because), "orders.apply", run)
        outcome.problems += 1


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
    told: Told,
    stored: Stored,
    run: SyncRun | None,
    findings: Findings,
    batch: OrderBatch,
) -> bool:
    """Join what a snapshot tells of `order` and book what it moved; whether anything changed.

    Parameters
    ----------
    stored : Stored
        What `store_fills` made of the fills that are told.

    Raises
    ------
    UnexpectedReport
        If what was filled has no price.
    ValueError
        If a number has more digits than can be kept.
    """
    reports, leg = told.reports, told.leg
    known, was_wanted = order_state(order), order.fills_wanted
    was_missing = order.missing_since is not None and bool(reports)
    merged = _with_reports(order, known, reports, findings)
    findings.found += stored.findings
    opened_with = order.opening_filled
    correct_opening(order, merged, reports, run)
    is_corrected = order.opening_filled != opened_with
    said, merged = merged, _with_fills(merged, order)
    is_ahead = find_fills_ahead(order, said, reports, findings)
    order.fills_wanted = _fills_wanted(order, merged, reports, leg, is_ahead=is_ahead)
    find_in_state(order, merged, reports, leg, findings)
    if merged == known and not (stored.news or was_missing or is_corrected):
        if order.fills_wanted != was_wanted:
            batch.add(order)
        return False
    set_state(order, merged, is_found=bool(reports))
    require_lock(order)
    if not book_order(order, run, batch.journal):
        raise UnexpectedReport(
            f"Order {order.external_id} ({order.symbol}) is reported as filled without any price. "
            "Nothing was booked; it is tried again at the next sync."
        )
    _note_version(order, known, merged, run)
    batch.add(order)
    return True


def _with_reports(
    order: Order, known: OrderState, reports: Sequence[OrderReport], findings: Findings
) -> OrderState:
    """Join all reports of a snapshot, and tell what each says against the books."""
    for report in reports:
        if tells_undone(order, known, report):
            continue
        if not _is_overtaken(report, reports):
            findings.found += find_in_report(order, known, report)
        known = merged_order(known, report)
    return known


def _is_overtaken(report: OrderReport, reports: Iterable[OrderReport]) -> bool:
    """Whether another report of the same snapshot tells of more filled: then this one is only an older copy."""
    if report.filled is None:
        return False
    return any(other.filled is not None and other.filled > report.filled for other in reports)


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
    is_whole = is_told and not is_ahead and not _lacks_price(state)
    if is_whole and covers(known, order.opening_filled, state.filled):
        return 0
    if fills is None or fills.status in (LegStatus.FAILED, LegStatus.SKIPPED):
        return order.fills_wanted or FILL_READS
    if fills.status is LegStatus.UNSUPPORTED:
        return 0
    return max((order.fills_wanted or FILL_READS) - 1, 0)


def _lacks_price(state: OrderState) -> bool:
    """Whether an order has ended that was sent at a price, and that was left out."""
    return state.status.is_terminal and state.type is OrderType.LIMIT and state.price is None


def _note_version(order: Order, before: OrderState, after: OrderState, run: SyncRun | None) -> None:
    """Keep the terms that an amendment at the exchange has replaced."""
    if amendment(before, after):
        OrderVersion.objects.create(
            order=order,
            number=order.times_changed + 1,
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
