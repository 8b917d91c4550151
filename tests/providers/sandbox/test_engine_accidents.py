"""What an exchange does that nobody expects of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from providers.reports import OrderSide, OrderStatus
from providers.sandbox.books import Balance, Fee, OrderRequest
from providers.sandbox.engine import Engine
from providers.sandbox.errors import AmountRefused, OrdersDoNotMeet, UnknownFill, UnknownOrder
from tests.providers.sandbox.exchange import BTC, KEY

D = Decimal
BOB = "practice-key-bob"


def test_an_overfill_gives_more_than_was_asked_for(engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "0.1", "80000")
    engine.fill_order(order.id, "0.04")

    engine.overfill_order(order.id, "0.02", Fee("USDT", D("0.5")))

    ended = engine.order(KEY, order.id)
    assert (ended.status, ended.filled, ended.remaining) == (OrderStatus.CLOSED, D("0.12"), D(0))
    assert engine.balance(KEY, "BTC").total == D("2.12000001")
    assert engine.balance(KEY, "USDT") == Balance(D("90399.623456789012345678"))


def test_a_new_price_locks_what_it_takes(engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "0.1", "80000")

    amended = engine.amend_order(order.id, price="81000")

    assert (amended.price, amended.amount) == (D(81_000), D("0.1"))
    assert engine.balance(KEY, "USDT").locked == 8_100


def test_a_trade_with_oneself_has_two_fills_of_one_id(engine: Engine) -> None:
    before = engine.balances(KEY)
    bid = engine.buy(KEY, BTC, "0.1", "80000")
    ask = engine.sell(KEY, BTC, "0.2", "79000")

    bought, sold = engine.self_trade(bid.id, ask.id, "0.1")
    engine.cancel_order(ask.id)

    assert bought.id == sold.id
    assert {x.order_id for x in engine.fills(KEY)} == {bid.id, ask.id}
    assert engine.balances(KEY) == before


def test_orders_that_do_not_meet_do_not_trade_with_each_other(engine: Engine) -> None:
    bid, ask = engine.buy(KEY, BTC, "0.1", "80000"), engine.sell(KEY, BTC, "0.1", "81000")

    with pytest.raises(Exception, match="no worse"):
        engine.self_trade(bid.id, ask.id, "0.1")
    with pytest.raises(AmountRefused):
        engine.self_trade(bid.id, ask.id, "0.2")
    with pytest.raises(OrdersDoNotMeet):
        engine.self_trade(ask.id, bid.id, "0.1")

    assert engine.fills(KEY) == []


def test_a_busted_fill_has_never_been(engine: Engine) -> None:
    before = engine.balances(KEY)
    order = engine.sell(KEY, BTC, "0.1", "80000")
    fill = engine.fill_order(order.id, fee=Fee("BNB", D("0.01")))

    ended = engine.bust_fill(KEY, fill.id)

    assert (ended.status, ended.filled, ended.cost) == (OrderStatus.CANCELED, D(0), D(0))
    assert engine.balances(KEY) == before
    assert engine.fills(KEY) == []
    with pytest.raises(UnknownFill):
        engine.bust_fill(KEY, fill.id)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_bust_of_an_open_order_locks_again(engine: Engine, side: str) -> None:
    place = engine.buy if side == "buy" else engine.sell
    order = place(KEY, BTC, "0.1", "80000")
    before = engine.balances(KEY)
    fill = engine.fill_order(order.id, "0.04")

    assert engine.bust_fill(KEY, fill.id).remaining == D("0.1")
    assert engine.balances(KEY) == before


def test_a_forgotten_order_leaves_its_fills(engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "0.1", "80000")
    engine.fill_order(order.id)

    engine.forget_order(order.id)

    assert engine.orders(KEY) == []
    with pytest.raises(UnknownOrder):
        engine.order(KEY, order.id)
    assert len(engine.fills(KEY)) == 1


def test_fills_can_happen_in_the_same_moment(engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "0.1", "80000")

    with engine.standing_still() as now:
        for _ in range(3):
            engine.fill_order(order.id, "0.01")

    assert {x.executed_at for x in engine.fills(KEY)} == {now}
    assert engine.fill_order(order.id).executed_at > now


def test_two_accounts_may_have_an_order_of_one_id(engine: Engine) -> None:
    engine.add_account(BOB, "practice-secret-of-bob")
    engine.deposit(BOB, "BTC", "1")
    alices = engine.buy(KEY, BTC, "0.1", "80000")
    request = OrderRequest(BTC, OrderSide.SELL, D("0.1"), D(90_000), id=alices.id)
    bobs = engine.place_order(BOB, request)

    with pytest.raises(UnknownOrder):
        engine.fill_order(alices.id)
    engine.cancel_order(f"{BOB}/{bobs.id}")
    engine.fill_order(f"{KEY}/{alices.id}")

    assert bobs.id == alices.id
    assert [engine.order(key, alices.id).status for key in (KEY, BOB)] == ["closed", "canceled"]
