"""The baseline: what the account held when the books began, and which of the trades about that time it contains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, compress, product
from math import prod
from typing import Final

from django.db.models import Max, Q
from django.utils import timezone

from portfolios.amounts import difference, exact_sum, sums_by
from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Fill,
    LedgerEntry,
    Order,
    StoredLeg,
    SyncRun,
)
from portfolios.reconciliation.balances import NONE
from portfolios.reconciliation.baselines import (
    Trade,
    are_all_listed,
    are_booked,
    baseline_corrections,
    baseline_interval,
    leading_baseline,
    settled_baseline,
)
from portfolios.reconciliation.flows import UNSETTLED, flow_effect, told_until
from portfolios.reconciliation.verdicts import Effect, Interval, Window
from portfolios.services.accounts import lag
from portfolios.services.cursors import SHOWN_LATE
from portfolios.services.discrepancies import BALANCE_CODES
from portfolios.services.effects import (
    balance_legs,
    baseline_key,
    clock_error,
    expected_by_wallet,
    later_effects,
    observed_balances,
    window_of,
)
from portfolios.services.flows import may_have_been_held
from portfolios.services.journal import append_entries
from portfolios.services.ledger import flow_report, parts_of_fill
from providers.reports import FlowKind, FlowStatus, Leg, LegKind, LegStatus

ZERO = Decimal(0)
Cause = LedgerEntry.Cause
# Whether it is a fee, and its asset.
_Part = tuple[bool, str]
# What a fill has moved: what was traded, or a fee, signed by asset.
_Moved = tuple[Fill, bool, Mapping[str, Decimal]]
# What was moving at the time of the baseline has ended, or is told of, this long after it.
TOLD_WITHIN: Final = timedelta(days=1)
_STAMPED_BY: Final = timedelta(milliseconds=1)
# More of them take a worker's time and memory, while nobody else can write to the account.
_MOST_MIXTURES: Final = 10_000
# A deposit that is done had come this long after it was first seen.
_ARRIVES_WITHIN: Final = timedelta(days=14)


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
    happened then is told, also if some other movement without a record hides one of its assets.
    """
    if account.baseline_settled_at is not None or account.baseline_booked_at is None:
        return
    now = timezone.now()
    window = _window_of_baseline(account)
    if window is None:
        _settle(account, now)
        return
    leg = _telling_leg(account, legs, window)
    if leg is None:
        return
    if _is_proved_by(account, leg, window, run, now - account.baseline_booked_at):
        _settle(account, now)


def _is_proved_by(
    account: ExchangeAccount, leg: Leg, window: Window, run: SyncRun, age: timedelta
) -> bool:
    """Whether `leg` leaves no doubt of what the baseline contains; what it was wrong by is booked then."""
    streams = _trades(account, window)
    corrections = _mixtures(account, streams, window)
    found = _residuals(account, leg)
    if corrections == [{}]:
        # What does not agree may be told of only by a later list, should this one have left something out.
        return not any(found.values())
    uncertain = {asset for trades in streams for trade in trades for asset in trade.amounts}
    if age <= TOLD_WITHIN and not uncertain.isdisjoint(_moving(account, leg, window)):
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
        f"{baseline_key(leg.subject, asset)}:settled": (asset, amount)
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


def _settle(account: ExchangeAccount, now: datetime) -> None:
    account.baseline_settled_at = now
    account.save(update_fields=["baseline_settled_at"])


def _window_of_baseline(account: ExchangeAccount) -> Window | None:
    leg = StoredLeg.objects.filter(
        run=account.baseline_run, kind=LegKind.BALANCES, subject=account.wallets[0]
    ).first()
    return None if leg is None else _window_in_stamps(account, leg)


def _window_in_stamps(account: ExchangeAccount, leg: StoredLeg) -> Window:
    """Tell when something was read in times as exchanges stamp them: cut to the millisecond, and so often earlier."""
    window = window_of(leg, clock_error(account))
    return replace(window, low=window.low - _STAMPED_BY)


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


def _moving(account: ExchangeAccount, leg: Leg, window: Window) -> set[str]:
    """Name what was asked for by the baseline's time, and came or left about a later read's, or is leaving yet."""
    looked = window_of(leg, clock_error(account))
    about = (looked.low - lag(account), looked.high)
    is_leaving = Q(status__in=UNSETTLED, kind=FlowKind.WITHDRAWAL)
    asked = account.flows.filter(occurred_at__lte=window.high)
    flows = asked.filter(is_leaving | Q(settled_at__range=about))
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
    window = _window_of_baseline(account)
    if window is None:
        return {}
    streams = _trades(account, window)
    corrections = _mixtures(account, streams, window)
    is_listed = bool(corrections) and all(
        are_all_listed(trades, window, lag(account)) for trades in streams
    )
    doubts = {}
    for asset in sorted(
        {asset for trades in streams for trade in trades for asset in trade.amounts}
    ):
        amounts = {each[asset] for each in corrections if asset in each}
        interval = _interval(account, asset, streams, window)
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


def _trades(account: ExchangeAccount, window: Window) -> tuple[list[Trade], ...]:
    """List the trades about the time of the baseline: fills, and movements of three kinds, each in their own order."""
    return (
        _fills(account, window),
        _flows(account, window),
        _late_deposits(account, window),
        _late_withdrawals(account, window),
    )


def _mixtures(
    account: ExchangeAccount, streams: Sequence[Sequence[Trade]], window: Window
) -> list[Mapping[str, Decimal]]:
    """List what may have to be added: of each stream the first few may be held, in any mixture.

    There is always one; none if they are too many to be listed, which proves nothing.
    """
    each = [baseline_corrections(trades, window, lag(account)) for trades in streams]
    if prod(map(len, each)) > _MOST_MIXTURES:
        return []
    return [
        sums_by(chain.from_iterable(changes.items() for changes in mixture))
        for mixture in product(*each)
    ]


def _flows(account: ExchangeAccount, window: Window) -> list[Trade]:
    begins = window.low - lag(account)
    # One that failed is booked as being back, if the baseline is taken to have been without it.
    is_back = Q(kind=FlowKind.WITHDRAWAL, status=FlowStatus.FAILED, in_baseline=True)
    trades = []
    for flow in account.flows.filter(Q(status=FlowStatus.DONE) | is_back).order_by("pk"):
        # A withdrawal leaves when it is asked for, or when it is settled.
        settled_at = flow.settled_at if flow.status == FlowStatus.DONE else None
        times = [at for at in (settled_at, flow.occurred_at) if at is not None]
        about = (at if at > begins else min(told_until(at), window.high) for at in times)
        at = next((at for at in about if begins < at <= window.high), None)
        if at is not None:
            report = replace(flow_report(flow), status=FlowStatus.DONE)
            trades.append(Trade(at, flow_effect(report), flow.in_baseline))
    return trades


def _late_deposits(account: ExchangeAccount, window: Window) -> list[Trade]:
    """List the deposits, taken as held by the baseline, that may have been on their way then.

    The exchange says that they are done, not since when: they may have come until the look that told of them.
    """
    begins = window.low - lag(account)
    done = account.flows.filter(
        kind=FlowKind.DEPOSIT, status=FlowStatus.DONE, settled_at=None, in_baseline=True
    )
    seen = done.filter(occurred_at__gt=window.low - _ARRIVES_WITHIN, occurred_at__lte=begins)
    return [
        Trade(window.high, flow_effect(flow_report(flow)), is_in_baseline=True)
        for flow in seen.order_by("occurred_at", "pk")
    ]


def _late_withdrawals(account: ExchangeAccount, window: Window) -> list[Trade]:
    """List the withdrawals, taken as gone by the baseline, that may have left the account only later.

    What was in use when it was read did not tell: an order may have ended meanwhile.
    """
    begins = window.low - lag(account)
    done = account.flows.filter(
        kind=FlowKind.WITHDRAWAL,
        status=FlowStatus.DONE,
        in_baseline=True,
        occurred_at__lte=begins,
    ).exclude(settled_at__gt=begins, settled_at__lte=window.high)
    return [
        Trade(window.high, flow_effect(flow_report(flow)), is_in_baseline=True)
        for flow in done.order_by("occurred_at", "pk")
        if may_have_been_held(flow, window.low)
    ]


def _fills(account: ExchangeAccount, window: Window) -> list[Trade]:
    """List the fills about the time of the baseline, each fee apart that was booked later than what was traded.

    Orders are read before balances: what was filled in between is held by the baseline, and booked after it.
    """
    begins = _orders_read_at(account, window) - lag(account)
    later = account.fills.filter(executed_at__gt=begins)
    about = Q(executed_at__lte=window.high)
    # What was booked of an order may be of fills after that time.
    of_same_orders = Q(order__in=later.filter(about).exclude(order=None).values("order"))
    moved = [
        (fill, number > 0, amounts)
        for fill in later.filter(about | of_same_orders).order_by("-executed_at", "-pk")
        for number, amounts in enumerate(parts_of_fill(fill))
    ]
    booked = _booked_since_baseline(account, moved)
    # By fill, and whether the baseline is taken to hold it.
    parts: defaultdict[tuple[Fill, bool], list[tuple[str, Decimal]]] = defaultdict(list)
    for number, (fill, _, amounts) in enumerate(moved):
        at = fill.executed_at or window.low
        is_in = at <= (account.baseline_at or at)
        if fill.order_id is not None:
            is_in = number not in booked
        if at <= window.high:
            parts[fill, is_in] += amounts.items()
    return [
        Trade(fill.executed_at or window.low, sums_by(amounts), is_in)
        for (fill, is_in), amounts in reversed(parts.items())
    ]


def _booked_since_baseline(account: ExchangeAccount, moved: Sequence[_Moved]) -> set[int]:
    """Tell which movements of orders were booked since the baseline, by their places in `moved`, newest first.

    Times do not tell it: a fill that was made before the balances were read, and told only after, is booked.
    """
    places: defaultdict[int, defaultdict[_Part, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, (fill, is_fee, amounts) in enumerate(moved):
        if fill.order_id is not None:
            places[fill.order_id][is_fee, next(iter(amounts))].append(number)
    booked: set[int] = set()
    for order in account.orders.filter(pk__in=places):
        sums = _booked_since(account, order)
        for part, numbers in places[order.pk].items():
            changes = [moved[number][2][part[1]] for number in numbers]
            found = are_booked(changes, sums.get(part, ZERO))
            booked.update(compress(numbers, found))
    return booked


def _orders_read_at(account: ExchangeAccount, window: Window) -> datetime:
    """Tell when the baseline's run first asked for open orders, at the latest when it asked for balances."""
    legs = StoredLeg.objects.filter(
        run=account.baseline_run, kind__in=(LegKind.OPEN_ORDERS, LegKind.TRIGGER_ORDERS)
    )
    return min([window.low, *(_window_in_stamps(account, leg).low for leg in legs)])


def _booked_since(account: ExchangeAccount, order: Order) -> dict[_Part, Decimal]:
    """Sum what was booked of an order since the baseline, whoever it belongs to."""
    since = order.ledger_entries.filter(pk__gt=account.baseline_last_entry or 0)
    entries = since.exclude(run=account.baseline_run).values_list("cause", "asset", "amount")
    return sums_by(((cause == Cause.FEE, asset), amount) for cause, asset, amount in entries)
