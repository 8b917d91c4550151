"""What the books know about the time of a read: what they expect, and what the read may not show of it yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max, Q

from portfolios.amounts import difference, exact_sum, sums_by
from portfolios.models import ExchangeAccount, Fill, Flow, LedgerEntry, Order, Portfolio, StoredLeg
from portfolios.reconciliation.flows import due_effect, flow_effect
from portfolios.reconciliation.verdicts import Effect, Window
from portfolios.services.accounts import lag
from portfolios.services.cursors import CLOCK_ERROR
from portfolios.services.ledger import flow_report, parts_of_fill
from providers.reports import BalanceReport, FlowKind, FlowReport, FlowStatus, Leg, LegKind

ZERO = Decimal(0)
Cause = LedgerEntry.Cause
FILLS, FLOWS, ORDERS = "fills", "flows", "orders"
_OfAsset = tuple[str, Effect]


def observed_balances(leg: Leg) -> dict[str, BalanceReport]:
    return {row.asset: row for row in leg.rows if isinstance(row, BalanceReport)}


def balance_legs(legs: Iterable[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.kind is LegKind.BALANCES]


def window_of(leg: Leg | StoredLeg, error: timedelta) -> Window:
    """Tell when balances were read by the exchange's clock, which we know only up to `error`."""
    offset = timedelta(seconds=leg.clock_offset)
    return Window(leg.requested_at + offset - error, leg.responded_at + offset + error)


def clock_error(account: ExchangeAccount) -> timedelta:
    """Give how well the exchange's clock is known; who says that it shows trades sooner knows it that well."""
    return min(CLOCK_ERROR, lag(account))


def baseline_key(wallet: str, asset: str = "") -> str:
    return f"baseline:{wallet}:{asset}"


def expected_totals(account: ExchangeAccount) -> dict[str, Decimal]:
    """Sum what the account should hold of each asset: the sum of its portfolios and the unassigned part.

    A backtest holds nothing at an exchange.
    """
    real = account.positions.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    return sums_by(real.values_list("asset", "amount"))


def expected_by_wallet(
    account: ExchangeAccount, last_entry: int | None = None
) -> dict[str, dict[str, Decimal]]:
    """Tell what each wallet should hold: books are kept of the first one, the others stay as their baseline was.

    Parameters
    ----------
    last_entry : int or None
        Primary key of the last ledger entry that is counted; None: what the positions say now.
    """
    entries = account.ledger_entries.order_by()
    if last_entry is None:
        totals = expected_totals(account)
    else:
        entries = entries.filter(pk__lte=last_entry)
        real = entries.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
        totals = sums_by(real.values_list("asset", "amount"))
    trading, *others = account.wallets
    baseline = entries.filter(cause=Cause.BASELINE)
    expected = {
        wallet: sums_by(
            baseline.filter(key__startswith=baseline_key(wallet)).values_list("asset", "amount")
        )
        for wallet in others
    }
    aside = sums_by(pair for wallet in others for pair in expected[wallet].items())
    expected[trading] = {
        asset: difference(total, aside.get(asset, ZERO)) for asset, total in totals.items()
    }
    return expected


def later_effects(account: ExchangeAccount, moment: datetime) -> dict[str, Decimal]:
    """Sum by asset what is booked of fills and flows after `moment`, by the exchange's clock."""
    later = effects_since(account, Window(moment, moment), moment)
    return {
        asset: exact_sum(effect.amount for effect in effects if effect.at is not None)
        for asset, effects in later.items()
    }


def effects_since(
    account: ExchangeAccount, window: Window, since: datetime
) -> dict[str, list[Effect]]:
    """Tell by asset what is booked of the time after `since`, and when it happened as well as that is known.

    Only what the ledger holds: neither what a baseline or an opening had counted, nor what a backtest moved.

    Parameters
    ----------
    window : Window
        Of the read that the effects are compared with.
    """
    found: defaultdict[str, list[Effect]] = defaultdict(list)
    for asset, effect in (
        *_of_orders(account, since),
        *_of_orphans(account, since),
        *_of_flows(account, window, since),
    ):
        found[asset].append(effect)
    return dict(found)


def _of_orders(account: ExchangeAccount, since: datetime) -> Iterator[_OfAsset]:
    real = account.orders.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    filled_since = account.fills.filter(executed_at__gt=since, order__isnull=False)
    is_recent = Q(updated_at__gt=since) & ~Q(filled=ZERO) | Q(pk__in=filled_since.values("order"))
    orders = list(real.filter(is_recent).order_by("pk"))
    if not orders:
        return
    fills: defaultdict[int | None, list[Fill]] = defaultdict(list)
    for fill in account.fills.filter(order__in=orders).order_by("-executed_at", "-pk"):
        fills[fill.order_id].append(fill)
    entries = account.ledger_entries.filter(order__in=orders).order_by()
    rows = entries.values_list("order", "cause", "asset", "amount")
    booked = sums_by(((order, cause, asset), amount) for order, cause, asset, amount in rows)
    for order in orders:
        of_order = {key[1:]: amount for key, amount in booked.items() if key[0] == order.pk}
        yield from _of_order(order, fills[order.pk], of_order, since)


def _of_order(
    order: Order,
    newest_first: Sequence[Fill],
    booked: dict[tuple[str, str], Decimal],
    since: datetime,
) -> Iterator[_OfAsset]:
    """Split what is booked of an order into its fills, the newest first, and what none of them tells.

    Of the latter it is known only that it had happened when the order was last changed.
    """
    left = booked.get((Cause.EXECUTION, order.base), ZERO).copy_abs()
    rest = sums_by((asset, amount) for (_cause, asset), amount in booked.items())
    for fill in newest_first:
        if fill.executed_at is None or fill.amount > left:
            continue
        left = difference(left, fill.amount)
        for asset, amount in _moved(fill).items():
            rest[asset] = difference(rest.get(asset, ZERO), amount)
            if fill.executed_at > since:
                yield asset, Effect(fill.executed_at, amount, FILLS)
    if order.updated_at is not None and order.updated_at > since:
        for asset, amount in rest.items():
            if amount:
                yield asset, Effect(None, amount, ORDERS, until=order.updated_at)


def _moved(fill: Fill) -> dict[str, Decimal]:
    return sums_by(pair for part in parts_of_fill(fill) for pair in part.items())


def _of_orphans(account: ExchangeAccount, since: datetime) -> Iterator[_OfAsset]:
    """Give the fills whose order is not known; those of before the baseline are not booked."""
    begins = max(since, account.baseline_at or since)
    for fill in account.fills.filter(order=None, executed_at__gt=begins):
        for asset, amount in _moved(fill).items():
            yield asset, Effect(fill.executed_at, amount, FILLS)


def _of_flows(account: ExchangeAccount, window: Window, since: datetime) -> Iterator[_OfAsset]:
    is_untimed = Q(settled_at=None) & (Q(occurred_at__gt=since) | Q(booked_until__gt=since))
    flows = account.flows.annotate(booked_until=Max("ledger_entries__booked_at"))
    for flow in flows.filter(Q(settled_at__gt=since) | is_untimed).order_by("pk"):
        report = flow_report(flow)
        if flow.kind == FlowKind.WITHDRAWAL and flow.status == FlowStatus.FAILED:
            yield from _left_and_came_back(flow, report)
            continue
        at, until = _when(flow, window, flow.booked_until)
        for asset, amount in due_effect(report, in_baseline=flow.in_baseline).items():
            yield asset, Effect(at, amount, FLOWS, until=until)


def _left_and_came_back(flow: Flow, report: FlowReport) -> Iterator[_OfAsset]:
    """Give both ways of a withdrawal that failed; of one that left before the baseline only the way back."""
    for asset, amount in flow_effect(replace(report, status=FlowStatus.DONE)).items():
        if flow.settled_at is None:
            continue  # back, nobody knows when
        if flow.occurred_at is not None and not flow.in_baseline:
            yield asset, Effect(flow.occurred_at, amount, FLOWS)
        if flow.occurred_at is not None or flow.in_baseline:
            yield asset, Effect(flow.settled_at, amount.copy_negate(), FLOWS)


def _when(
    flow: Flow, window: Window, booked_at: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Tell when a flow showed in the balance, or else until when it had.

    A withdrawal leaves at any time from when it is asked for until it is settled. A deposit that is done, the exchange
    does not say since when, had come when it was booked, which is by our clock.
    """
    asked, settled = flow.occurred_at, flow.settled_at
    is_asked_later = asked is not None and asked > window.high
    if flow.status != FlowStatus.DONE or is_asked_later:
        return asked or settled, None
    if flow.kind == FlowKind.WITHDRAWAL and asked is not None and settled is not None:
        return (asked, None) if asked == settled else (None, settled)
    if settled is None and flow.kind != FlowKind.WITHDRAWAL:
        return None, booked_at or asked
    return settled or asked, None
