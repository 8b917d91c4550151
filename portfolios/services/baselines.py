"""The baseline: what the account held when the books began, and which of the trades about that time it contains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.utils import timezone

from portfolios.amounts import difference
from portfolios.models import ExchangeAccount, LedgerEntry, StoredLeg, SyncRun
from portfolios.reconciliation.balances import judgement
from portfolios.reconciliation.baselines import Trade, baseline_corrections, settled_baseline
from portfolios.reconciliation.flows import flow_effect
from portfolios.reconciliation.verdicts import Window
from portfolios.services.accounts import lag
from portfolios.services.balances import (
    balance_legs,
    baseline_key,
    expected_by_wallet,
    expected_then,
    observed_balances,
)
from portfolios.services.ledger import append_entries, flow_report, moved_by_fill
from providers.reports import FlowStatus, Leg, LegKind, LegStatus

ZERO = Decimal(0)
# A baseline that was not proved by then is taken as it is.
PROVED_WITHIN: Final = timedelta(days=1)


def set_baseline(account: ExchangeAccount, leg: Leg, run: SyncRun) -> None:
    """Take a wallet as it is: what no portfolio claims is unassigned, whatever its sign.

    Only later change is judged.
    """
    held = observed_balances(leg)
    claimed = expected_by_wallet(account).get(leg.subject, {})
    amounts = {}
    for asset in sorted(held.keys() | claimed.keys()):
        total = judgement(ZERO, held.get(asset)).total
        if total is not None:
            amounts[asset] = difference(total, claimed.get(asset, ZERO))
    _book(
        account, {baseline_key(leg.subject, asset): (asset, x) for asset, x in amounts.items()}, run
    )
    account.baseline_at = leg.requested_at + timedelta(seconds=leg.clock_offset)
    account.baseline_booked_at, account.baseline_run = timezone.now(), run
    account.save(update_fields=["baseline_at", "baseline_booked_at", "baseline_run"])


def settle_baseline(account: ExchangeAccount, legs: Sequence[Leg], run: SyncRun) -> None:
    """Prove which trades about its time the baseline contains, by the first later look that leaves no doubt.

    The baseline was a read like any other: it may have been behind, or have been answered after a trade that the books
    took as later. What is corrected is exactly such a trade, and only if that makes every asset agree.
    """
    if account.baseline_settled_at is not None or account.baseline_booked_at is None:
        return
    window = _window_of_baseline(account)
    now = timezone.now()
    if window is None or now - account.baseline_booked_at > PROVED_WITHIN:
        _settle(account, now)
        return
    leg = _telling_leg(account, legs, window)
    if leg is None:
        return
    residuals = _residuals(account, leg)
    if not any(residuals.values()):
        _settle(account, now)
        return
    corrections = baseline_corrections(_trades(account, window), window, lag(account))
    proved = settled_baseline(residuals, corrections)
    if proved is not None:
        wallet = leg.subject
        entries = {
            f"{baseline_key(wallet, asset)}:settled": (asset, amount)
            for asset, amount in sorted(corrections[proved].items())
        }
        _book(account, entries, run)
        _settle(account, now)


def _book(
    account: ExchangeAccount, amounts: Mapping[str, tuple[str, Decimal]], run: SyncRun
) -> None:
    entries = [
        LedgerEntry(
            account=account,
            asset=asset,
            amount=amount,
            cause=LedgerEntry.Cause.BASELINE,
            run=run,
            key=key,
        )
        for key, (asset, amount) in amounts.items()
        if amount
    ]
    append_entries(entries)


def _settle(account: ExchangeAccount, now: datetime) -> None:
    account.baseline_settled_at = now
    account.save(update_fields=["baseline_settled_at"])


def _window_of_baseline(account: ExchangeAccount) -> Window | None:
    leg = StoredLeg.objects.filter(
        run=account.baseline_run, kind=LegKind.BALANCES, subject=account.wallets[0]
    ).first()
    if leg is None:
        return None
    offset = timedelta(seconds=leg.clock_offset)
    return Window(leg.requested_at + offset, leg.responded_at + offset)


def _telling_leg(account: ExchangeAccount, legs: Sequence[Leg], window: Window) -> Leg | None:
    """Find the read of the trading wallet if nothing happened shortly before it, and lists were read since."""
    trading = account.wallets[0]
    read = [leg for leg in balance_legs(legs) if leg.subject == trading and leg.complete]
    lists = [leg for leg in legs if leg.kind in (LegKind.ACCOUNT_FILLS, LegKind.FLOWS)]
    is_told = any(leg.status is LegStatus.OBSERVED for leg in lists)
    if not read or not is_told or any(leg.status is LegStatus.FAILED for leg in lists):
        return None
    offset = timedelta(seconds=read[0].clock_offset)
    begins = read[0].requested_at + offset - lag(account)
    ends = read[0].responded_at + offset
    is_busy = account.fills.filter(executed_at__gt=begins, executed_at__lte=ends).exists()
    return None if is_busy or begins <= window.high else read[0]


def _residuals(account: ExchangeAccount, leg: Leg) -> dict[str, Decimal]:
    held = observed_balances(leg)
    expected = expected_then(account, expected_by_wallet(account).get(leg.subject, {}), leg)
    judged = {
        asset: judgement(expected.get(asset, ZERO), held.get(asset)).residual
        for asset in held.keys() | expected.keys()
    }
    return {asset: residual for asset, residual in judged.items() if residual is not None}


def _trades(account: ExchangeAccount, window: Window) -> list[Trade]:
    """List what moved about the time of the baseline, and whether the books take it as contained."""
    begins, baseline_at = window.low - lag(account), account.baseline_at or window.low
    fills = account.fills.filter(executed_at__gt=begins, executed_at__lte=window.high)
    trades = []
    for fill in fills:
        if fill.executed_at is not None:
            is_in = fill.executed_at <= baseline_at
            trades.append(Trade(fill.executed_at, moved_by_fill(fill), is_in))
    for flow in account.flows.all():
        at = flow.settled_at or flow.occurred_at
        report = flow_report(flow)
        if at is not None and begins < at <= window.high and report.status is FlowStatus.DONE:
            trades.append(Trade(at, flow_effect(report), flow.in_baseline))
    return trades
