"""Whatever happens, the books are exact: random histories against an account of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.reports import OrderSide, OrderType
from providers.sandbox.books import (
    EXACT,
    ZERO,
    Fee,
    FeeRate,
    Fill,
    OrderRequest,
    WithdrawalStatus,
)
from providers.sandbox.engine import Engine
from providers.sandbox.errors import SandboxError
from providers.sandbox.kraken_ledger import ledger
from providers.sandbox.kraken_names import asset_id
from providers.sandbox.state import engine_document, restore_engine
from tests.providers.sandbox.exchange import BTC, ETH, KEY, make_engine

D = Decimal
ASSETS = ("BTC", "ETH", "BNB", "USDT")
AMOUNTS = st.decimals(D("0.001"), D("3"), places=3)
FINE_AMOUNTS = st.decimals(D("1e-18"), D("1e12"), places=18)
FEES = st.one_of(
    st.none(),
    st.builds(FeeRate, st.decimals(D("-0.002"), D("0.01"), places=6), st.sampled_from(("", "BNB"))),
    st.builds(Fee, st.sampled_from(ASSETS), st.decimals(D("-1"), D("1"), places=18)),
)


@dataclass
class History:
    """Does random things, and keeps its own account of what should be there."""

    engine: Engine = field(default_factory=make_engine)
    expected: dict[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.expected = {x: self.engine.balance(KEY, x).total for x in ASSETS}

    def add(self, asset: str, amount: Decimal) -> None:
        self.expected[asset] = EXACT.add(self.expected[asset], amount)

    def add_fill(self, fill: Fill) -> None:
        base, _, quote = fill.symbol.partition("/")
        is_buy = fill.side is OrderSide.BUY
        self.add(base, fill.amount if is_buy else fill.amount.copy_negate())
        self.add(quote, fill.cost.copy_negate() if is_buy else fill.cost)
        if fill.fee:
            self.add(fill.fee.asset, fill.fee.amount.copy_negate())

    def pick(self, number: int) -> str:
        orders = self.engine.orders(KEY)
        return orders[number % len(orders)].id if orders else ""


Step = Callable[[History], None]


def place(side: OrderSide, symbol: str, amount: Decimal, level: int) -> Step:
    def step(history: History) -> None:
        last = history.engine.instrument(symbol).price.to_integral_value()
        price = last - level if side is OrderSide.BUY else last + level
        history.engine.place_order(KEY, OrderRequest(symbol, side, amount, price))

    return step


def trade(side: OrderSide, symbol: str, amount: Decimal, fee: Fee | FeeRate | None) -> Step:
    def step(history: History) -> None:
        request = OrderRequest(symbol, side, amount, type=OrderType.MARKET)
        history.engine.place_order(KEY, request, fee)
        history.add_fill(history.engine.fills(KEY)[-1])

    return step


def fill(number: int, amount: Decimal | None, better: int, fee: Fee | FeeRate | None) -> Step:
    def step(history: History) -> None:
        order = history.engine.order(KEY, history.pick(number))
        price = order.price
        if price is not None:
            price += better if order.side is OrderSide.SELL else -better
        history.add_fill(history.engine.fill_order(order.id, amount, price, fee))

    return step


def end(number: int, how: Callable[[Engine, str], object]) -> Step:
    return lambda history: suppress_result(how(history.engine, history.pick(number)))


def suppress_result(_: object) -> None:
    return None


def amend(number: int, amount: Decimal) -> Step:
    return lambda history: suppress_result(history.engine.amend_order(history.pick(number), amount))


def deposit(asset: str, amount: Decimal) -> Step:
    def step(history: History) -> None:
        history.engine.deposit(KEY, asset, amount)
        history.add(asset, amount)

    return step


def withdraw(asset: str, amount: Decimal, outcome: int) -> Step:
    def step(history: History) -> None:
        withdrawal = history.engine.withdraw(KEY, asset, amount, fee="0.0001")
        if outcome == 0:
            history.engine.fail_withdrawal(KEY, withdrawal.id)
        elif outcome == 1:
            history.engine.complete_withdrawal(KEY, withdrawal.id)
            history.add(asset, withdrawal.total.copy_negate())

    return step


def overfill(number: int, more: Decimal, fee: Fee | FeeRate | None) -> Step:
    def step(history: History) -> None:
        order_id = history.pick(number)
        history.add_fill(history.engine.overfill_order(order_id, more, fee))

    return step


def trade_with_oneself(bid: int, offer: int, amount: Decimal) -> Step:
    def step(history: History) -> None:
        history.engine.self_trade(history.pick(bid), history.pick(offer), amount)

    return step


def bust(number: int) -> Step:
    def step(history: History) -> None:
        fills = history.engine.fills(KEY)
        busted = fills[number % len(fills)] if fills else None
        history.engine.bust_fill(KEY, busted.id if busted else "")
        if busted:
            opposite = OrderSide.SELL if busted.side is OrderSide.BUY else OrderSide.BUY
            fee = busted.fee and replace(busted.fee, amount=busted.fee.amount.copy_negate())
            history.add_fill(replace(busted, side=opposite, fee=fee))

    return step


def reprice(number: int, price: int) -> Step:
    return lambda history: suppress_result(
        history.engine.amend_order(history.pick(number), price=price)
    )


def announce(asset: str, amount: Decimal, *, arrives: bool) -> Step:
    def step(history: History) -> None:
        deposit = history.engine.announce_deposit(KEY, asset, amount)
        if arrives:
            history.engine.credit_deposit(KEY, deposit.id)
            history.add(asset, amount)

    return step


def move(asset: str, amount: Decimal, *, back: bool) -> Step:
    def step(history: History) -> None:
        source, target = ("earn", "spot") if back else ("spot", "earn")
        history.engine.transfer(KEY, asset, amount, source=source, target=target)
        history.add(asset, amount if back else amount.copy_negate())

    return step


def earn(asset: str, amount: Decimal) -> Step:
    def step(history: History) -> None:
        history.engine.reward(KEY, asset, amount)
        history.add(asset, amount)

    return step


def convert(sold: str, bought: str, amount: Decimal) -> Step:
    def step(history: History) -> None:
        if sold != bought:
            history.engine.convert(KEY, (sold, amount), (bought, amount))
            history.add(sold, amount.copy_negate())
            history.add(bought, amount)

    return step


SIDES = st.sampled_from(OrderSide)
SYMBOLS = st.sampled_from((BTC, ETH))
NUMBERS = st.integers(0, 50)
STEPS = st.one_of(
    st.builds(place, SIDES, SYMBOLS, AMOUNTS, st.integers(0, 2000)),
    st.builds(place, SIDES, SYMBOLS, AMOUNTS, st.integers(0, 2000)),
    st.builds(fill, NUMBERS, st.one_of(st.none(), AMOUNTS), st.integers(0, 500), FEES),
    st.builds(fill, NUMBERS, st.one_of(st.none(), AMOUNTS), st.integers(0, 500), FEES),
    st.builds(trade, SIDES, SYMBOLS, AMOUNTS, FEES),
    st.builds(
        end,
        NUMBERS,
        st.sampled_from((Engine.cancel_order, Engine.expire_order, Engine.reject_order)),
    ),
    st.builds(amend, NUMBERS, AMOUNTS),
    st.builds(deposit, st.sampled_from(ASSETS), FINE_AMOUNTS),
    st.builds(withdraw, st.sampled_from(ASSETS), AMOUNTS, st.integers(0, 2)),
    st.builds(overfill, NUMBERS, AMOUNTS, FEES),
    st.builds(trade_with_oneself, NUMBERS, NUMBERS, AMOUNTS),
    st.builds(bust, NUMBERS),
    st.builds(reprice, NUMBERS, st.integers(2_000, 90_000)),
    st.builds(announce, st.sampled_from(ASSETS), FINE_AMOUNTS, arrives=st.booleans()),
    st.builds(move, st.sampled_from(ASSETS), AMOUNTS, back=st.booleans()),
    st.builds(earn, st.sampled_from(ASSETS), AMOUNTS),
    st.builds(convert, st.sampled_from(ASSETS), st.sampled_from(ASSETS), AMOUNTS),
)
HISTORIES = st.lists(STEPS, max_size=40)


def lived(steps: list[Step]) -> History:
    history = History()
    for step in steps:
        with suppress(SandboxError):
            step(history)
    return history


def locks(engine: Engine) -> dict[str, Decimal]:
    """Sum up what the open orders and pending withdrawals should lock."""
    locked = dict.fromkeys(ASSETS, ZERO)
    for order in engine.open_orders(KEY):
        base, _, quote = order.symbol.partition("/")
        assert order.price is not None
        asset = base if order.side is OrderSide.SELL else quote
        rest = EXACT.subtract(order.amount, order.filled)
        wanted = rest if order.side is OrderSide.SELL else EXACT.multiply(rest, order.price)
        locked[asset] = EXACT.add(locked[asset], wanted)
    for withdrawal in engine.withdrawals(KEY):
        if withdrawal.status is WithdrawalStatus.PENDING:
            locked[withdrawal.asset] = EXACT.add(locked[withdrawal.asset], withdrawal.total)
    return locked


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_totals_are_what_came_in_and_went_out(steps: list[Step]) -> None:
    history = lived(steps)

    totals = {asset: history.engine.balance(KEY, asset).total for asset in ASSETS}

    assert totals == history.expected


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_what_is_locked_is_what_open_orders_and_withdrawals_need(steps: list[Step]) -> None:
    engine = lived(steps).engine

    assert {x: engine.balance(KEY, x).locked for x in ASSETS} == locks(engine)


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_no_balance_is_ever_negative(steps: list[Step]) -> None:
    history = History()
    for step in steps:
        with suppress(SandboxError):
            step(history)
        for held in history.engine.balances(KEY).values():
            assert held.free >= 0
            assert held.locked >= 0


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_what_is_refused_changes_no_balance_and_no_order(steps: list[Step]) -> None:
    history = History()
    for step in steps:
        before = (history.engine.balances(KEY), history.engine.orders(KEY))
        fills = len(history.engine.fills(KEY))
        try:
            step(history)
        except SandboxError:
            assert (history.engine.balances(KEY), history.engine.orders(KEY)) == before
            assert len(history.engine.fills(KEY)) == fills


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_krakens_ledger_explains_every_balance(steps: list[Step]) -> None:
    engine = lived(steps).engine
    sums = dict.fromkeys((asset_id(x) for x in ASSETS), ZERO)
    entries = ledger(engine.accounts[KEY])

    for row in (entry.row for entry in entries):
        change = EXACT.subtract(D(row["amount"]), D(row["fee"]))
        sums[row["asset"]] = EXACT.add(sums[row["asset"]], change)

    assert sums == {asset_id(x): engine.balance(KEY, x).total for x in ASSETS}
    assert len({entry.id for entry in entries}) == len(entries)


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_a_restored_engine_is_the_same(steps: list[Step]) -> None:
    engine = lived(steps).engine
    document = engine_document(engine)
    restored = Engine()

    restore_engine(restored, document)

    assert engine_document(restored) == document
    assert restored.balances(KEY) == engine.balances(KEY)
