"""Orders in Kraken's words, asked by ccxt's own unmodified class."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from providers.reports import OrderSide, OrderType
from providers.sandbox.books import Fee, OrderRequest
from providers.sandbox.engine import Engine
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import (
    ORDER,
    txid,
)
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import KEY, Clock
from tests.providers.sandbox.kraken_exchange import BTC, ask, buy_and_fill, call, pages

D = Decimal


@pytest.fixture
def server(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as running:
        yield running


def test_open_orders_come_in_one_answer(server: SandboxServer, engine: Engine) -> None:
    orders = [engine.buy(KEY, BTC, "0.001", f"{70_000 + n}") for n in range(60)]
    engine.cancel_order(engine.buy(KEY, BTC, "0.001", "70000").id)

    found = ask(server, lambda x: x.fetch_open_orders())

    assert {order["id"] for order in found} == {txid(ORDER, order.id) for order in orders}


def test_a_partly_filled_order_says_what_is_filled(server: SandboxServer, engine: Engine) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000.01", "mine-1")
    engine.fill_order(placed.id, "0.12345", "79999.99", Fee("USDT", D("9.87")))

    order = ask(server, lambda x: x.fetch_order(txid(ORDER, placed.id)))

    assert (order["symbol"], order["side"], order["type"]) == (BTC, "buy", "limit")
    assert (order["status"], order["clientOrderId"]) == ("open", "mine-1")
    numbers = ("amount", "filled", "remaining", "price", "average", "cost")
    assert [D(order[name]) for name in numbers] == [
        D("0.5"),
        D("0.12345"),
        D("0.37655"),
        D("80000.01"),
        D("79999.99"),
        D("9875.9987655"),
    ]
    assert {**order["fee"], "cost": D(order["fee"]["cost"])} == {
        "currency": "USDT",
        "cost": D("9.87"),
        "rate": None,
    }


def test_the_cost_of_an_order_loses_digits_that_its_trades_have(
    server: SandboxServer, engine: Engine
) -> None:
    placed = engine.buy(KEY, BTC, "0.00003", "80000.01")
    engine.fill_order(placed.id, "0.00001", "79999.99")
    engine.fill_order(placed.id, "0.00002", "80000.01")
    spelled = txid(ORDER, placed.id)

    order = call(server, "QueryOrders", txid=spelled)["result"][spelled]
    trades = call(server, "TradesHistory")["result"]["trades"]

    assert (order["cost"], order["price"]) == ("2.40000", "80000.00")
    assert sum(D(trade["cost"]) for trade in trades.values()) == D("2.4000001")


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (Engine.fill_order, "closed"),
        (Engine.cancel_order, "canceled"),
        (Engine.expire_order, "expired"),
        (Engine.reject_order, "canceled"),
    ],
)
def test_an_order_that_ended_can_be_asked_for(
    server: SandboxServer, engine: Engine, end: Any, status: str
) -> None:
    placed = engine.buy(KEY, BTC, "0.5", "80000")
    end(engine, placed.id)

    order = ask(server, lambda x: x.fetch_order(txid(ORDER, placed.id)))

    assert order["status"] == status


def test_a_stop_order_is_pending_until_it_works(server: SandboxServer, engine: Engine) -> None:
    request = OrderRequest(
        BTC, OrderSide.SELL, D("0.5"), D("70000"), OrderType.STOP_LIMIT, stop_price=D("70100")
    )
    engine.place_order(KEY, request)

    (order,) = ask(server, lambda x: x.fetch_open_orders())

    assert (order["info"]["status"], order["status"], order["type"]) == ("pending", "open", "limit")
    assert (D(order["stopLossPrice"]), D(order["price"])) == (D("70100"), D("70000"))


def test_a_market_order_names_no_price(server: SandboxServer, engine: Engine) -> None:
    placed = engine.sell(KEY, BTC, "0.1")

    order = ask(server, lambda x: x.fetch_order(txid(ORDER, placed.id)))

    assert order["type"] == "market"
    assert order["info"]["descr"]["order"] == "sell 0.10000000 XBTUSDT @ market"


@pytest.mark.parametrize(
    ("client_id", "references"),
    [
        ("mine-1", {"userref": None, "cl_ord_id": "mine-1"}),
        ("4711", {"userref": 4711}),
        ("04711", {"userref": None, "cl_ord_id": "04711"}),
        (str(2**31), {"userref": None, "cl_ord_id": str(2**31)}),
        ("", {"userref": None}),
    ],
)
def test_a_clients_own_id_is_a_number_or_a_text(
    server: SandboxServer, engine: Engine, client_id: str, references: dict[str, Any]
) -> None:
    engine.buy(KEY, BTC, "0.5", "80000", client_id)

    (row,) = call(server, "OpenOrders")["result"]["open"].values()

    assert {name: row[name] for name in ("userref", "cl_ord_id") if name in row} == references


@pytest.mark.parametrize("by", [{"userref": 4711}, {"clientOrderId": "mine-1"}])
def test_open_orders_can_be_asked_for_by_the_clients_id(
    server: SandboxServer, engine: Engine, by: dict[str, Any]
) -> None:
    placed = {name: engine.buy(KEY, BTC, "0.1", "80000", name) for name in ("4711", "mine-1", "x")}

    (order,) = ask(server, lambda x: x.fetch_open_orders(params=by))

    assert order["id"] == txid(ORDER, placed[str(*by.values())].id)


def test_closed_orders_are_paged_by_offset(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    ids = buy_and_fill(engine, 60, clock)
    engine.buy(KEY, BTC, "0.001", "70000")

    first, second = ask(
        server, lambda x: pages(lambda p: x.fetch_closed_orders(params=p | {"trades": True}))
    )

    # The latest page first, each of them oldest first in ccxt.
    assert [order["id"] for order in second + first] == [txid(ORDER, id_) for id_ in ids]
    assert all(len(order["info"]["trades"]) == 1 for order in first)


def test_a_list_says_how_much_there_is_in_all(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    buy_and_fill(engine, 51, clock)

    result = call(server, "ClosedOrders", ofs=50)["result"]

    assert (result["count"], len(result["closed"])) == (51, 1)


def test_several_orders_can_be_asked_for_at_once(server: SandboxServer, engine: Engine) -> None:
    ids = [txid(ORDER, engine.buy(KEY, BTC, "0.1", "80000").id) for _ in range(3)]

    orders = ask(server, lambda x: x.fetch_orders_by_ids(ids))

    assert [order["id"] for order in orders] == ids


@pytest.mark.parametrize(
    ("spelled", "text"),
    [("10000001", "EOrder:Invalid order"), (txid(ORDER, "999"), "EOrder:Unknown order")],
)
def test_an_unknown_order_is_refused_in_krakens_words(
    server: SandboxServer, spelled: str, text: str
) -> None:
    with pytest.raises(ccxt.InvalidOrder, match=text):
        ask(server, lambda x: x.fetch_order(spelled))


def test_an_order_of_another_account_is_unknown(server: SandboxServer, engine: Engine) -> None:
    engine.add_account("practice-key-bob", "practice-secret-of-bob")
    engine.deposit("practice-key-bob", "BTC", "1")
    theirs = engine.sell("practice-key-bob", BTC, "1", "90000")

    with pytest.raises(ccxt.InvalidOrder, match="EOrder:Unknown order"):
        ask(server, lambda x: x.fetch_order(txid(ORDER, theirs.id)))
