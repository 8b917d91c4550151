"""The baseline: what the account held when the books began, and which of the trades about that time it contains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, product
from math import prod
from typing import Final

from django.db.models import Max, Q
from django.utils import timezone

from portfolios.amounts import difference, exact_sum, sums_by
from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    LedgerEntry,
    SyncRun,
)
from portfolios.reconciliation.balances import NONE
from portfolios.reconciliation.baselines import (
    Trade,
    are_all_listed,
    baseline_corrections,
    baseline_interval,
    leading_baseline,
    settled_baseline,
)
from portfolios.reconciliation.flows import UNSETTLED
from portfolios.reconciliation.verdicts import Effect, Interval, Window
from portfolios.services.accounts import lag
from portfolios.services.baseline_trades import trades_about, window_of_baseline
from portfolios.services.cursors import CLOCK_ERROR, SHOWN_LATE
from portfolios.services.discrepancies import BALANCE_CODES
from portfolios.services.effects import (
    SETTLED,
    balance_legs,
    baseline_key,
    clock_error,
    expected_by_wallet,
    later_effects,
    observed_balances,
    settled_key,
    window_of,
)
from portfolios.services.journal import append_entries
from providers.reports import FillReport, FlowKind, FlowReport, Leg, LegKind, LegStatus

ZERO = Decimal(0)
Cause = LedgerEntry.Cause
# What was moving at the time of the baseline has ended, or is told of, this long after it.
TOLD_WITHIN: Final = timedelta(days=1)
# More of them take a worker's time and memory, while nobody else can write to the account.
_MOST_MIXTURES: Final = 10_000


def set_baseline(account: ExchangeAccount, leg: Leg, run: SyncRun) -> None:
    """Take a wallet as it is: what no portfolio claims is unassigned, whatever its sign.

    Only later change is judged.
    """
    held = observed_balances(leg)
    claimed = expected_by_wallet(account).get(leg.subject, {})
    amounts = {}
    for asset in sorted(held.keys() | claimed.keys()):
        total = held[asset].total if asset in held else ZERO
        if total is not None:
            amounts[asset] = difference(total, claimed.get(asset, ZERO))
    _book(
        account, {baseline_key(leg.subject, asset): (asset, x) for asset, x in amounts.items()}, run
    )
    account.baseline_at = leg.requested_at + timedelta(seconds=leg.clock_offset)
    account.baseline_booked_at, account.baseline_run = timezone.now(), run
    account.baseline_last_entry = account.ledger_entries.aggregate(last=Max("pk"))["last"] or 0
    names = ("baseline_at", "baseline_booked_at", "baseline_run", "baseline_last_entry")
    account.save(update_fields=names)


def settle_baseline(account: ExchangeAccount, legs: Sequence[Leg], run: SyncRun) -> None:
    """Prove which trades about its time the baseline contains, by the first later look that leaves no doubt.

    The baseline was a read like any other: it may have been behind, or have been answered after a trade that the books
    took as later. What is corrected is exactly such a trade, and only if that makes every asset agree; once all that
    happened then is told, also if some other movement without a record hides one of its assets. What is told of that
    time only later opens it again; so do looks that undo the correction: the one that proved it was of an old balance.
    """
    if account.baseline_booked_at is None:
        return
    is_settled = account.baseline_settled_at is not None
    is_undone = is_settled and _is_undone(account)
    if is_settled and not is_undone and not _tells_of_baseline(account, legs):
        return
    window = window_of_baseline(account)
    if window is None:
        _settle(account, trades=0)
        return
    streams = trades_about(account, window)
    trades = sum(map(len, streams))
    if is_settled:
        if trades <= (account.baseline_trades or 0) and not is_undone:
            return
        _note_settled(account, None)
    leg = _telling_leg(account, legs, window)
    if leg is not None and _is_proved_by(account, leg, window, streams, run):
        _settle(account, trades)


def _tells_of_baseline(account: ExchangeAccount, legs: Sequence[Leg]) -> bool:
    """Whether a list tells anything of the baseline's time, or of a movement that may have been on its way then."""
    if account.baseline_at is None:
        return False
    until = account.baseline_at + lag(account) + 2 * CLOCK_ERROR
    times = [
        row.executed_at if isinstance(row, FillReport) else row.occurred_at
        for leg in legs
        for row in leg.rows
        if isinstance(row, FillReport | FlowReport)
    ]
    return any(at is not None and at <= until for at in times)


def _is_undone(account: ExchangeAccount) -> bool:
    """Whether just what the baseline was corrected by is what an asset differs by since."""
    corrected = _corrected(account) if account.baseline_trades else {}
    if not corrected:
        return False
    live = account.discrepancies.filter(state__in=Discrepancy.LIVE, code__in=BALANCE_CODES)
    differing = live.filter(wallet=account.wallets[0]).values_list("asset", "difference")
    return any(
        amount and corrected.get(asset) == amount.copy_negate() for asset, amount in differing
    )


def _is_proved_by(
    account: ExchangeAccount,
    leg: Leg,
    window: Window,
    streams: Sequence[Sequence[Trade]],
    run: SyncRun,
) -> bool:
    """Whether `leg` leaves no doubt of what the baseline contains; what it was wrong by is booked then."""
    now = timezone.now()
    age = now - (account.baseline_booked_at or now)
    corrections = _mixtures(account, streams, window)
    found = _residuals(account, leg)
    if corrections == [{}]:
        # What does not agree may be told of only by a later list, should this one have left something out.
        return not any(found.values())
    uncertain = {asset for trades in streams for trade in trades for asset in trade.amounts}
    if not uncertain.isdisjoint(_moving(account, leg, window, is_awaited=age <= TOLD_WITHIN)):
        return False
    # What else does not agree has nothing to do with them.
    residuals = {asset: residual for asset, residual in found.items() if asset in uncertain}
    if not corrections:
        return age > TOLD_WITHIN and not any(residuals.values())
    proved = settled_baseline(residuals, corrections)
    if proved is None and age > SHOWN_LATE:
        proved = _leading(account, residuals, corrections)
    if proved is None:
        return False
    entries = {
        f"{settled_key(leg.subject, asset)}{run.pk}": (asset, amount)
        for asset, amount in sorted(corrections[proved].items())
    }
    _book(account, entries, run)
    return True


def _leading(
    account: ExchangeAccount,
    residuals: Mapping[str, Decimal],
    corrections: Sequence[Mapping[str, Decimal]],
) -> int | None:
    """Find what leads, if an earlier look saw the rest too: what the lists lack at first, as a fee, they tell later."""
    leading = leading_baseline(residuals, corrections)
    if leading is None:
        return None
    left = {asset for asset, x in residuals.items() if x != corrections[leading].get(asset, ZERO)}
    live = account.discrepancies.filter(state__in=Discrepancy.LIVE, code__in=BALANCE_CODES)
    seen = live.filter(wallet=account.wallets[0]).values_list("asset", flat=True)
    return leading if left.issubset(seen) else None


def _book(
    account: ExchangeAccount, amounts: Mapping[str, tuple[str, Decimal]], run: SyncRun
) -> None:
    entries = [
        LedgerEntry(
            account=account,
            asset=asset,
            amount=amount,
            cause=Cause.BASELINE,
            run=run,
            key=key,
        )
        for key, (asset, amount) in amounts.items()
        if amount
    ]
    append_entries(entries)


def _settle(account: ExchangeAccount, trades: int) -> None:
    account.baseline_trades = trades
    _note_settled(account, timezone.now())


def _note_settled(account: ExchangeAccount, at: datetime | None) -> None:
    account.baseline_settled_at = at
    account.save(update_fields=["baseline_settled_at", "baseline_trades"])


def _telling_leg(account: ExchangeAccount, legs: Sequence[Leg], window: Window) -> Leg | None:
    """Find the read of the trading wallet if nothing happened shortly before it, and lists were read since."""
    trading = account.wallets[0]
    read = [leg for leg in balance_legs(legs) if leg.subject == trading and leg.complete]
    lists = [leg for leg in legs if leg.kind in (LegKind.ACCOUNT_FILLS, LegKind.FLOWS)]
    observed = [leg for leg in lists if leg.status is LegStatus.OBSERVED]
    if not read or not observed or any(leg.status is LegStatus.FAILED for leg in lists):
        return None
    # Lists that tell nothing may be none that are told: it takes a second look.
    unsure = account.cursors.filter(covered_until__lte=window.high)
    is_told = any(leg.rows for leg in observed) or not unsure.exists()
    looked = window_of(read[0], clock_error(account))
    begins = looked.low - lag(account)
    is_busy = account.fills.filter(executed_at__gt=begins, executed_at__lte=looked.high).exists()
    return read[0] if is_told and not is_busy and begins > window.high else None


def _moving(account: ExchangeAccount, leg: Leg, window: Window, *, is_awaited: bool) -> set[str]:
    """Name what was asked for by the baseline's time, and came or left about a later read's.

    Or is leaving yet, as long as that is awaited: some never end.
    """
    looked = window_of(leg, clock_error(account))
    about = (looked.low - lag(account), looked.high)
    is_moving = Q(settled_at__range=about)
    if is_awaited:
        is_moving |= Q(status__in=UNSETTLED, kind=FlowKind.WITHDRAWAL)
    flows = account.flows.filter(is_moving, occurred_at__lte=window.high)
    return {fee["asset"] for flow in flows for fee in flow.fees} | {flow.asset for flow in flows}


def _residuals(account: ExchangeAccount, leg: Leg) -> dict[str, Decimal]:
    held = observed_balances(leg)
    expected = expected_by_wallet(account).get(leg.subject, {})
    later = later_effects(account, leg.responded_at + timedelta(seconds=leg.clock_offset))
    totals = {asset: held[asset].total if asset in held else ZERO for asset in held | expected}
    return {
        asset: exact_sum((total, later.get(asset, ZERO), expected.get(asset, ZERO).copy_negate()))
        for asset, total in totals.items()
        if total is not None
    }


@dataclass(frozen=True, slots=True)
class Doubt:
    """What may have to be added to the books of one asset, since the baseline is not settled.

    Parameters
    ----------
    is_listed : bool
        Whether it is nothing or one of `corrections`, and no other amount within the interval.
    """

    interval: Interval = NONE
    corrections: tuple[Decimal, ...] = ()
    is_listed: bool = False


def baseline_doubts(account: ExchangeAccount) -> dict[str, Doubt]:
    """Tell by asset what the baseline may be wrong by; nothing once it is settled."""
    if account.baseline_settled_at is not None or account.baseline_run_id is None:
        return {}
    window = window_of_baseline(account)
    if window is None:
        return {}
    streams = trades_about(account, window)
    corrections = _mixtures(account, streams, window)
    is_listed = bool(corrections) and all(
        are_all_listed(trades, window, lag(account)) for trades in streams
    )
    doubts, corrected = {}, _corrected(account)
    for asset in sorted(
        {asset for trades in streams for trade in trades for asset in trade.amounts}
    ):
        amounts = {each[asset] for each in corrections if asset in each}
        known = Interval.of(corrected.get(asset, ZERO))
        interval = replace(_interval(account, asset, streams, window) + -known, point=ZERO)
        doubts[asset] = Doubt(interval, tuple(sorted(amounts)), is_listed)
    return doubts


def _interval(
    account: ExchangeAccount, asset: str, streams: Sequence[Sequence[Trade]], window: Window
) -> Interval:
    trades = [
        (str(number), trade)
        for number, stream in enumerate(streams)
        for trade in stream
        if asset in trade.amounts
    ]
    effects = [Effect(trade.at, trade.amounts[asset], stream) for stream, trade in trades]
    assumed = exact_sum(trade.amounts[asset] for _, trade in trades if trade.is_in_baseline)
    return baseline_interval(effects, window, lag(account), assumed)


def _mixtures(
    account: ExchangeAccount, streams: Sequence[Sequence[Trade]], window: Window
) -> list[Mapping[str, Decimal]]:
    """List what may have to be added: of each stream the first few may be held, in any mixture.

    There is always one; none if they are too many to be listed, which proves nothing.
    """
    each = [baseline_corrections(trades, window, lag(account)) for trades in streams]
    if prod(map(len, each)) > _MOST_MIXTURES:
        return []
    known = {asset: amount.copy_negate() for asset, amount in _corrected(account).items()}
    return [
        _without_zeros(chain(known.items(), *(changes.items() for changes in mixture)))
        for mixture in product(*each)
    ]


def _corrected(account: ExchangeAccount) -> dict[str, Decimal]:
    """Sum by asset what the baseline was corrected by already."""
    booked = account.ledger_entries.filter(
        cause=Cause.BASELINE,
        key__startswith=baseline_key(account.wallets[0]),
        key__contains=SETTLED,
    )
    return sums_by(booked.values_list("asset", "amount"))


def _without_zeros(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    return {asset: amount for asset, amount in sums_by(amounts).items() if amount}
