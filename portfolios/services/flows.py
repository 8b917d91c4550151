"""Deposits, withdrawals, transfers, rewards: only what the exchange's own records say, in the unassigned part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from operator import attrgetter
from typing import Any, Final

from django.utils import timezone

from portfolios.amounts import amount, difference, exact_sum
from portfolios.models import Discrepancy, ExchangeAccount, Flow, StoredLeg, SyncRun
from portfolios.models.choices import Severity
from portfolios.reconciliation.execution import OrderFacts, lock
from portfolios.reconciliation.flows import UNSETTLED as UNSETTLED
from portfolios.reconciliation.flows import flow_effect, is_in_baseline, merged_flow
from portfolios.services.cursors import overlap
from portfolios.services.discrepancies import Finding, Findings
from portfolios.services.fills import fee_rows
from portfolios.services.ledger import book_flow, flow_report
from portfolios.services.legs import leg_rows
from providers.mapping import base_and_quote, has_made_id
from providers.reports import FlowKind, FlowReport, FlowStatus, Leg, LegKind, OrderSide

FIELDS: Final = (
    "amount",
    "status",
    "raw_kind",
    "raw_status",
    "occurred_at",
    "settled_at",
)
# More pending movements of one asset than this are not tried in every combination.
_FEW: Final = 10
# A withdrawal that is done, the exchange does not say when, had left this long after it was asked for.
_LEAVES_WITHIN: Final = timedelta(days=1)
_ENDED: Final = (FlowStatus.DONE, FlowStatus.FAILED)
_ORDER_LISTS: Final = (LegKind.OPEN_ORDERS, LegKind.TRIGGER_ORDERS)


def flow_rows(legs: Iterable[Leg]) -> list[FlowReport]:
    """List what the legs tell of flows, in an order of their own."""
    rows = {
        (row.source, row.external_id, row.asset, row.status): row
        for leg in legs
        for row in leg.rows
        if isinstance(row, FlowReport)
    }
    return [rows[key] for key in sorted(rows, key=str)]


def sync_flows(
    account: ExchangeAccount, rows: Sequence[FlowReport], run: SyncRun, findings: Findings
) -> int:
    """Join what the exchange records into the account's flows and book it; how many changed."""
    stored = {(flow.source, flow.external_id, flow.asset): flow for flow in account.flows.all()}
    decided = {flow.pk for flow in stored.values() if flow.status}
    news = []
    for row in rows:
        flow = stored.get((row.source, row.external_id, row.asset)) or _same(row, stored.values())
        flow, is_news = _joined(account, flow, row)
        stored[flow.source, flow.external_id, flow.asset] = flow
        if is_news:
            news.append(flow)
    if news:
        _note_what_was_held(account, stored.values(), decided)
    for flow in news:
        book_flow(flow, run)
    known = sorted({flow.pk: flow for flow in stored.values()}.values(), key=attrgetter("pk"))
    booked = _book_what_is_held(known, run)
    _find_flows(account, known, findings)
    return len(news) + booked


def _same(row: FlowReport, stored: Iterable[Flow]) -> Flow | None:
    """Find the movement that was told once with its id and once without."""
    return next(
        (
            flow
            for flow in stored
            if has_made_id(flow.external_id) != has_made_id(row.external_id)
            and (flow.source, flow.kind, flow.asset) == (row.source, row.kind, row.asset)
            and (flow.amount, flow.occurred_at) == (row.amount, row.occurred_at)
        ),
        None,
    )


def _joined(account: ExchangeAccount, flow: Flow | None, row: FlowReport) -> tuple[Flow, bool]:
    if flow is None:
        flow = _new_flow(account, row)
        flow.save()
        return flow, True
    is_named_now = has_made_id(flow.external_id) and not has_made_id(row.external_id)
    if is_named_now:
        flow.external_id = row.external_id
    known = flow_report(flow)
    merged = merged_flow(known, row)
    if merged == known:
        if is_named_now:
            flow.save(update_fields=["external_id"])
        return flow, False
    for name in FIELDS:
        setattr(flow, name, getattr(merged, name) or getattr(flow, name))
    flow.fees, flow.fees_status = fee_rows(merged.fees), merged.fees_status or ""
    if merged.status != known.status:
        flow.told_at = timezone.now()
    if known.status is None:
        flow.in_baseline = _is_in_baseline(flow)
    flow.save()
    return flow, True


def _new_flow(account: ExchangeAccount, row: FlowReport) -> Flow:
    flow = Flow(
        account=account,
        source=row.source,
        external_id=row.external_id,
        kind=row.kind,
        wallet=row.wallet,
        asset=row.asset,
        amount=row.amount,
        fees=fee_rows(row.fees),
        status=row.status or "",
        raw_kind=row.raw_kind[:64],
        raw_status=row.raw_status[:64],
        occurred_at=row.occurred_at,
        settled_at=row.settled_at,
        told_at=timezone.now(),
    )
    flow.in_baseline = _is_in_baseline(flow) and not _came_since(flow)
    return flow


def _came_since(flow: Flow) -> bool:
    """Whether a deposit that is told for the first time, done but not since when, came after the baseline.

    While the baseline is not settled the balances tell. After that the list does: it was read over the deposit's time
    before and did not have it, so it had not come. If it had, and was only listed late, the balance will be short by it
    from now on: that is shown, while a deposit that is taken as held is never looked for again.
    """
    is_undated = flow.settled_at is None and flow.occurred_at is not None
    if flow.kind != FlowKind.DEPOSIT or flow.status != FlowStatus.DONE or not is_undated:
        return False
    account = flow.account
    if account.baseline_settled_at is None or flow.occurred_at is None:
        return False
    listed = account.cursors.filter(
        kind=LegKind.FLOWS,
        subject=flow.source,
        covered_until__gt=flow.occurred_at + overlap(account),
    )
    return listed.exists()


def _is_in_baseline(flow: Flow) -> bool:
    baseline_at = flow.account.baseline_at
    if baseline_at is None:
        return False
    return is_in_baseline(flow_report(flow), baseline_at)


def _note_what_was_held(
    account: ExchangeAccount, flows: Iterable[Flow], decided: Container[int]
) -> None:
    """Note which withdrawals that had been asked for the baseline contains: some exchanges lock them until they leave.

    The read that the baseline was taken from tells: more was in use than its orders locked. What was locked is counted
    once: if it is less than all that may have been held, nobody knows which it was, and none is taken as held.

    Parameters
    ----------
    decided : container of int
        Primary keys of the flows of which it was decided at an earlier look.
    """
    if account.baseline_at is None:
        return
    possible: defaultdict[tuple[str, str], dict[int, Flow]] = defaultdict(dict)
    for flow in flows:
        if may_have_been_held(flow, account.baseline_at):
            possible[flow.wallet, flow.asset][flow.pk] = flow
    for of_asset in possible.values():
        new = [flow for pk, flow in of_asset.items() if pk not in decided]
        left = exact_sum(done_effect(flow) for flow in of_asset.values()).copy_negate()
        locked = _locked_beyond_orders(new[0], account.baseline_run) if new else None
        if locked is not None and locked >= left:
            for flow in new:
                flow.in_baseline = False
                flow.save(update_fields=["in_baseline"])


def may_have_been_held(flow: Flow, baseline_at: datetime) -> bool:
    """Whether the withdrawal had been asked for before the baseline, and may have left after it."""
    report = flow_report(flow)
    is_asked_for = flow.kind == FlowKind.WITHDRAWAL and is_in_baseline(report, baseline_at)
    if not is_asked_for or done_effect(flow) >= 0:
        return False
    if report.status not in _ENDED:
        return True
    if report.settled_at is not None:
        return report.settled_at > baseline_at
    return report.occurred_at is not None and baseline_at - report.occurred_at <= _LEAVES_WITHIN


def _book_what_is_held(flows: Iterable[Flow], run: SyncRun) -> int:
    """Book withdrawals on their way that the account still holds, though their time is that of the baseline or before.

    Told to the second only, they may have been asked for after it. The read of `run` tells: what is in use beyond its
    orders is all of what is on its way, so the exchange locks it until it leaves, and the baseline contains it.
    """
    on_way = [
        flow
        for flow in flows
        if flow.kind == FlowKind.WITHDRAWAL and flow.status == FlowStatus.PENDING
    ]
    booked = 0
    for flow in [flow for flow in on_way if flow.in_baseline]:
        of_asset = [
            each for each in on_way if (each.asset, each.wallet) == (flow.asset, flow.wallet)
        ]
        left = exact_sum(done_effect(each) for each in of_asset).copy_negate()
        if left > 0 and _locked_beyond_orders(flow, run) == left:
            flow.in_baseline = False
            flow.save(update_fields=["in_baseline"])
            booked += book_flow(flow, run)
    return booked


def _locked_beyond_orders(flow: Flow, run: SyncRun | None) -> Decimal | None:
    """Tell how much of the flow's asset was in use in its wallet when `run` read it, but for what orders locked.

    None if either was not told.
    """
    balances = StoredLeg.objects.filter(run=run, kind=LegKind.BALANCES, subject=flow.wallet).first()
    if balances is None:
        return None
    used = [row["used"] for row in leg_rows(balances) if row["asset"] == flow.asset]
    # An order that waits for a price may be in both lists.
    orders = {
        (row["symbol"], row["external_id"], row["client_order_id"]): row
        for leg in balances.run.legs.filter(kind__in=_ORDER_LISTS)
        for row in leg_rows(leg)
    }
    locked = _locked(orders.values(), flow.asset)
    if not used or used[0] is None or locked is None:
        return None
    return difference(amount(used[0]), locked)


def _locked(orders: Iterable[dict[str, Any]], asset: str) -> Decimal | None:
    """Sum what orders lock of an asset; None if the lock of one of them cannot be told."""
    locks = []
    for row in orders:
        base, quote = base_and_quote(row["symbol"])
        is_buy = row["side"] == OrderSide.BUY
        at_stake = {OrderSide.BUY: (quote,), OrderSide.SELL: (base,)}
        if asset not in at_stake.get(row["side"], (base, quote)):
            continue
        told = [row["side"], row["amount"], row["filled"], row["price"] if is_buy else "0"]
        if None in told:
            return None
        facts = OrderFacts(
            base, quote, OrderSide(row["side"]), amount(row["filled"]), amount(row["price"] or "0")
        )
        locks.append(lock(facts, difference(amount(row["amount"]), facts.filled))[1])
    return exact_sum(locks)


def done_effect(flow: Flow) -> Decimal:
    """Tell what the flow has moved of its asset once it is done."""
    done = replace(flow_report(flow), status=FlowStatus.DONE)
    return flow_effect(done).get(flow.asset, Decimal(0))


def pending_sums(account: ExchangeAccount, asset: str) -> set[Decimal]:
    """Every sum by which a balance may be beyond the books while movements are on their way.

    A withdrawal may be there still, a deposit already.
    """
    effects = [
        done_effect(flow).copy_abs()
        for flow in account.flows.filter(
            asset=asset, status__in=UNSETTLED, in_baseline=False
        ).exclude(kind=FlowKind.OTHER)
    ]
    chosen = product((False, True), repeat=len(effects[:_FEW]))
    return {
        exact_sum(effect for effect, is_in in zip(effects, mask, strict=False) if is_in)
        for mask in chosen
    }


def _find_flows(account: ExchangeAccount, flows: Iterable[Flow], findings: Findings) -> None:
    codes = (Discrepancy.Code.FLOW_UNCLASSIFIED, Discrepancy.Code.FLOW_PENDING)
    findings.judged |= findings.live(account, *codes)
    later = [flow for flow in flows if not flow.in_baseline]
    for flow in (flow for flow in later if flow.kind == FlowKind.OTHER):
        findings.add(
            Finding(
                key=f"flow:{flow.pk}",
                code=Discrepancy.Code.FLOW_UNCLASSIFIED,
                severity=Severity.WARNING,
                wallet=flow.wallet,
                asset=flow.asset,
                difference=flow.amount,
                cause=f"the exchange calls it {flow.raw_kind}",
            )
        )
    for flow in later:
        if flow.kind == FlowKind.OTHER or flow.status not in UNSETTLED:
            continue
        findings.add(
            Finding(
                key=f"flow:{flow.pk}:pending",
                code=Discrepancy.Code.FLOW_PENDING,
                severity=Severity.NOTICE,
                wallet=flow.wallet,
                asset=flow.asset,
                difference=flow.amount,
                cause=f"{flow.kind} on its way",
            )
        )
