"""Orders that the exchange has not acknowledged to the books, and orders that lack fills."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from providers import catalogue
from providers.base import PortfolioProvider
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.credentials import Credentials
from providers.market_options import BY_CLIENT_ID
from providers.reports import (
    BalanceReport,
    FillReport,
    KnownOrder,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    Snapshot,
    SnapshotRequest,
)
from providers.sandbox.books import Order
from providers.sandbox.engine import Engine
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import ORDER, shown_secret, txid
from providers.sandbox.server import SandboxServer
from providers.symbols import Site, Symbols
from tests.providers.accounts import (
    PRACTICE,
    fetch,
    leg_of,
    legs_of,
    make_known,
    make_provider,
    make_request,
)
from tests.providers.market_payloads import payloads
from tests.providers.sandbox.exchange import INSTRUMENTS
from tests.providers.stub_exchange import (
    BYBIT,
    GATE,
    OKX,
    Route,
    StubExchange,
    bybit_order,
    json_answer,
    okx_order,
)

KEY = "practice-key"
SECRET = "practice-secret"
OKX_CREDENTIALS = Credentials({"apiKey": "k", "secret": "s", "password": "p"})


@pytest.fixture
def exchange(sandbox: SandboxServer) -> SandboxServer:
    sandbox.engine.deposit(KEY, "USDT", "5000000")
    return sandbox


@pytest.fixture
def kraken() -> Iterator[SandboxServer]:
    engine = Engine(INSTRUMENTS)
    engine.add_account(KEY, SECRET)
    engine.deposit(KEY, "USDT", "5000000")
    with SandboxServer(engine, dialect=Kraken(engine)) as server:
        yield server


@pytest.fixture
def provider() -> CCXTPortfolioProvider:
    return make_provider()


def buy(exchange: SandboxServer, client_id: str = "") -> Order:
    return exchange.engine.buy(KEY, "BTC/USDT", "0.01", "80000.5", client_id=client_id)


def sent(client_id: str, **facts: Any) -> KnownOrder:
    """Tell an order that was sent, and of which no id is known yet."""
    return make_known("", client_order_id=client_id, **facts)


def sync(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, *orders: KnownOrder, **facts: Any
) -> Snapshot:
    return fetch(provider, make_request(exchange.url, known_orders=orders, **facts))


def sync_kraken(exchange: SandboxServer, *orders: KnownOrder) -> Snapshot:
    credentials = Credentials({"apiKey": KEY, "secret": shown_secret(SECRET)})
    return sync(make_provider(), exchange, *orders, market="kraken", credentials=credentials)


def sync_stub(
    market: str, routes: dict[str, Route], *orders: KnownOrder, credentials: Credentials = PRACTICE
) -> Snapshot:
    with StubExchange(routes) as stub:
        request = make_request(
            stub.url, market=market, credentials=credentials, known_orders=orders
        )
        return fetch(make_provider(), request)


def order_of(snapshot: Snapshot) -> OrderReport:
    (row,) = leg_of(snapshot, LegKind.ORDER).rows
    assert isinstance(row, OrderReport)
    return row


def kinds(snapshot: Snapshot) -> list[LegKind]:
    return [leg.kind for leg in snapshot.legs]


# F19
def test_an_order_in_the_open_list_is_not_asked_for_by_its_client_id(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    buy(exchange, "a-1")

    snapshot = sync(provider, exchange, sent("a-1"))

    assert snapshot.http_requests - snapshot.symbol_requests == 2
    assert kinds(snapshot) == [LegKind.OPEN_ORDERS, LegKind.BALANCES]


# F19
def test_an_order_that_left_the_list_is_found_by_its_client_id(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = buy(exchange, "a-1")
    exchange.engine.cancel_order(order.id)

    snapshot = sync(provider, exchange, sent("a-1"))

    report = order_of(snapshot)
    assert leg_of(snapshot, LegKind.ORDER).subject == "a-1"
    assert (report.external_id, report.client_order_id) == (order.id, "a-1")
    assert report.status is OrderStatus.CANCELED
    assert snapshot.http_requests - snapshot.symbol_requests == 3


# F19
def test_an_order_that_never_arrived_is_not_found(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    leg = leg_of(sync(provider, exchange, sent("a-1")), LegKind.ORDER)

    assert (leg.status, leg.subject) == (LegStatus.FAILED, "a-1")
    assert leg.error is not None
    assert leg.error.category == "not_found"
    assert "External order not found for order with client id a-1" in leg.error.message


# F19
def test_orders_without_an_id_do_not_stand_for_each_other(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    for client_id in ("a-1", "a-2"):
        exchange.engine.cancel_order(buy(exchange, client_id).id)

    snapshot = sync(provider, exchange, sent("a-1"), sent("a-2"), sent("a-3"))

    legs = legs_of(snapshot, LegKind.ORDER)
    assert [(leg.subject, leg.status) for leg in legs] == [
        ("a-1", LegStatus.OBSERVED),
        ("a-2", LegStatus.OBSERVED),
        ("a-3", LegStatus.FAILED),
    ]


def test_an_id_and_the_same_text_as_a_client_id_are_two_orders(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    by_id = buy(exchange)
    by_client_id = buy(exchange, by_id.id)
    for order in (by_id, by_client_id):
        exchange.engine.cancel_order(order.id)

    snapshot = sync(provider, exchange, make_known(by_id.id), sent(by_id.id))

    rows = [row for leg in legs_of(snapshot, LegKind.ORDER) for row in leg.rows]
    ids = [row.external_id for row in rows if isinstance(row, OrderReport)]
    assert ids == [by_id.id, by_client_id.id]


@pytest.mark.parametrize("is_open", [True, False])
def test_fills_of_an_order_known_by_client_id_are_read_by_its_id(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, is_open: bool
) -> None:
    order = buy(exchange, "a-1")
    exchange.engine.fill_order(order.id, "0.004" if is_open else None)

    leg = leg_of(sync(provider, exchange, sent("a-1")), LegKind.FILLS)

    assert leg.complete
    assert leg.subject == order.id
    assert {row.order_external_id for row in leg.rows if isinstance(row, FillReport)} == {order.id}


def test_an_order_of_no_name_at_all_is_not_asked_for(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    assert kinds(sync(provider, exchange, sent(""))) == [LegKind.OPEN_ORDERS, LegKind.BALANCES]


def test_without_the_open_list_no_client_id_is_asked_for() -> None:
    broken = {**OKX, "/api/v5/trade/orders-pending": json_answer({"code": "0", "data": None})}

    snapshot = sync_stub("okx", broken, sent("a-1"), credentials=OKX_CREDENTIALS)

    assert leg_of(snapshot, LegKind.OPEN_ORDERS).status is LegStatus.FAILED
    assert legs_of(snapshot, LegKind.ORDER) == []


def test_another_order_than_that_of_the_client_id_is_refused() -> None:
    other = json_answer({"code": "0", "data": [okx_order(2, clOrdId="b-2", state="canceled")]})

    snapshot = sync_stub(
        "okx", {**OKX, "/api/v5/trade/order": other}, sent("a-1"), credentials=OKX_CREDENTIALS
    )

    leg = leg_of(snapshot, LegKind.ORDER)
    assert leg.status is LegStatus.FAILED
    assert leg.error is not None
    assert leg.error.category == "parse"
    assert "order with client id a-1 and answered with b-2" in leg.error.message


def test_an_order_without_a_client_id_is_not_the_one_asked_for() -> None:
    nameless = json_answer({"code": "0", "data": [okx_order(2, state="canceled")]})

    snapshot = sync_stub(
        "okx", {**OKX, "/api/v5/trade/order": nameless}, sent("a-1"), credentials=OKX_CREDENTIALS
    )

    assert leg_of(snapshot, LegKind.ORDER).rows == ()


# F19
@pytest.mark.parametrize(
    ("market", "path", "param"),
    [
        ("binance", "/api/v3/order", "origClientOrderId"),
        ("kraken", "/0/private/ClosedOrders", "cl_ord_id"),
        ("okx", "/api/v5/trade/order", "clOrdId"),
        ("bybit", "/v5/order/history", "orderLinkId"),
        ("bitget", "/api/v2/spot/trade/orderInfo", "clientOid"),
        ("bitstamp", "/api/v2/order_status/", "client_order_id"),
    ],
)
def test_a_market_is_asked_by_its_own_name_of_a_client_id(
    market: str, path: str, param: str
) -> None:
    asked = [told for at, told in requests_for(market) if at == path]

    assert {told[param] for told in asked} == {"t-a1"}
    assert {"orderId", "ordId", "order_id", "id", "txid"}.isdisjoint(asked[0])


@pytest.mark.parametrize(
    ("market", "path"),
    [
        ("kucoin", "/api/v1/order/client-order/t-a1"),
        ("gate", "/api/v4/spot/orders/t-a1"),
    ],
)
def test_a_client_id_may_be_part_of_the_path(market: str, path: str) -> None:
    assert path in {at for at, _ in requests_for(market)}


def test_each_way_by_client_id_is_proved_above() -> None:
    assert set(BY_CLIENT_ID) == {
        *("binance", "kraken", "okx", "bybit", "kucoin", "gate", "bitget", "bitstamp"),
    }


@pytest.mark.parametrize("market", ["coinbase", "bitvavo"])
def test_of_a_market_that_cannot_be_asked_nothing_is_concluded(market: str) -> None:
    snapshot, received = ask_documented(market)

    assert leg_of(snapshot, LegKind.OPEN_ORDERS).status is LegStatus.OBSERVED
    assert legs_of(snapshot, LegKind.ORDER) == []
    assert not [told for at, told in received if "t-a1" in at or "t-a1" in told.values()]


def ask_documented(market: str) -> tuple[Snapshot, list[tuple[str, dict[str, str]]]]:
    """Read a documented account; told are the path and the parameters of every request."""
    documented = payloads(market)
    symbol = documented._told["symbols"][0][1]
    with StubExchange(documented._routes()) as stub:
        provider = make_provider()
        site = Site(catalogue.market(market), sandbox=False, endpoint=stub.url)
        options = documented._told.get("options", {})
        provider._memory.symbols.keep(site, Symbols(documented.exchange(), options, time.time()))
        request = make_request(
            stub.url,
            market=market,
            credentials=documented.credentials,
            known_orders=(sent("t-a1", symbol=symbol),),
            symbols=(symbol,),
        )
        snapshot = fetch(provider, request)
        told = [(x.path, {**x.query, **dict(parse_qsl(x.body))}) for x in stub.received]
    return snapshot, told


def requests_for(market: str) -> list[tuple[str, dict[str, str]]]:
    return ask_documented(market)[1]


def test_kraken_finds_an_ended_order_by_its_client_id(kraken: SandboxServer) -> None:
    order = buy(kraken, "a-1")
    kraken.engine.cancel_order(order.id)
    kraken.engine.cancel_order(buy(kraken, "a-2").id)

    report = order_of(sync_kraken(kraken, sent("a-1")))

    assert report.external_id == txid(ORDER, order.id)
    assert report.status is OrderStatus.CANCELED


def test_kraken_has_no_order_of_an_unknown_client_id(kraken: SandboxServer) -> None:
    leg = leg_of(sync_kraken(kraken, sent("a-1")), LegKind.ORDER)

    assert leg.error is not None
    assert leg.error.category == "not_found"


def test_of_two_orders_with_one_client_id_the_later_counts() -> None:
    rows = [
        {**bybit_order(number), "orderLinkId": "a-1", "orderStatus": "Cancelled"}
        for number in (2, 1)
    ]
    ended = {"retCode": 0, "result": {"category": "spot", "list": rows, "nextPageCursor": ""}}

    snapshot = sync_stub("bybit", {**BYBIT, "/v5/order/history": json_answer(ended)}, sent("a-1"))

    assert order_of(snapshot).external_id == bybit_order(2)["orderId"]


def test_bybit_finds_an_ended_order_by_its_client_id() -> None:
    row = {**bybit_order(1), "orderLinkId": "a-1", "orderStatus": "Cancelled"}
    ended = {"retCode": 0, "result": {"category": "spot", "list": [row], "nextPageCursor": ""}}

    snapshot = sync_stub("bybit", {**BYBIT, "/v5/order/history": json_answer(ended)}, sent("a-1"))

    assert order_of(snapshot).external_id == row["orderId"]


def test_what_bybit_does_not_list_may_still_be_there() -> None:
    empty = {"retCode": 0, "result": {"category": "spot", "list": [], "nextPageCursor": ""}}

    snapshot = sync_stub("bybit", {**BYBIT, "/v5/order/history": json_answer(empty)}, sent("a-1"))

    leg = leg_of(snapshot, LegKind.ORDER)
    assert leg.status is LegStatus.UNSUPPORTED
    assert "bybit finds no order with client id a-1" in leg.why_incomplete


@pytest.mark.parametrize("client_id", ["a-1", "t-a-1"])
def test_gate_tells_a_client_id_with_the_prefix_that_ccxt_gave_it(client_id: str) -> None:
    row = {
        "id": "7",
        "text": "t-a-1",
        "currency_pair": "BTC_USDT",
        "type": "limit",
        "side": "buy",
        "status": "cancelled",
        "amount": "0.01",
        "left": "0.01",
        "price": "50000",
    }

    snapshot = sync_stub(
        "gate", {**GATE, "/api/v4/spot/orders/t-a-1": json_answer(row)}, sent(client_id)
    )

    report = order_of(snapshot)
    assert (report.external_id, report.client_order_id) == ("7", client_id)


def test_what_gate_has_forgotten_may_still_be_there() -> None:
    gone = json_answer({"label": "ORDER_NOT_FOUND", "message": "Order not found"}, 404)

    snapshot = sync_stub("gate", {**GATE, "/api/v4/spot/orders/t-a-1": gone}, sent("a-1"))

    assert leg_of(snapshot, LegKind.ORDER).status is LegStatus.UNSUPPORTED


def test_one_order_can_be_read_by_its_client_id(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = buy(exchange, "a-1")

    report = provider.get_order(make_request(exchange.url), sent("a-1"), PRACTICE)

    assert report is not None
    assert report.external_id == order.id


def test_wanted_fills_of_an_open_order_are_read_without_the_order(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = buy(exchange)
    exchange.engine.fill_order(order.id, "0.004")

    known = make_known(order.id, filled=Decimal("0.004"), wants_fills=True)
    snapshot = sync(provider, exchange, known)

    assert kinds(snapshot) == [LegKind.OPEN_ORDERS, LegKind.FILLS, LegKind.BALANCES]
    fills = [row for row in leg_of(snapshot, LegKind.FILLS).rows if isinstance(row, FillReport)]
    assert [fill.amount for fill in fills] == [Decimal("0.004")]


def test_wanted_fills_of_an_ended_order_are_read_after_the_order(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = buy(exchange)
    exchange.engine.fill_order(order.id)

    known = make_known(order.id, filled=Decimal("0.01"), is_open=False, wants_fills=True)
    snapshot = sync(provider, exchange, known)

    assert kinds(snapshot) == [
        *(LegKind.OPEN_ORDERS, LegKind.ORDER, LegKind.FILLS, LegKind.BALANCES),
    ]


def test_an_ended_order_that_is_still_listed_open_is_not_asked_for(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = buy(exchange)

    known = make_known(order.id, is_open=False, wants_fills=True)
    snapshot = sync(provider, exchange, known)

    assert kinds(snapshot) == [LegKind.OPEN_ORDERS, LegKind.FILLS, LegKind.BALANCES]


def test_an_ended_order_that_lacks_nothing_costs_nothing(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = buy(exchange)
    exchange.engine.cancel_order(order.id)

    snapshot = sync(provider, exchange, make_known(order.id, is_open=False))

    assert kinds(snapshot) == [LegKind.OPEN_ORDERS, LegKind.BALANCES]


def test_no_fills_are_read_of_an_order_that_could_not_be_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known = make_known("999999", is_open=False, wants_fills=True)
    snapshot = sync(provider, exchange, known)

    assert kinds(snapshot) == [LegKind.OPEN_ORDERS, LegKind.ORDER, LegKind.BALANCES]


class SeedProvider(PortfolioProvider):
    """Knows the three methods of the contract only."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[KnownOrder] = []

    def supports_market(self, market: str) -> bool:
        return True

    def get_position(
        self, account: SnapshotRequest, asset: str, credentials: Credentials
    ) -> BalanceReport | None:
        return None

    def get_order(
        self, account: SnapshotRequest, order: KnownOrder, credentials: Credentials
    ) -> OrderReport | None:
        self.asked.append(order)
        return None


def test_a_provider_of_the_contract_is_asked_for_open_orders_with_an_id_only() -> None:
    provider = SeedProvider()
    orders = (make_known("1"), sent("a-1"), make_known("2", is_open=False, wants_fills=True))

    asyncio.run(provider.fetch_snapshot(make_request("", known_orders=orders), lambda _: None))

    assert provider.asked == [orders[0]]
