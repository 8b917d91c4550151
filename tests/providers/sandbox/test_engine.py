from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from providers.reports import OrderSide, OrderStatus, OrderType
from providers.sandbox.books import (
    ZERO,
    Balance,
    Fee,
    FeeRate,
    OrderRequest,
)
from providers.sandbox.engine import Engine
from providers.sandbox.errors import (
    AmountRefused,
    DuplicateClientOrderId,
    InsufficientFunds,
    OrderNotOpen,
    PriceRefused,
    UnknownKey,
    UnknownOrder,
)
from providers.sandbox.state import engine_document
from tests.providers.sandbox.exchange import BTC, KEY, make_engine

D = Decimal


def test_it_locks_price_times_amount_of_a_buy() -> None:
    engine = make_engine()

    engine.buy(KEY, BTC, "0.5", "80000.01")

    assert engine.balance(KEY, "USDT") == Balance(D("60000.118456789012345678"), D("40000.005"))


def test_it_locks_the_base_of_a_sell() -> None:
    engine = make_engine()

    engine.sell(KEY, BTC, "0.5", "90000")

    assert engine.balance(KEY, "BTC") == Balance(D("1.50000001"), D("0.5"))


def test_a_better_price_gives_back_what_was_locked_too_much() -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000")

    engine.fill_order(order.id, price="79000")

    assert engine.balance(KEY, "USDT") == Balance(D("60500.123456789012345678"), ZERO)


def test_a_partial_fill_leaves_the_order_open() -> None:
    engine = make_engine()
    order = engine.sell(KEY, BTC, "0.5", "90000")

    engine.fill_order(order.id, "0.2")

    after = engine.order(KEY, order.id)
    assert (after.status, after.filled, after.remaining, after.cost) == (
        OrderStatus.OPEN,
        D("0.2"),
        D("0.3"),
        D("18000"),
    )


def test_the_last_fill_closes_the_order() -> None:
    engine = make_engine()
    order = engine.sell(KEY, BTC, "0.5", "90000")

    engine.fill_order(order.id, "0.2")
    engine.fill_order(order.id)

    assert engine.order(KEY, order.id).status == OrderStatus.CLOSED


@pytest.mark.parametrize(
    ("fee", "charged"),
    [
        (FeeRate(D("0.001")), Fee("BTC", D("0.0005"))),
        (FeeRate(D("0.001"), "USDT"), Fee("USDT", D("40"))),
        (FeeRate(D("0.001"), "BNB"), Fee("BNB", D("0.04715257"))),
        (Fee("BNB", D("-0.002")), Fee("BNB", D("-0.002"))),
    ],
)
def test_a_fee_is_charged_in_its_asset(fee: Fee | FeeRate, charged: Fee) -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000")
    before = engine.balance(KEY, charged.asset).free

    fill = engine.fill_order(order.id, fee=fee)

    received = fill.amount if charged.asset == "BTC" else ZERO
    assert fill.fee == charged
    assert engine.balance(KEY, charged.asset).free == before + received - charged.amount


def test_a_fee_that_cannot_be_paid_changes_nothing() -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000")
    before = engine_document(engine)

    with pytest.raises(InsufficientFunds):
        engine.fill_order(order.id, fee=Fee("BNB", D("3.1")))

    assert engine_document(engine) == before


def test_a_market_order_trades_at_once_at_the_last_price() -> None:
    engine = make_engine()
    engine.set_price(BTC, "90000")

    order = engine.sell(KEY, BTC, "0.5")

    assert (order.status, order.cost) == (OrderStatus.CLOSED, D("45000"))
    assert engine.balance(KEY, "BTC") == Balance(D("1.50000001"), ZERO)


def test_it_refuses_an_order_that_nobody_can_pay() -> None:
    engine = make_engine()

    with pytest.raises(InsufficientFunds):
        engine.buy(KEY, BTC, "2", "80000")

    assert engine.orders(KEY) == []


@pytest.mark.parametrize("amount", ["0", "-1", "0.000001", "NaN", "Infinity", "much"])
def test_it_refuses_an_amount_off_its_steps(amount: str) -> None:
    with pytest.raises(AmountRefused):
        make_engine().buy(KEY, BTC, amount, "80000")


@pytest.mark.parametrize("price", ["0", "-1", "0.001"])
def test_it_refuses_a_price_off_its_steps(price: str) -> None:
    with pytest.raises(PriceRefused):
        make_engine().buy(KEY, BTC, "0.5", price)


def test_it_refuses_a_float() -> None:
    with pytest.raises(TypeError):
        make_engine().deposit(KEY, "BTC", 0.1)  # type: ignore[arg-type] # what is tested


def test_it_refuses_a_fill_worse_than_the_limit() -> None:
    engine = make_engine()
    order = engine.sell(KEY, BTC, "0.5", "90000")

    with pytest.raises(PriceRefused):
        engine.fill_order(order.id, price="89999.99")


def test_it_refuses_a_fill_of_more_than_remains() -> None:
    engine = make_engine()
    order = engine.sell(KEY, BTC, "0.5", "90000")

    with pytest.raises(AmountRefused):
        engine.fill_order(order.id, "0.50001")


def test_it_refuses_a_client_order_id_that_is_open() -> None:
    engine = make_engine()
    engine.sell(KEY, BTC, "0.5", "90000", "mine-1")

    with pytest.raises(DuplicateClientOrderId):
        engine.sell(KEY, BTC, "0.5", "90000", "mine-1")


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (Engine.cancel_order, OrderStatus.CANCELED),
        (Engine.expire_order, OrderStatus.EXPIRED),
        (Engine.reject_order, OrderStatus.REJECTED),
    ],
)
def test_an_order_that_ends_gives_back_what_it_locked(
    end: Callable[[Engine, str], object], status: OrderStatus
) -> None:
    engine = make_engine()
    before = engine.balances(KEY)
    order = engine.buy(KEY, BTC, "0.5", "80000.01")

    end(engine, order.id)

    assert engine.order(KEY, order.id).status == status
    assert engine.balances(KEY) == before


def test_it_does_not_fill_an_order_that_has_ended() -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000")
    engine.cancel_order(order.id)

    with pytest.raises(OrderNotOpen):
        engine.fill_order(order.id)


def test_an_amended_order_locks_for_its_new_amount() -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000")
    engine.fill_order(order.id, "0.1")

    engine.amend_order(order.id, "0.2")

    assert engine.balance(KEY, "USDT").locked == D("8000")


def test_it_refuses_to_amend_below_what_is_filled() -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000")
    engine.fill_order(order.id, "0.1")

    with pytest.raises(AmountRefused):
        engine.amend_order(order.id, "0.1")


def test_a_stop_limit_order_locks_like_a_limit_order() -> None:
    engine = make_engine()

    engine.place_order(
        KEY,
        OrderRequest(
            BTC, OrderSide.SELL, D("0.5"), D("70000"), OrderType.STOP_LIMIT, stop_price=D("70100")
        ),
    )

    assert engine.balance(KEY, "BTC").locked == D("0.5")


def test_a_stop_limit_order_needs_a_stop_price() -> None:
    request = OrderRequest(BTC, OrderSide.SELL, D("0.5"), D("70000"), OrderType.STOP_LIMIT)

    with pytest.raises(PriceRefused):
        make_engine().place_order(KEY, request)


def test_a_withdrawal_is_locked_until_it_is_completed() -> None:
    engine = make_engine()

    withdrawal = engine.withdraw(KEY, "BNB", "1", fee="0.001")
    locked = engine.balance(KEY, "BNB")
    engine.complete_withdrawal(KEY, withdrawal.id)

    assert locked == Balance(D("1.999"), D("1.001"))
    assert engine.balance(KEY, "BNB") == Balance(D("1.999"), ZERO)


def test_a_failed_withdrawal_comes_back() -> None:
    engine = make_engine()

    withdrawal = engine.withdraw(KEY, "BNB", "1", fee="0.001")
    engine.fail_withdrawal(KEY, withdrawal.id)

    assert engine.balance(KEY, "BNB") == Balance(D("3"), ZERO)


def test_it_forgets_an_order_that_ended_unfilled_after_its_retention() -> None:
    now = [datetime(2026, 11, 22, tzinfo=UTC)]
    engine = make_engine(clock=lambda: now[0], retention=timedelta(hours=2))
    order = engine.buy(KEY, BTC, "0.5", "80000")
    engine.cancel_order(order.id)

    now[0] += timedelta(hours=3)

    with pytest.raises(UnknownOrder):
        engine.order(KEY, order.id)
    assert engine.orders(KEY) == []


def test_it_keeps_a_canceled_order_that_was_filled_in_part() -> None:
    now = [datetime(2026, 11, 22, tzinfo=UTC)]
    engine = make_engine(clock=lambda: now[0], retention=timedelta(hours=2))
    order = engine.buy(KEY, BTC, "0.5", "80000")
    engine.fill_order(order.id, "0.1")
    engine.cancel_order(order.id)

    now[0] += timedelta(hours=3)

    assert engine.order(KEY, order.id).filled == D("0.1")


def test_an_unknown_key_has_no_balances() -> None:
    with pytest.raises(UnknownKey):
        make_engine().balances("practice-key-mallory")


def test_ids_count_up_from_the_first_one() -> None:
    engine = Engine(first_id=500)
    engine.add_account(KEY, "practice-secret")

    ids = [engine.deposit(KEY, "BTC", "1").id for _ in range(3)]

    assert ids == ["500", "501", "502"]
