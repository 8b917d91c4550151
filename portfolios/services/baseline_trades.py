"""What is told of about the time of the baseline, which may contain it or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import compress
from typing import Final

from django.db.models import Q

from portfolios.amounts import sums_by
from portfolios.models import ExchangeAccount, Fill, LedgerEntry, Order, StoredLeg
from portfolios.reconciliation.baselines import Trade, are_booked
from portfolios.reconciliation.flows import flow_effect, told_until
from portfolios.reconciliation.verdicts import Window
from portfolios.services.accounts import lag
from portfolios.services.effects import clock_error, window_of
from portfolios.services.flows import may_have_been_held
from portfolios.services.ledger import flow_report, parts_of_fill
from providers.reports import FlowKind, FlowStatus, LegKind

ZERO = Decimal(0)
Cause = LedgerEntry.Cause
# Whether it is a fee, and its asset.
_Part = tuple[bool, str]
# What a fill has moved: what was traded, or a fee, signed by asset.
_Moved = tuple[Fill, bool, Mapping[str, Decimal]]
_STAMPED_BY: Final = timedelta(milliseconds=1)
# A deposit that is done had come this long after it was first seen.
_ARRIVES_WITHIN: Final = timedelta(days=14)


def window_of_baseline(account: ExchangeAccount) -> Window | None:
    leg = StoredLeg.objects.filter(
        run=account.baseline_run, kind=LegKind.BALANCES, subject=account.wallets[0]
    ).first()
    return None if leg is None else _window_in_stamps(account, leg)


def _window_in_stamps(account: ExchangeAccount, leg: StoredLeg) -> Window:
    """Tell when something was read in times as exchanges stamp them: cut to the millisecond, and so often earlier."""
    window = window_of(leg, clock_error(account))
    return replace(window, low=window.low - _STAMPED_BY)


def trades_about(account: ExchangeAccount, window: Window) -> tuple[list[Trade], ...]:
    """List the trades about the time of the baseline: fills, and movements of three kinds, each in their own order."""
    return (
        _fills(account, window),
        _flows(account, window),
        _late_deposits(account, window),
        _late_withdrawals(account, window),
    )


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
