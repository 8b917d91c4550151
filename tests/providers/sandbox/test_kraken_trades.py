"""Trades in Kraken's words, and the pages and windows of its lists."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import ccxt
import pytest

from providers.sandbox.books import Fee
from providers.sandbox.engine import Engine
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import (
    ORDER,
    TRADE,
    txid,
)
from providers.sandbox.kraken_payloads import unixtime
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import KEY, Clock
from tests.providers.sandbox.kraken_exchange import BTC, ask, buy_and_fill, call, pages

D = Decimal


@pytest.fixture
def server(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as running:
        yield running


def test_trades_are_paged_by_offset(server: SandboxServer, engine: Engine, clock: Clock) -> None:
    buy_and_fill(engine, 60, clock)
    fills = [txid(TRADE, fill.id) for fill in engine.fills(KEY)]

    first, second = ask(server, lambda x: pages(lambda p: x.fetch_my_trades(params=p)))

    assert [trade["id"] for trade in second + first] == fills


def test_a_trade_is_exact(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.12345", "80000.01")
    engine.fill_order(placed.id, price="79999.99", fee=Fee("USDT", D("0.1234567890123")))

    (trade,) = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert (trade["order"], trade["side"]) == (txid(ORDER, placed.id), "buy")
    assert (trade["takerOrMaker"], trade["fee"]["currency"]) == ("maker", "USDT")
    numbers = (trade["price"], trade["amount"], trade["cost"], trade["fee"]["cost"])
    assert [*map(D, numbers)] == [
        D("79999.99"),
        D("0.12345"),
        D("9875.9987655"),
        D("0.1234567890123"),
    ]


@pytest.mark.parametrize(
    ("fee", "told"),
    [(Fee("BTC", D("0.001")), "80.00000"), (Fee("BNB", D("0.5")), "0.00000"), (None, "0.00000")],
)
def test_a_trade_tells_its_fee_in_the_quote(
    server: SandboxServer, engine: Engine, fee: Fee | None, told: str
) -> None:
    engine.fill_order(engine.buy(KEY, BTC, "0.5", "80000").id, fee=fee)

    (trade,) = call(server, "TradesHistory")["result"]["trades"].values()

    assert trade["fee"] == told


def test_an_order_says_that_its_fee_is_in_the_base(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000")
    engine.fill_order(placed.id, fee=Fee("BTC", D("0.001")))

    order = ask(server, lambda x: x.fetch_order(txid(ORDER, placed.id)))

    assert (order["fee"]["currency"], D(order["fee"]["cost"])) == ("BTC", D("0.001"))


def test_trades_can_be_asked_for_by_id(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000")
    fills = [engine.fill_order(placed.id, "0.1") for _ in range(3)]
    wanted = [txid(TRADE, fill.id) for fill in fills[:2]]

    trades = ask(
        server,
        lambda x: x.fetch_order_trades(txid(ORDER, placed.id), BTC, params={"trades": wanted}),
    )

    assert sorted(trade["id"] for trade in trades) == sorted(wanted)


def test_a_window_starts_after_its_start_and_ends_with_its_end(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    buy_and_fill(engine, 4, clock)
    first, second, third, _ = (txid(TRADE, fill.id) for fill in engine.fills(KEY))

    result = call(server, "TradesHistory", start=first, end=third)["result"]

    assert [*result["trades"]] == [third, second]


def test_a_window_can_be_told_in_seconds(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    buy_and_fill(engine, 4, clock)
    times = [unixtime(fill.executed_at) for fill in engine.fills(KEY)]

    result = call(server, "TradesHistory", start=times[1], end=times[2])["result"]

    assert result["count"] == 1


def test_a_trade_with_oneself_has_two_names_and_one_number(
    server: SandboxServer, engine: Engine
) -> None:
    bid, offer = engine.buy(KEY, BTC, "0.1", "80000"), engine.sell(KEY, BTC, "0.1", "80000")
    bought, sold = engine.self_trade(bid.id, offer.id, "0.1")

    rows = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert {(x["side"], x["order"]) for x in rows} == {
        ("buy", txid(ORDER, bid.id)),
        ("sell", txid(ORDER, offer.id)),
    }
    assert len({x["id"] for x in rows}) == 2
    assert {x["info"]["trade_id"] for x in rows} == {int(sold.id)} == {int(bought.id)}


def test_the_fills_of_a_forgotten_order_stay_listed(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.1", "80000")
    engine.fill_order(placed.id)
    engine.forget_order(placed.id)

    (trade,) = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert trade["order"] == txid(ORDER, placed.id)
    with pytest.raises(ccxt.BaseError, match="Unknown order"):
        ask(server, lambda x: x.fetch_order(txid(ORDER, placed.id)))
