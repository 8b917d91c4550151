"""The dialect, asked by ccxt's own unmodified class."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from ccxt.async_support import binance as unmodified

from providers.reports import OrderSide, OrderType
from providers.sandbox.binance_call import MAX_LIMIT
from providers.sandbox.books import Fee, FeeRate, OrderRequest, Permission
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import (
    BTC,
    ETH,
    KEY,
    SECRET,
    Clock,
    ask,
    milliseconds,
    send,
)

D = Decimal


# Markets


def test_it_lists_its_instruments_with_their_steps(server: SandboxServer) -> None:
    markets = ask(server, lambda x: x.load_markets())

    assert sorted(markets) == ["BNB/USDT", BTC, ETH]
    assert D(markets[BTC]["precision"]["amount"]) == D("0.00001")
    assert D(markets[BTC]["precision"]["price"]) == D("0.01")


def test_the_unmodified_class_loads_markets_with_its_default_options(
    server: SandboxServer,
) -> None:
    async def load(exchange: Any) -> Any:
        exchange.options = exchange.deep_extend(unmodified().options, {})
        return await exchange.load_markets()

    assert sorted(ask(server, load)) == ["BNB/USDT", BTC, ETH]


def test_the_synchronous_class_is_served_too(server: SandboxServer) -> None:
    exchange = ccxt.binance({"apiKey": KEY, "secret": SECRET, "enableRateLimit": False})
    exchange.number = str
    exchange.urls["api"] = {
        "public": f"{server.url}/api/v3",
        "private": f"{server.url}/api/v3",
        "sapi": f"{server.url}/sapi/v1",
        "fapiPublic": f"{server.url}/fapi/v1",
        "dapiPublic": f"{server.url}/dapi/v1",
    }
    try:
        free = exchange.fetch_balance()["free"]
    finally:
        exchange.session.close()

    assert free["USDT"] == "100000.123456789012345678"


# Balances


def test_balances_are_exact(server: SandboxServer, engine: Engine) -> None:
    engine.buy(KEY, BTC, "0.12345", "80000.01")

    balance = ask(server, lambda x: x.fetch_balance())

    assert D(balance["free"]["USDT"]) == D("90124.122222289012345678")
    assert D(balance["used"]["USDT"]) == D("9876.0012345")


def test_balances_name_every_asset_of_the_exchange(server: SandboxServer) -> None:
    balance = ask(server, lambda x: x.fetch_balance())

    assert D(balance["total"]["ETH"]) == 0


def test_zero_balances_can_be_left_out(server: SandboxServer) -> None:
    balance = ask(server, lambda x: x.fetch_balance({"omitZeroBalances": "true"}))

    assert sorted(balance["total"]) == ["BNB", "BTC", "USDT"]


# Orders


def test_open_orders_are_listed_without_a_symbol(server: SandboxServer, engine: Engine) -> None:
    buy = engine.buy(KEY, BTC, "0.5", "80000.01", "mine-1")
    sell = engine.sell(KEY, "BNB/USDT", "1.5", "900")
    engine.cancel_order(engine.sell(KEY, BTC, "0.5", "90000").id)

    orders = ask(server, lambda x: x.fetch_open_orders())

    assert [order["id"] for order in orders] == [buy.id, sell.id]
    assert orders[0]["clientOrderId"] == "mine-1"


def test_open_orders_can_be_asked_for_by_symbol(server: SandboxServer, engine: Engine) -> None:
    engine.buy(KEY, BTC, "0.5", "80000.01")
    sell = engine.sell(KEY, "BNB/USDT", "1.5", "900")

    orders = ask(server, lambda x: x.fetch_open_orders("BNB/USDT"))

    assert [order["id"] for order in orders] == [sell.id]


def test_a_partly_filled_order_says_what_is_filled(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000.01")
    engine.fill_order(placed.id, "0.12345", "79999.99")

    order = ask(server, lambda x: x.fetch_order(placed.id, BTC))

    assert (order["status"], order["side"], order["type"]) == ("open", "buy", "limit")
    assert [D(order[x]) for x in ("amount", "filled", "remaining", "price", "cost")] == [
        D("0.5"),
        D("0.12345"),
        D("0.37655"),
        D("80000.01"),
        D("9875.9987655"),
    ]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (Engine.fill_order, "closed"),
        (Engine.cancel_order, "canceled"),
        (Engine.expire_order, "expired"),
        (Engine.reject_order, "rejected"),
    ],
)
def test_an_order_that_ended_can_be_asked_for(
    server: SandboxServer, engine: Engine, end: Any, status: str
) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000")
    end(engine, placed.id)

    order = ask(server, lambda x: x.fetch_order(placed.id, BTC))

    assert order["status"] == status


def test_an_order_can_be_asked_for_by_its_client_id(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000", "mine-1")

    order = ask(server, lambda x: x.fetch_order("", BTC, {"clientOrderId": "mine-1"}))

    assert order["id"] == placed.id


def test_a_stop_limit_order_shows_its_stop_price(server: SandboxServer, engine: Engine) -> None:
    placed = engine.place_order(
        KEY,
        OrderRequest(
            BTC, OrderSide.SELL, D("0.5"), D("70000"), OrderType.STOP_LIMIT, stop_price=D("70100")
        ),
    )

    order = ask(server, lambda x: x.fetch_order(placed.id, BTC))

    assert D(order["triggerPrice"]) == D("70100")


def test_a_client_id_used_again_names_the_latest_order(
    server: SandboxServer, engine: Engine
) -> None:
    engine.cancel_order(engine.buy(KEY, BTC, "0.5", "80000", "mine-1").id)
    latest = engine.buy(KEY, BTC, "0.5", "80000", "mine-1")

    order = ask(server, lambda x: x.fetch_order("", BTC, {"clientOrderId": "mine-1"}))

    assert order["id"] == latest.id


def test_an_unknown_order_is_not_found(server: SandboxServer) -> None:
    with pytest.raises(ccxt.OrderNotFound):
        ask(server, lambda x: x.fetch_order("999", BTC))


def test_an_order_of_another_symbol_is_not_found(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000")

    with pytest.raises(ccxt.OrderNotFound):
        ask(server, lambda x: x.fetch_order(placed.id, ETH))


def test_an_order_of_another_account_is_not_found(server: SandboxServer, engine: Engine) -> None:
    engine.add_account("practice-key-bob", "practice-secret-of-bob")
    engine.deposit("practice-key-bob", "BTC", "1")
    theirs = engine.sell("practice-key-bob", BTC, "0.5", "90000")

    with pytest.raises(ccxt.OrderNotFound):
        ask(server, lambda x: x.fetch_order(theirs.id, BTC))


def test_closed_orders_are_the_filled_ones(server: SandboxServer, engine: Engine) -> None:
    filled = engine.sell(KEY, BTC, "0.5", "90000")
    engine.fill_order(filled.id)
    engine.cancel_order(engine.sell(KEY, BTC, "0.5", "90000").id)

    async def load_and_read(exchange: Any) -> Any:
        await exchange.load_markets()
        return await exchange.fetch_closed_orders(BTC)

    orders = ask(server, load_and_read)

    assert [(order["id"], D(order["average"])) for order in orders] == [(filled.id, D("90000"))]


def test_all_orders_page_on_from_an_order_id(server: SandboxServer, engine: Engine) -> None:
    ids = [int(engine.sell(KEY, BTC, "0.01", "90000").id) for _ in range(5)]

    rows = send(server, "/api/v3/allOrders", symbol="BTCUSDT", orderId=ids[1], limit=2)

    assert [row["orderId"] for row in rows] == ids[1:3]


def test_all_orders_are_the_latest_ones_unless_told_otherwise(
    server: SandboxServer, engine: Engine
) -> None:
    ids = [int(engine.sell(KEY, BTC, "0.01", "90000").id) for _ in range(5)]

    rows = send(server, "/api/v3/allOrders", symbol="BTCUSDT", limit=2)

    assert [row["orderId"] for row in rows] == ids[3:]


def test_a_page_never_holds_more_than_a_thousand(server: SandboxServer, engine: Engine) -> None:
    for _ in range(MAX_LIMIT + 1):
        engine.sell(KEY, BTC, "0.00001", "90000")

    rows = send(server, "/api/v3/allOrders", symbol="BTCUSDT", limit=5000)

    assert len(rows) == MAX_LIMIT


# Trades


def test_trades_tell_their_fee_and_its_asset(server: SandboxServer, engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "0.5", "80000")
    engine.fill_order(order.id, "0.1", fee=Fee("BNB", D("0.00012345")))
    engine.fill_order(order.id, "0.2", fee=FeeRate(D("0.001")))

    trades = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert [(x["fee"]["currency"], D(x["fee"]["cost"])) for x in trades] == [
        ("BNB", D("0.00012345")),
        ("BTC", D("0.0002")),
    ]


def test_trades_are_exact_and_name_their_order(server: SandboxServer, engine: Engine) -> None:
    order = engine.sell(KEY, BTC, "0.5", "90000.01")
    fill = engine.fill_order(order.id, "0.12345", "91234.56")

    (trade,) = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert (trade["id"], trade["order"], trade["side"]) == (fill.id, order.id, "sell")
    assert [D(trade[x]) for x in ("price", "amount", "cost")] == [
        D("91234.56"),
        D("0.12345"),
        D("11262.906432"),
    ]


def test_trades_of_one_order_can_be_asked_for(server: SandboxServer, engine: Engine) -> None:
    engine.sell(KEY, BTC, "0.1")
    second = engine.sell(KEY, BTC, "0.2")

    trades = ask(server, lambda x: x.fetch_my_trades(BTC, None, None, {"orderId": int(second.id)}))

    assert [x["order"] for x in trades] == [second.id]


def test_trades_page_on_from_a_trade_id(server: SandboxServer, engine: Engine) -> None:
    for _ in range(4):
        engine.sell(KEY, BTC, "0.1")
    ids = [int(x.id) for x in engine.fills(KEY)]

    rows = send(server, "/api/v3/myTrades", symbol="BTCUSDT", fromId=ids[1], limit=2)

    assert [row["id"] for row in rows] == ids[1:3]


def test_trades_since_a_time_begin_there(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    engine.sell(KEY, BTC, "0.1")
    clock.ahead = timedelta(minutes=5)
    start = milliseconds(clock())
    engine.sell(KEY, BTC, "0.2")
    engine.sell(KEY, BTC, "0.3")

    rows = send(server, "/api/v3/myTrades", symbol="BTCUSDT", startTime=start, limit=1)

    assert [row["qty"] for row in rows] == ["0.20000000"]


@pytest.mark.parametrize("path", ["/api/v3/myTrades", "/api/v3/allOrders"])
def test_a_window_of_more_than_a_day_is_refused(server: SandboxServer, path: str) -> None:
    answer = send(server, path, symbol="BTCUSDT", startTime=1_000, endTime=86_402_000)

    assert answer["code"] == -1127


def test_trades_are_paged_by_id_or_by_time_but_not_by_both(server: SandboxServer) -> None:
    answer = send(server, "/api/v3/myTrades", symbol="BTCUSDT", fromId=1, startTime=1_000)

    assert answer["code"] == -1128


# Deposits, withdrawals, rights


def test_deposits_are_listed(server: SandboxServer, engine: Engine) -> None:
    engine.deposit(KEY, "ETH", "0.123456789012345678")

    (row,) = ask(server, lambda x: x.fetch_deposits("ETH"))

    assert (row["amount"], row["status"]) == ("0.123456789012345678", "ok")


def test_withdrawals_tell_their_fee_and_state(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    withdrawal = engine.withdraw(KEY, "BNB", "1.5", fee="0.001")
    engine.complete_withdrawal(KEY, withdrawal.id)
    clock.ahead = timedelta(seconds=2)
    engine.withdraw(KEY, "BNB", "0.5", fee="0.001")

    clock.ahead = timedelta(0)

    rows = ask(server, lambda x: x.fetch_withdrawals())

    assert [(D(x["amount"]), D(x["fee"]["cost"]), x["status"]) for x in rows] == [
        (D("1.5"), D("0.001"), "ok"),
        (D("0.5"), D("0.001"), "pending"),
    ]


def test_it_tells_what_the_key_may_do(server: SandboxServer) -> None:
    answer = send(server, "/sapi/v1/account/apiRestrictions")

    assert (answer["enableSpotAndMarginTrading"], answer["enableWithdrawals"]) == (True, False)


# Writes


def test_a_market_order_placed_through_it_is_filled(server: SandboxServer, engine: Engine) -> None:
    order = ask(server, lambda x: x.create_order(BTC, "market", "sell", "0.02"))

    assert (order["status"], D(order["fee"]["cost"])) == ("closed", D("1.7282506"))
    assert engine.balance(KEY, "BTC").total == D("1.98000001")


def test_a_limit_order_placed_through_it_can_be_canceled(
    server: SandboxServer, engine: Engine
) -> None:
    async def place_and_cancel(exchange: Any) -> Any:
        order = await exchange.create_order(BTC, "limit", "buy", "0.02", "80000")
        return await exchange.cancel_order(order["id"], BTC)

    assert ask(server, place_and_cancel)["status"] == "canceled"
    assert engine.balance(KEY, "USDT").locked == 0


def test_it_refuses_an_order_without_funds(server: SandboxServer) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        ask(server, lambda x: x.create_order(BTC, "limit", "buy", "200", "80000"))


def test_a_key_that_may_only_read_places_no_order(server: SandboxServer, engine: Engine) -> None:
    engine.change_key(KEY, permissions=[Permission.READ])

    with pytest.raises(ccxt.AuthenticationError):
        ask(server, lambda x: x.create_order(BTC, "market", "sell", "0.02"))

    assert engine.orders(KEY) == []


def test_a_key_without_reading_reads_nothing(server: SandboxServer, engine: Engine) -> None:
    engine.change_key(KEY, permissions=[])

    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        ask(server, lambda x: x.fetch_balance())
