"""The oracle: the books of an account against what its exchange truly has done.

Nothing here is learned from the product but where it writes what down.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Fill,
    Flow,
    JudgedSnapshot,
    LedgerEntry,
    Order,
    Portfolio,
    Position,
)
from portfolios.services.verification import verify_books
from providers.reports import FlowSource, OrderSide, OrderStatus
from providers.sandbox import books
from providers.sandbox.books import DepositStatus, MovementKind, WithdrawalStatus
from tests.simulation.place import CASH, FEE_COIN, KEY, Place

ZERO: Final = Decimal(0)
# A fill this close to the baseline may be in it already.
BLURRED: Final = timedelta(seconds=120)
TERMINAL: Final = ("closed", "canceled", "expired", "rejected", "lapsed")


def wrong_now(place: Place) -> Iterator[str]:
    """Tell what may be true at no moment: invented or doubled facts, wrong ends, books that do not add up."""
    account = ExchangeAccount.objects.get(label=place.label)
    truth = {place.order_name(id_): order for id_, order in place.orders.items()}
    for order in account.orders.order_by("pk"):
        real = truth.get(order.external_id)
        yield from _wrong_order(place, order, real)
    yield from _wrong_fills(place, account)
    yield from _wrong_flows(place, account)


def _wrong_order(place: Place, order: Order, real: books.Order | None) -> Iterator[str]:
    name = order.external_id or order.client_order_id
    if real is None:
        if order.external_id:
            yield f"order {name} is invented"
        elif order.status in TERMINAL or order.filled:
            yield f"order {name}, which never arrived, is {order.status} {order.filled}"
        return
    if order.status in TERMINAL and real.is_open:
        yield f"order {name} is {order.status} in the books and open at the exchange"
    if order.status == OrderStatus.LAPSED:
        yield f"order {name} lapsed though nobody accepted it"
    if order.filled > real.filled:
        yield f"order {name} has {order.filled} filled, at the exchange {real.filled}"
    if (order.symbol, order.side) != (real.symbol, real.side):
        yield f"order {name} is {order.side} {order.symbol}"


# Name, symbol, side.
FillKey = tuple[str, str, str]


def _fill_key(fill: books.Fill, place: Place) -> FillKey:
    return (place.fill_name(fill), fill.symbol, fill.side.value)


def _wrong_fills(place: Place, account: ExchangeAccount) -> Iterator[str]:
    real = {_fill_key(fill, place): fill for fill in place.engine.fills(KEY)}
    seen: Counter[FillKey] = Counter()
    for row in account.fills.order_by("pk"):
        key = (row.external_id, row.symbol, row.side)
        seen[key] += 1
        told = real.get(key)
        if told is None:
            yield f"fill {key} is invented"
            continue
        if (row.price, row.amount) != (told.price, told.amount):
            yield f"fill {key} is {row.amount} at {row.price}, truly {told.amount} at {told.price}"
        if row.fees and _fees(row) != _true_fees(told):
            yield f"fill {key} has the fees {row.fees}, truly {told.fee}"
    yield from (f"fill {key} is there {n} times" for key, n in seen.items() if n > 1)


def _fees(row: Fill) -> dict[str, Decimal]:
    return {fee["asset"]: Decimal(fee["amount"]) for fee in row.fees if Decimal(fee["amount"])}


def _true_fees(fill: books.Fill) -> dict[str, Decimal]:
    return {fill.fee.asset: fill.fee.amount} if fill.fee and fill.fee.amount else {}


def unequal_at_last(place: Place) -> Iterator[str]:
    """Tell where the books are not what the exchange has, once all can be known."""
    account = ExchangeAccount.objects.get(label=place.label)
    if account.baseline_at is None:
        yield "the account has no baseline"
        return
    since = account.baseline_at + BLURRED
    yield from _unequal_orders(place, account, since)
    yield from _unequal_fills(place, account, since)
    yield from _unequal_flows(place, account, since)
    yield from _unequal_totals(place, account)
    for name in place.portfolios:
        yield from _unequal_positions(place, Portfolio.objects.get(name=name))
    yield from _wrong_alarms(place, account)


def _unequal_orders(place: Place, account: ExchangeAccount, since: datetime) -> Iterator[str]:
    stored = {order.external_id: order for order in account.orders.exclude(external_id="")}
    filled_since = {fill.order_id for fill in place.engine.fills(KEY) if fill.executed_at > since}
    for id_, real in place.orders.items():
        name = place.order_name(id_)
        order = stored.get(name)
        if order is None:
            if real.is_open or id_ in filled_since or id_ in place.owners:
                yield f"order {name} is in no book ({real.status}, filled {real.filled})"
            continue
        owner = order.portfolio.name if order.portfolio else None
        is_now = (order.status, order.filled, order.amount, order.price, owner)
        status = order.status if _is_misnamed(place, order, real) else real.status
        should_be = (status, real.filled, real.amount, real.price, place.owners.get(id_))
        if is_now != should_be:
            yield f"order {name} is {_shown(is_now)}, truly {_shown(should_be)}"


def _is_misnamed(place: Place, order: Order, real: books.Order) -> bool:
    told = (order.status, real.status)
    return place.has_misnamed and told == (OrderStatus.CANCELED, OrderStatus.REJECTED)


def _shown(values: tuple[object, ...]) -> str:
    return " ".join(str(value) for value in values)


def _unequal_fills(place: Place, account: ExchangeAccount, since: datetime) -> Iterator[str]:
    stored = {(row.external_id, row.symbol, row.side): row for row in account.fills.all()}
    for fill in place.engine.fills(KEY):
        if fill.executed_at <= since:
            continue
        row = stored.get(_fill_key(fill, place))
        if row is None:
            yield f"fill {fill.id} of order {fill.order_id} is missing"
        elif _fees(row) != _true_fees(fill):
            yield f"fill {fill.id} has the fees {row.fees}, truly {fill.fee}"
        elif row.order is None or row.order.external_id != place.order_name(fill.order_id):
            yield f"fill {fill.id} belongs to {row.order_id}, truly to {fill.order_id}"


# Asset, signed amount, fee.
Movement = tuple[str, Decimal, Decimal]


def _wrong_flows(place: Place, account: ExchangeAccount) -> Iterator[str]:
    listed = Counter(movement for movement, *_ in movements_of(place))
    done = Counter(movement for movement, is_done, _ in movements_of(place) if is_done)
    stored = Counter(_movement(flow) for flow in account.flows.all())
    booked = Counter(_movement(flow) for flow in account.flows.filter(status="done"))
    for movement in {*beyond(stored, listed), *beyond(booked, done)}:
        yield f"movement {_shown(movement)} is invented, doubled or not done"


def beyond(told: Counter[Movement], true: Counter[Movement]) -> Iterator[Movement]:
    """List what is told and not true; a fee that was not told yet may still come, so it is missing only at last."""
    left = true - told
    for asset, moved, fee in (told - true).elements():
        of_any_fee = next((each for each in left if each[:2] == (asset, moved)), None)
        if fee or of_any_fee is None:
            yield asset, moved, fee
        else:
            left = left - Counter([of_any_fee])


def _unequal_flows(place: Place, account: ExchangeAccount, since: datetime) -> Iterator[str]:
    done = Counter(move for move, is_done, at in movements_of(place) if is_done and at > since)
    booked = Counter(_movement(flow) for flow in account.flows.filter(status="done"))
    yield from (f"movement {_shown(movement)} is missing" for movement in done - booked)


def _movement(flow: Flow) -> Movement:
    fee = sum((Decimal(fee["amount"]) for fee in flow.fees), ZERO)
    return flow.asset, flow.amount, fee


def list_of(place: Place, kind: MovementKind) -> FlowSource:
    """Name the list that tells of movements that are no deposits and no withdrawals."""
    if place.market == "kraken":
        return FlowSource.LEDGER
    return FlowSource.TRANSFERS if kind is MovementKind.TRANSFER else FlowSource.REWARDS


def movements_of(
    place: Place, source: FlowSource | None = None
) -> Iterator[tuple[Movement, bool, datetime]]:
    """List what came and went, whether it is done, and when it began; all of it, or what one list tells."""
    if source in (None, FlowSource.DEPOSITS, FlowSource.LEDGER):
        for deposit in place.engine.deposits(KEY):
            is_done = deposit.status is DepositStatus.CREDITED
            yield (deposit.asset, deposit.amount, ZERO), is_done, deposit.listed_at
    if source in (None, FlowSource.WITHDRAWALS, FlowSource.LEDGER):
        for sent in place.engine.withdrawals(KEY):
            is_done = sent.status is WithdrawalStatus.COMPLETED
            yield (sent.asset, -sent.amount, sent.fee), is_done, sent.requested_at
    for moved in place.engine.movements(KEY):
        if source in (None, list_of(place, moved.kind)):
            yield (moved.asset, moved.amount, ZERO), True, moved.at


def _unequal_totals(place: Place, account: ExchangeAccount) -> Iterator[str]:
    expected: defaultdict[str, Decimal] = defaultdict(Decimal)
    for asset, amount in LedgerEntry.objects.filter(account=account).values_list("asset", "amount"):
        expected[asset] += amount
    held = place.engine.balances(KEY)
    for asset in sorted({*held, *expected}):
        total = held[asset].total if asset in held else ZERO
        explained = total - place.unexplained.get(asset, ZERO)
        missing = explained - expected[asset]
        if missing and not _is_said_to_be_unknown(place, account, asset, missing):
            yield f"the books expect {expected[asset]} {asset}, should be {explained}"


def _is_said_to_be_unknown(
    place: Place, account: ExchangeAccount, asset: str, missing: Decimal
) -> bool:
    """Whether the books say that the baseline may lack just this; what moved without a record can hide it for good.

    In one asset of a trade it hides the other ones too, for a while.
    """
    snapshot = JudgedSnapshot.objects.filter(account=account).latest("seen_at")
    rows = snapshot.content.rows["spot"] if snapshot.content else {}
    possible = rows.get(asset, {}).get("corrections", ())
    is_unsettled = account.baseline_settled_at is None
    return is_unsettled and bool(place.drifts) and missing in map(Decimal, possible)


def _unequal_positions(place: Place, portfolio: Portfolio) -> Iterator[str]:
    """Compare what a portfolio holds; a fee in a third coin may be charged elsewhere."""
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    held[CASH], held["ADA"] = Decimal(20000), Decimal(500)
    for fill in place.engine.fills(KEY):
        if place.owners.get(fill.order_id) == portfolio.name:
            base, _, quote = fill.symbol.partition("/")
            sign = 1 if fill.side is OrderSide.BUY else -1
            held[base] += sign * fill.amount
            held[quote] -= sign * fill.cost
            if fill.fee and fill.fee.asset != FEE_COIN:
                held[fill.fee.asset] -= fill.fee.amount
    stored = {row.asset: row for row in Position.objects.filter(portfolio=portfolio)}
    reserved = _locks(place, portfolio.name)
    for asset in sorted({*held, *stored} - {FEE_COIN}):
        row = stored.get(asset)
        is_now = (row.amount, row.reserved) if row else (ZERO, ZERO)
        if is_now != (held[asset], reserved[asset]):
            yield (
                f"{portfolio} holds {_shown(is_now)} {asset}, truly {held[asset]} {reserved[asset]}"
            )


def _locks(place: Place, owner: str) -> defaultdict[str, Decimal]:
    """Tell what a portfolio's orders lock; of one that never arrived its books believe that it does."""
    locks: defaultdict[str, Decimal] = defaultdict(Decimal)
    for id_, order in place.orders.items():
        if place.owners.get(id_) == owner:
            locks[_locked_asset(order.symbol, order.side)] += order.lock
    for name, request in place.never_arrived.values():
        if name == owner and request.price is not None:
            is_sell = request.side is OrderSide.SELL
            locked = request.amount if is_sell else request.amount * request.price
            locks[_locked_asset(request.symbol, request.side)] += locked
    return locks


def _locked_asset(symbol: str, side: OrderSide) -> str:
    base, _, quote = symbol.partition("/")
    return base if side is OrderSide.SELL else quote


def _wrong_alarms(place: Place, account: ExchangeAccount) -> Iterator[str]:
    drifted = {asset for asset, amount in place.unexplained.items() if amount}
    alarms = account.discrepancies.filter(state=Discrepancy.State.OPEN)
    told = {row.asset for row in alarms if row.code.startswith("BALANCE_")}
    for asset in sorted(told - drifted):
        yield f"a difference of {asset} is open, though all of it has a record"


def untold_drifts(place: Place) -> Iterator[str]:
    """Tell what moved without a record, and nothing open says so."""
    alarms = Discrepancy.objects.filter(
        account__label=place.label, state=Discrepancy.State.OPEN, code__startswith="BALANCE_"
    )
    told = set(alarms.values_list("asset", flat=True))
    for asset, moved in sorted(place.unexplained.items()):
        if moved and asset not in told:
            yield f"nobody is told that {moved} {asset} moved without a record"


def books_that_do_not_add_up() -> Iterator[str]:
    done = verify_books([])
    if done.difference is not None:
        yield f"verify_books: {done.difference} of {done.account}"
