"""What the books know about the time of a read: what they expect, and what the read may not show of it yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter

from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Coalesce

from portfolios.amounts import difference, exact_sum, sums_by
from portfolios.models import ExchangeAccount, Fill, Flow, LedgerEntry, Order, Portfolio, StoredLeg
from portfolios.reconciliation.flows import due_effect, flow_effect
from portfolios.reconciliation.verdicts import Effect, Window
from portfolios.services.accounts import lag
from portfolios.services.cursors import CLOCK_ERROR
from portfolios.services.ledger import BEFORE, flow_report, parts_of_fill
from providers.reports import BalanceReport, FlowKind, FlowReport, FlowStatus, Leg, LegKind

ZERO = Decimal(0)
Cause = LedgerEntry.Cause
FILLS, FLOWS, ORDERS = "fills", "flows", "orders"
SETTLED = ":settled:"
_OfAsset = tuple[str, Effect]
# Order, cause and asset.
_OfOrder = tuple[int, str, str]
# The same, with amount, time and key.
_Entry = tuple[int, str, str, Decimal, datetime, str]


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


def settled_key(wallet: str, asset: str) -> str:
    """Name what a baseline is corrected by, before the number of the run that does it."""
    return f"{baseline_key(wallet, asset)}{SETTLED}"


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
    """As `Booked.effects`, if one read alone is compared."""
    return Booked(account, since).effects(window, since)


class Booked:
    """What is booked of the time after `since`, read once for all reads that are compared with it.

    Only what the ledger holds: neither what a baseline or an opening had counted, nor what a backtest moved.
    """

    def __init__(self, account: ExchangeAccount, since: datetime) -> None:
        self._orders = list(orders_since(account, since))
        self._fills: defaultdict[int | None, list[Fill]] = defaultdict(list)
        self._entries: defaultdict[int, dict[tuple[str, str], Decimal]] = defaultdict(dict)
        self._told_until: dict[int, datetime] = {}
        if self._orders:
            of_orders = account.fills.filter(order__in=self._orders)
            for fill in of_orders.order_by("-executed_at", "-pk"):
                self._fills[fill.order_id].append(fill)
            entries = account.ledger_entries.filter(order__in=self._orders).order_by()
            # A run books what it had read by then; a book, what it was told.
            told_at = Coalesce("run__started_at", "booked_at")
            rows = list(entries.values_list("order", "cause", "asset", "amount", told_at, "key"))
            for (order_id, cause, asset), amount in _booked_of_orders(rows).items():
                self._entries[order_id][cause, asset] = amount
            self._told_until = {order: at for order, *_, at, _ in sorted(rows, key=itemgetter(4))}
        # Fills whose order is not known; those of before the baseline are not booked.
        begins = max(since, account.baseline_at or since)
        self._orphans = list(account.fills.filter(order=None, executed_at__gt=begins))
        self._flows = _flows_since(account, since)

    def effects(self, window: Window, since: datetime) -> dict[str, list[Effect]]:
        """Tell by asset what is booked of the time after `since`, and when it happened as well as that is known.

        Parameters
        ----------
        window : Window
            Of the read that the effects are compared with.
        since : datetime
            Not before the one that was read from.
        """
        found: defaultdict[str, list[Effect]] = defaultdict(list)
        for asset, effect in (
            *self._of_orders(since),
            *self._of_orphans(since),
            *self._of_flows(window, since),
        ):
            found[asset].append(effect)
        return dict(found)

    def _of_orders(self, since: datetime) -> Iterator[_OfAsset]:
        for order in self._orders:
            until = order.updated_at or self._told_until.get(order.pk)
            yield from _of_order(
                order, self._fills[order.pk], self._entries[order.pk], since, until
            )

    def _of_orphans(self, since: datetime) -> Iterator[_OfAsset]:
        for fill in self._orphans:
            if fill.executed_at is not None and fill.executed_at > since:
                for asset, amount in _moved(fill).items():
                    yield asset, Effect(fill.executed_at, amount, FILLS)

    def _of_flows(self, window: Window, since: datetime) -> Iterator[_OfAsset]:
        for flow, booked_at in self._flows:
            if _is_after(flow, booked_at, since):
                yield from _of_flow(flow, booked_at, window)


def _booked_of_orders(rows: Iterable[_Entry]) -> dict[_OfOrder, Decimal]:
    """Sum what was booked of each order, as its fills tell it: also what was taken out of the baseline for that.

    What an opening had counted of later fills is booked by nothing but an entry of before the baseline: that is added.
    """
    series, before = (
        sums_by(
            ((order, cause, asset), amount)
            for order, cause, asset, amount, _, key in rows
            if key.startswith(BEFORE) is is_before
        )
        for is_before in (False, True)
    )
    for of_order, amount in before.items():
        booked = series.get(of_order, ZERO)
        if not booked or (booked > 0) is (amount > 0):
            series[of_order] = exact_sum((booked, amount))
    return series


def orders_since(account: ExchangeAccount, since: datetime) -> QuerySet[Order]:
    """Find the orders of which something may have been filled after `since`."""
    real = account.orders.filter(is_backtest=False).order_by()
    changed = real.filter(updated_at__gt=since).exclude(filled=ZERO)
    filled = account.fills.filter(executed_at__gt=since, order__isnull=False).order_by()
    # Of some exchanges nobody knows when an order was last changed.
    lacking = real.filter(updated_at=None, fills_wanted__gt=0)
    # Each by its index: of all of them in one question an account's orders would all be looked through.
    found = changed.values("pk").union(filled.values("order"), lacking.values("pk"))
    return real.filter(pk__in=found).order_by("pk")


def _flows_since(account: ExchangeAccount, since: datetime) -> list[tuple[Flow, datetime | None]]:
    """Give each flow with the time, by our clock, at which it was booked last."""
    is_untimed = Q(settled_at=None) & (Q(occurred_at__gt=since) | Q(booked_until__gt=since))
    flows = account.flows.annotate(booked_until=Max("ledger_entries__booked_at"))
    found = flows.filter(Q(settled_at__gt=since) | is_untimed).order_by("pk")
    return [(flow, flow.booked_until) for flow in found]


def _is_after(flow: Flow, booked_at: datetime | None, since: datetime) -> bool:
    times = (flow.occurred_at, booked_at) if flow.settled_at is None else (flow.settled_at,)
    return any(at is not None and at > since for at in times)


def _of_order(
    order: Order,
    newest_first: Sequence[Fill],
    booked: dict[tuple[str, str], Decimal],
    since: datetime,
    until: datetime | None,
) -> Iterator[_OfAsset]:
    """Split what is booked of an order into its fills, the newest first, and what none of them tells.

    Of the latter it is known only that it had happened by `until`: when the order was last changed or, where the
    exchange does not tell that, when the run began that booked it, which is by our clock.
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
    if until is not None and until > since:
        for asset, amount in rest.items():
            if amount:
                yield asset, Effect(None, amount, ORDERS, until=until)


def _moved(fill: Fill) -> dict[str, Decimal]:
    return sums_by(pair for part in parts_of_fill(fill) for pair in part.items())


def _of_flow(flow: Flow, booked_at: datetime | None, window: Window) -> Iterator[_OfAsset]:
    report = flow_report(flow)
    if flow.kind == FlowKind.WITHDRAWAL and flow.status == FlowStatus.FAILED:
        yield from _left_and_came_back(flow, report)
        return
    at, until = _when(flow, window, booked_at)
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
