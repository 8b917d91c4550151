"""An account's trades, in Binance's words."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from providers.reports import OrderSide, OrderType
from providers.sandbox.books import FeeRate, OrderRequest
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import BTC, KEY, Clock, ask, milliseconds, send

D = Decimal
SECOND = timedelta(seconds=1)


def trades(server: SandboxServer, **params: Any) -> list[int]:
    return [x["id"] for x in send(server, "/api/v3/myTrades", symbol="BTCUSDT", **params)]


def fill(engine: Engine, clock: Clock, count: int) -> tuple[list[int], list[int]]:
    """Fill an order as many times, a second apart; tell ids and times."""
    order = engine.buy(KEY, BTC, "1", "80000")
    fills = []
    for _ in range(count):
        clock.ahead += SECOND
        fills.append(engine.fill_order(order.id, "0.01"))
    return [int(x.id) for x in fills], [milliseconds(x.executed_at) for x in fills]


def test_a_symbol_has_to_be_named(server: SandboxServer) -> None:
    assert send(server, "/api/v3/myTrades")["code"] == -1102


def test_a_window_includes_both_of_its_ends(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    ids, times = fill(engine, clock, 4)

    assert trades(server, startTime=times[1], endTime=times[2]) == ids[1:3]


def test_ccxt_reads_a_window_of_a_day_but_none_that_is_longer(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    engine.buy(KEY, BTC, "0.1")
    end = milliseconds(clock()) + 1_000
    day = 86_400_000

    async def read(exchange: Any, start: int) -> Any:
        return await exchange.fetch_my_trades(BTC, start, 1_000, {"until": end})

    assert len(ask(server, lambda x: read(x, end - day))) == 1
    with pytest.raises(ccxt.BaseError, match="-1127"):
        ask(server, lambda x: read(x, end - day - 1))


def test_from_an_id_on_they_are_paged_to_the_end(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    ids, _ = fill(engine, clock, 5)

    assert trades(server, fromId=ids[1], limit=2) == ids[1:3]
    assert trades(server, fromId=ids[3], limit=2) == ids[3:]
    assert trades(server, fromId=ids[4] + 1, limit=2) == []


@pytest.mark.parametrize("name", ["fromId", "orderId"])
@pytest.mark.parametrize("time", ["startTime", "endTime"])
def test_an_id_and_a_time_exclude_each_other(server: SandboxServer, name: str, time: str) -> None:
    params: dict[str, Any] = {"symbol": "BTCUSDT", name: 1, time: 1_000}

    answer = send(server, "/api/v3/myTrades", **params)

    assert answer["code"] == -1128


def test_no_page_is_longer_than_a_thousand(server: SandboxServer, engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "1", "80000")
    with engine.standing_still() as now:
        for _ in range(1_001):
            engine.fill_order(order.id, "0.0001")

    page = trades(server, startTime=milliseconds(now), limit=5_000)

    assert len(page) == 1_000
    assert page[0] == int(engine.fills(KEY)[0].id)


def test_an_order_placed_and_filled_between_two_reads_shows_in_the_trades(
    server: SandboxServer, engine: Engine
) -> None:
    request = OrderRequest(BTC, OrderSide.SELL, D("0.5"), type=OrderType.MARKET)
    order = engine.place_order(KEY, request, FeeRate(D("0.001")))

    [trade] = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert ask(server, lambda x: x.fetch_open_orders(BTC)) == []
    assert (trade["order"], D(trade["fee"]["cost"])) == (order.id, D("43.206265"))


def test_both_sides_of_a_trade_with_oneself_have_one_id(
    server: SandboxServer, engine: Engine
) -> None:
    bid, offer = engine.buy(KEY, BTC, "0.1", "80000"), engine.sell(KEY, BTC, "0.1", "80000")
    bought, _ = engine.self_trade(bid.id, offer.id, "0.1")

    rows = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert {x["id"] for x in rows} == {bought.id}
    assert {(x["side"], x["order"]) for x in rows} == {("buy", bid.id), ("sell", offer.id)}


def test_an_overfilled_order_tells_more_than_its_amount(
    server: SandboxServer, engine: Engine
) -> None:
    order = engine.buy(KEY, BTC, "0.1", "80000")
    engine.overfill_order(order.id, "0.02")

    told = ask(server, lambda x: x.fetch_order(order.id, BTC))

    assert (D(told["amount"]), D(told["filled"]), told["status"]) == (D("0.1"), D("0.12"), "closed")
