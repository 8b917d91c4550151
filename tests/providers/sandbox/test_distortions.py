"""Every way not to tell the truth with HTTP status 200, as ccxt's own classes meet it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from providers.sandbox.binance_endpoints import ENDPOINTS
from providers.sandbox.binance_tables import TABLES
from providers.sandbox.books import Fee, Order
from providers.sandbox.distortions import CONCERNS, DISTORTIONS
from providers.sandbox.engine import Engine
from providers.sandbox.faults import ALL_KINDS, DistortionKind, Fault
from providers.sandbox.kraken import ENDPOINTS as KRAKEN_ENDPOINTS
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import ORDER, txid
from providers.sandbox.kraken_tables import TABLES as KRAKEN_TABLES
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox import kraken_exchange
from tests.providers.sandbox.exchange import BTC, KEY, Clock, ask, make_engine, send

D = Decimal
ORDERS, TRADES = "openOrders", "myTrades"


@pytest.fixture
def engine(clock: Clock) -> Engine:
    return make_engine(clock=clock, memory=timedelta(minutes=5))


@pytest.fixture
def kraken(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as running:
        yield running


def distort(server: SandboxServer, kind: DistortionKind, **options: Any) -> Fault:
    fault = Fault(kind, **options)
    server.faults.append(fault)
    return fault


def place(engine: Engine, count: int) -> list[Order]:
    return [engine.buy(KEY, BTC, "0.01", 70_000 + number) for number in range(count)]


def open_ids(server: SandboxServer) -> list[str]:
    return [x["id"] for x in ask(server, lambda x: x.fetch_open_orders(BTC))]


def kraken_ids(server: SandboxServer) -> list[str]:
    return [x["id"] for x in kraken_exchange.ask(server, lambda x: x.fetch_open_orders())]


def read_order(server: SandboxServer, order: Order) -> Any:
    return ask(server, lambda x: x.fetch_order(order.id, BTC))


# Lists


def test_a_shortened_list_lacks_rows_and_invents_none(
    server: SandboxServer, engine: Engine
) -> None:
    orders = [x.id for x in place(engine, 8)]
    distort(server, DistortionKind.SHORTENED)

    shown = open_ids(server)

    assert 0 < len(shown) < 8
    assert set(shown) < set(orders)


def test_krakens_lists_are_shortened_too(kraken: SandboxServer, engine: Engine) -> None:
    orders = [txid(ORDER, x.id) for x in place(engine, 8)]
    distort(kraken, DistortionKind.SHORTENED)

    shown = kraken_ids(kraken)

    assert 0 < len(shown) < 8
    assert set(shown) < set(orders)


def test_an_empty_list_may_be_empty_just_once(server: SandboxServer, engine: Engine) -> None:
    place(engine, 3)
    distort(server, DistortionKind.EMPTY_LIST, times=1)

    assert [len(open_ids(server)) for _ in range(2)] == [0, 3]


def test_balances_may_be_empty(server: SandboxServer, kraken: SandboxServer) -> None:
    for exchange, read in ((server, ask), (kraken, kraken_exchange.ask)):
        distort(exchange, DistortionKind.EMPTY_BALANCES)

        assert read(exchange, lambda x: x.fetch_balance())["total"] == {}


def test_half_of_what_is_held_may_be_gone(server: SandboxServer) -> None:
    distort(server, DistortionKind.HALF_OF_BALANCES)

    totals = ask(server, lambda x: x.fetch_balance())["total"]

    assert len([x for x in totals.values() if D(x)]) == 1  # of three


def test_a_row_may_be_there_twice(server: SandboxServer, engine: Engine) -> None:
    orders = [x.id for x in place(engine, 3)]
    distort(server, DistortionKind.ROW_TWICE)

    shown = open_ids(server)

    assert len(shown) == 4
    assert set(shown) == set(orders)


def test_rows_may_come_in_any_order(server: SandboxServer, engine: Engine) -> None:
    orders = [int(x.id) for x in place(engine, 8)]
    distort(server, DistortionKind.REORDERED)

    shown = [x["orderId"] for x in send(server, "/api/v3/openOrders", symbol="BTCUSDT")]

    assert shown != orders
    assert sorted(shown) == orders


def test_an_older_copy_of_an_order_may_stand_beside_it(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    place(engine, 2)
    order = engine.buy(KEY, BTC, "0.1", "80000")
    clock.ahead = timedelta(seconds=60)
    engine.fill_order(order.id, "0.04")
    clock.ahead = timedelta(seconds=70)
    distort(server, DistortionKind.OLDER_COPY)

    rows = send(server, "/api/v3/openOrders", symbol="BTCUSDT")

    copies = [x["executedQty"] for x in rows if x["orderId"] == int(order.id)]
    assert sorted(copies) == ["0.00000000", "0.04000000"]
    assert len(rows) == 4


def test_a_stale_page_shows_what_was(
    server: SandboxServer, kraken: SandboxServer, engine: Engine, clock: Clock
) -> None:
    clock.ahead = timedelta(seconds=60)
    place(engine, 2)
    clock.ahead = timedelta(seconds=70)
    for exchange in (server, kraken):
        distort(exchange, DistortionKind.STALE_PAGE, times=1)

    assert [len(kraken_ids(kraken)) for _ in range(2)] == [0, 2]
    rows = [send(server, "/api/v3/openOrders", symbol="BTCUSDT") for _ in range(2)]
    assert [len(x) for x in rows] == [0, 2]


def test_an_order_younger_than_a_stale_page_does_not_exist_on_it(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    clock.ahead = timedelta(seconds=60)
    [order] = place(engine, 1)
    clock.ahead = timedelta(seconds=70)
    distort(server, DistortionKind.STALE_PAGE)

    row = send(server, "/api/v3/order", symbol="BTCUSDT", orderId=order.id)

    assert row["code"] == -2013


def test_the_page_before_may_come_again(server: SandboxServer, engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "1", "80000")
    ids = [int(engine.fill_order(order.id, "0.1").id) for _ in range(6)]
    fault = distort(server, DistortionKind.PAGE_REPEATED)

    def page(first: int) -> list[int]:
        path = "/api/v3/myTrades"
        return [x["id"] for x in send(server, path, symbol="BTCUSDT", fromId=first, limit=3)]

    assert [page(ids[0]), page(ids[0])] == [ids[:3], ids[:3]]
    assert fault.happened == 0
    assert page(ids[3]) == ids[:3]
    assert fault.happened == 1


# Fields


def test_a_fee_may_be_left_out(
    server: SandboxServer, kraken: SandboxServer, engine: Engine
) -> None:
    engine.fill_order(engine.buy(KEY, BTC, "0.1", "80000").id, fee=Fee("USDT", D(8)))
    for exchange, read in ((server, ask), (kraken, kraken_exchange.ask)):
        distort(exchange, DistortionKind.NO_FEE)

        [trade] = read(exchange, lambda x: x.fetch_my_trades(BTC))

        assert trade["fee"] is None or trade["fee"]["cost"] is None


def test_a_trade_may_have_no_id(server: SandboxServer, engine: Engine) -> None:
    engine.fill_order(engine.buy(KEY, BTC, "0.1", "80000").id)
    distort(server, DistortionKind.NO_TRADE_ID)

    [trade] = ask(server, lambda x: x.fetch_my_trades(BTC))

    assert trade["id"] is None
    assert D(trade["amount"]) == D("0.1")


def test_a_status_may_be_a_word_that_nobody_knows(
    server: SandboxServer, kraken: SandboxServer, engine: Engine
) -> None:
    [order] = place(engine, 1)
    for exchange in (server, kraken):
        distort(exchange, DistortionKind.UNKNOWN_STATUS)

    told = kraken_exchange.ask(kraken, lambda x: x.fetch_order(txid(ORDER, order.id)))

    assert read_order(server, order)["status"] == "UNDER_REVIEW"
    assert told["status"] == "under_review"


def test_a_closed_order_may_not_say_what_was_filled(server: SandboxServer, engine: Engine) -> None:
    [open_order, order] = place(engine, 2)
    engine.fill_order(order.id)
    distort(server, DistortionKind.NO_FILLED)

    rows = send(server, "/api/v3/allOrders", symbol="BTCUSDT")

    assert [(x["orderId"], "executedQty" in x) for x in rows] == [
        (int(open_order.id), True),
        (int(order.id), False),
    ]


def test_a_number_may_have_36_digits_and_the_same_value(
    server: SandboxServer, kraken: SandboxServer
) -> None:
    for exchange, read in ((server, ask), (kraken, kraken_exchange.ask)):
        distort(exchange, DistortionKind.LONG_NUMBER)

        total = read(exchange, lambda x: x.fetch_balance())["total"]["BTC"]

        assert D(total) == D("2.00000001")
    row = next(x for x in send(server, "/api/v3/account")["balances"] if x["asset"] == "BTC")
    assert len(row["free"].replace(".", "")) == 36


def test_a_number_may_be_a_json_number_and_keeps_its_digits(
    server: SandboxServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    distort(server, DistortionKind.JSON_NUMBER)
    monkeypatch.setattr(json, "load", lambda file: json.loads(file.read(), parse_float=D))

    rows = send(server, "/api/v3/account")["balances"]

    free = {x["asset"]: x["free"] for x in rows}
    assert free["USDT"] == D("100000.123456789012345678")


def test_a_field_may_be_null(server: SandboxServer, engine: Engine) -> None:
    place(engine, 2)
    distort(server, DistortionKind.NULL_FIELD)

    rows = send(server, "/api/v3/openOrders", symbol="BTCUSDT")

    assert [value for row in rows for value in row.values()].count(None) == 1


# Single orders


def test_an_order_that_exists_may_be_denied(
    server: SandboxServer, kraken: SandboxServer, engine: Engine
) -> None:
    [order] = place(engine, 1)
    for exchange in (server, kraken):
        distort(exchange, DistortionKind.ORDER_DENIED)

    with pytest.raises(ccxt.OrderNotFound):
        read_order(server, order)
    with pytest.raises(ccxt.BaseError, match="EOrder:Unknown order"):
        kraken_exchange.ask(kraken, lambda x: x.fetch_order(txid(ORDER, order.id)))
    assert open_ids(server) == [order.id]


def test_trouble_may_look_like_a_denial(server: SandboxServer, engine: Engine) -> None:
    [order] = place(engine, 1)
    distort(server, DistortionKind.TROUBLE_AS_DENIAL)

    with pytest.raises(ccxt.OrderNotFound, match="Timeout waiting"):
        read_order(server, order)


def test_an_order_may_vanish_everywhere_and_come_back(
    server: SandboxServer, engine: Engine
) -> None:
    orders = place(engine, 12)
    fault = distort(server, DistortionKind.ORDER_VANISHES, seed=5)

    shown = open_ids(server)

    assert 0 < len(shown) < 12
    assert open_ids(server) == shown
    for order in orders:
        row = send(server, "/api/v3/order", symbol="BTCUSDT", orderId=order.id)
        assert ("orderId" in row) == (order.id in shown)
    server.faults.remove(fault)
    assert len(open_ids(server)) == 12


def test_a_rejected_order_may_be_told_as_canceled(server: SandboxServer, engine: Engine) -> None:
    [order] = place(engine, 1)
    engine.reject_order(order.id)
    distort(server, DistortionKind.REJECTED_AS_CANCELED)

    assert read_order(server, order)["status"] == "canceled"


# In general


def test_there_are_at_least_thirty_kinds() -> None:
    assert len(set(ALL_KINDS)) >= 30


def test_every_kind_is_known_and_concerns_something() -> None:
    assert set(DISTORTIONS) == {*DistortionKind} == {x for x in CONCERNS if CONCERNS[x]}


def test_what_has_rows_is_an_endpoint() -> None:
    assert set(TABLES) <= {x.path for x in ENDPOINTS}
    assert set(KRAKEN_TABLES) <= {x.path for x in KRAKEN_ENDPOINTS}


@pytest.mark.parametrize("kind", DistortionKind)
def test_where_there_is_nothing_to_distort_nothing_happens(
    server: SandboxServer, kind: DistortionKind
) -> None:
    fault = distort(server, kind)

    assert send(server, "/api/v3/openOrders", symbol="BTCUSDT") == []
    assert send(server, "/api/v3/order", symbol="BTCUSDT", orderId=7)["code"] == -2013
    assert fault.happened == 0


@pytest.mark.parametrize("kind", DistortionKind)
def test_what_belongs_to_no_account_is_left_alone(
    server: SandboxServer, kind: DistortionKind
) -> None:
    fault = distort(server, kind)

    with urllib.request.urlopen(f"{server.url}/api/v3/exchangeInfo") as response:  # noqa: S310
        assert len(json.load(response)["symbols"]) == 3
    assert fault.happened == 0


@pytest.mark.parametrize("kind", DistortionKind)
def test_every_kind_leaves_krakens_answers_readable(
    kraken: SandboxServer, engine: Engine, clock: Clock, kind: DistortionKind
) -> None:
    order, closed, rejected = place(engine, 3)
    engine.fill_order(order.id, "0.004", fee=Fee("USDT", D(1)))
    engine.fill_order(closed.id, fee=Fee("USDT", D(1)))
    engine.reject_order(rejected.id)
    distort(kraken, kind)

    for method, params in (
        ("BalanceEx", {}),
        ("OpenOrders", {}),
        ("ClosedOrders", {}),
        ("TradesHistory", {}),
        ("Ledgers", {}),
        ("DepositStatus", {}),
        ("QueryOrders", {"txid": txid(ORDER, order.id)}),
    ):
        answer = kraken_exchange.call(kraken, method, **params)
        assert answer["error"] == [] or method == "QueryOrders"


def test_the_same_seed_distorts_in_the_same_way(server: SandboxServer, engine: Engine) -> None:
    place(engine, 10)

    def shown(seed: int) -> list[str]:
        server.faults[:] = [Fault(DistortionKind.SHORTENED, seed=seed)]
        return open_ids(server)

    assert shown(3) == shown(3)
    assert shown(3) != shown(4)
