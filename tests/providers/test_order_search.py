"""An order that the exchange denies is searched for before anybody may count it as gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

import pytest

from providers import catalogue
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.reports import (
    FillReport,
    KnownOrder,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    Snapshot,
)
from providers.sandbox.faults import DistortionKind, Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.providers.accounts import (
    fetch,
    leg_of,
    legs_of,
    make_known,
    make_provider,
    make_request,
)
from tests.providers.stub_exchange import (
    KRAKEN,
    OKX,
    Answer,
    Received,
    Route,
    StubExchange,
    json_answer,
    okx_order,
)
from tests.providers.test_other_markets import CREDENTIALS

KEY = "practice-key"
BTC = "BTC/USDT"
LADDER = [LegKind.ORDER, LegKind.ENDED_ORDERS, LegKind.FILLS]
Without = Callable[..., None]


@pytest.fixture
def exchange(sandbox: SandboxServer) -> SandboxServer:
    sandbox.engine.deposit(KEY, "USDT", "5000000")
    return sandbox


@pytest.fixture
def provider() -> CCXTPortfolioProvider:
    return make_provider()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Without:
    """Take capabilities from a market."""

    def take(market_id: str, *missing: str) -> None:
        market = catalogue.market(market_id)
        has = {name: name not in missing and value for name, value in market.capabilities.items()}
        lesser = replace(market, capabilities=MappingProxyType(has))
        monkeypatch.setattr(catalogue, "market", lambda _: lesser)

    return take


def sync(provider: CCXTPortfolioProvider, exchange: SandboxServer, *orders: KnownOrder) -> Snapshot:
    return fetch(provider, make_request(exchange.url, known_orders=orders))


def ladder(snapshot: Snapshot) -> dict[LegKind, Leg]:
    return {leg.kind: leg for leg in snapshot.legs if leg.kind in LADDER}


def category(leg: Leg) -> str:
    assert leg.error is not None
    return leg.error.category


def forgotten(exchange: SandboxServer, **facts: Any) -> KnownOrder:
    order = exchange.engine.buy(KEY, BTC, "1", "100")
    exchange.engine.forget_order(order.id)
    return make_known(order.id, created_at=order.created_at, **facts)


def test_an_order_that_nobody_has_is_looked_for_in_all_places(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known = forgotten(exchange)

    snapshot = sync(provider, exchange, known)

    legs = ladder(snapshot)
    assert list(legs) == LADDER
    assert {leg.subject for leg in legs.values()} == {known.external_id}
    assert category(legs[LegKind.ORDER]) == "not_found"
    for kind in (LegKind.ENDED_ORDERS, LegKind.FILLS):
        assert (legs[kind].status, legs[kind].complete) == (LegStatus.OBSERVED, True)
        assert legs[kind].rows == ()
    assert snapshot.legs[-1].kind is LegKind.BALANCES
    assert snapshot.http_requests == snapshot.symbol_requests + 2 + 3


def test_an_order_that_is_denied_by_mistake_is_found_among_the_others(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = exchange.engine.buy(KEY, BTC, "1", "100")
    exchange.engine.fill_order(order.id, "0.4")
    exchange.engine.cancel_order(order.id)
    exchange.faults.append(Fault(DistortionKind.ORDER_DENIED))

    legs = ladder(sync(provider, exchange, make_known(order.id, created_at=order.created_at)))

    (report,) = legs[LegKind.ENDED_ORDERS].rows
    assert isinstance(report, OrderReport)
    assert (report.external_id, report.status) == (order.id, OrderStatus.CANCELED)
    assert legs[LegKind.ENDED_ORDERS].complete
    assert len(legs[LegKind.FILLS].rows) == 1


def test_the_fills_of_an_order_that_nobody_has_are_found(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = exchange.engine.buy(KEY, BTC, "1", "100")
    fill = exchange.engine.fill_order(order.id, "0.4")
    exchange.engine.forget_order(order.id)

    legs = ladder(sync(provider, exchange, make_known(order.id, created_at=order.created_at)))

    (told,) = legs[LegKind.FILLS].rows
    assert isinstance(told, FillReport)
    assert (told.external_id, legs[LegKind.FILLS].complete) == (fill.id, True)


def test_a_search_that_fails_says_so(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known = forgotten(exchange)
    exchange.faults.append(Fault(FaultKind.UNAVAILABLE, path="allOrders"))

    legs = ladder(sync(provider, exchange, known))

    assert legs[LegKind.ENDED_ORDERS].status is LegStatus.FAILED
    assert legs[LegKind.FILLS].status is LegStatus.OBSERVED


def test_an_order_that_could_not_be_asked_for_is_not_searched(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known = forgotten(exchange)
    exchange.faults.append(Fault(FaultKind.UNAVAILABLE, path="/order$"))

    assert list(ladder(sync(provider, exchange, known))) == [LegKind.ORDER]


def test_trouble_that_an_exchange_calls_a_missing_order_is_no_denial(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = exchange.engine.buy(KEY, BTC, "1", "100")
    exchange.engine.cancel_order(order.id)
    exchange.faults.append(Fault(DistortionKind.TROUBLE_AS_DENIAL))

    legs = ladder(sync(provider, exchange, make_known(order.id)))

    assert list(legs) == [LegKind.ORDER]
    assert category(legs[LegKind.ORDER]) == "transport"


def test_an_ended_order_that_is_asked_for_its_fills_is_not_searched(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known = forgotten(exchange, is_open=False, wants_fills=True)

    assert list(ladder(sync(provider, exchange, known))) == [LegKind.ORDER]


def test_a_client_id_that_was_used_again_finds_no_other_order(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known = forgotten(exchange, client_order_id="a-1")
    other = exchange.engine.buy(KEY, BTC, "1", "100", client_id="a-1")
    exchange.engine.cancel_order(other.id)

    legs = ladder(sync(provider, exchange, known))

    assert (legs[LegKind.ENDED_ORDERS].rows, legs[LegKind.ENDED_ORDERS].complete) == ((), True)


def test_an_order_known_by_its_client_id_alone_has_no_fills_to_look_for(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known = make_known("", client_order_id="a-1", created_at=datetime.now(UTC))

    legs = ladder(sync(provider, exchange, known))

    assert {leg.subject for leg in legs.values()} == {"a-1"}
    assert legs[LegKind.ENDED_ORDERS].complete
    assert legs[LegKind.FILLS].status is LegStatus.UNSUPPORTED


# X07
def test_without_a_read_of_one_order_its_lists_tell_that_it_is_gone(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, without: Without
) -> None:
    without("binance", "fetchOrder")

    snapshot = sync(provider, exchange, forgotten(exchange))

    legs = ladder(snapshot)
    assert category(legs[LegKind.ORDER]) == "not_found"
    assert legs[LegKind.ENDED_ORDERS].complete
    paths = [request.path for request in exchange.requests]
    assert paths.count("/api/v3/allOrders") == 1


# X07
def test_without_any_list_of_ended_orders_the_search_is_unsupported(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, without: Without
) -> None:
    lists = ("fetchOrders", "fetchClosedOrders", "fetchCanceledOrders")
    without("binance", *lists, "fetchCanceledAndClosedOrders")

    legs = ladder(sync(provider, exchange, forgotten(exchange)))

    assert legs[LegKind.ENDED_ORDERS].status is LegStatus.UNSUPPORTED
    assert legs[LegKind.FILLS].complete


def sync_okx(routes: dict[str, Route], **facts: Any) -> tuple[dict[LegKind, Leg], StubExchange]:
    denied = json_answer({"code": "51603", "msg": "Order does not exist", "data": []})
    known = make_known("10001", **facts)
    with StubExchange({**OKX, "/api/v5/trade/order": denied, **routes}) as stub:
        request = make_request(
            stub.url, market="okx", credentials=CREDENTIALS["okx"], known_orders=(known,)
        )
        return ladder(fetch(make_provider(), request)), stub


def okx_history(*rows: dict[str, str]) -> Route:
    def page(received: Received) -> Answer:
        state = received.query["state"]
        return json_answer({"code": "0", "data": [row for row in rows if row["state"] == state]})

    return page


OKX_FILLS: dict[str, Route] = {
    "/api/v5/trade/fills-history": json_answer({"code": "0", "data": []}),
    "/api/v5/trade/fills": json_answer({"code": "0", "data": []}),
}


def test_filled_and_canceled_orders_of_okx_are_two_lists() -> None:
    made = datetime.now(UTC) - timedelta(hours=1)
    at = str(int(made.timestamp() * 1000))
    orders = (okx_order(1, state="canceled", cTime=at), okx_order(2, state="filled", cTime=at))
    history = okx_history(*orders)

    legs, stub = sync_okx({"/api/v5/trade/orders-history": history}, created_at=made)

    (report,) = legs[LegKind.ENDED_ORDERS].rows
    assert isinstance(report, OrderReport)
    assert report.status is OrderStatus.CANCELED
    states = [r.query["state"] for r in stub.received if r.path.endswith("orders-history")]
    assert states == ["filled", "canceled"]


def test_both_lists_of_okx_without_the_order_are_the_whole_search() -> None:
    made = datetime.now(UTC) - timedelta(hours=1)
    routes = {"/api/v5/trade/orders-history": okx_history(), **OKX_FILLS}

    legs, _ = sync_okx(routes, created_at=made)

    assert (legs[LegKind.ENDED_ORDERS].rows, legs[LegKind.ENDED_ORDERS].complete) == ((), True)
    assert legs[LegKind.FILLS].complete


def test_an_order_of_unknown_age_is_not_looked_for_whole() -> None:
    routes = {"/api/v5/trade/orders-history": okx_history(), **OKX_FILLS}

    legs, _ = sync_okx(routes)

    assert legs[LegKind.ENDED_ORDERS].why_incomplete.startswith("when the order was made")
    assert not legs[LegKind.ENDED_ORDERS].complete


def kraken_closed(count: int) -> Route:
    """Serve orders that ended, newest first, 50 a page; their ids are OX0, OX1, ..."""
    row = {
        "status": "canceled",
        "descr": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "50000.1"},
        "vol": "5",
        "vol_exec": "0",
        "opentm": f"{datetime.now(UTC).timestamp():.4f}",
    }

    def page(received: Received) -> Answer:
        sent = parse_qs(received.body)
        assert "end" not in sent
        start = int(sent.get("ofs", ["0"])[0])
        shown = {f"OX{number}": row for number in range(start, min(count, start + 50))}
        return json_answer({"error": [], "result": {"closed": shown, "count": count}})

    return page


def sync_kraken(external_id: str, count: int) -> dict[LegKind, Leg]:
    routes = {
        **KRAKEN,
        "/0/private/QueryOrders": json_answer({"error": ["EOrder:Unknown order"]}),
        "/0/private/ClosedOrders": kraken_closed(count),
        "/0/private/TradesHistory": json_answer({"error": [], "result": {"trades": {}}}),
    }
    known = make_known(external_id, "BTC/USD", created_at=datetime.now(UTC) - timedelta(hours=1))
    with StubExchange(routes) as stub:
        request = make_request(
            stub.url, market="kraken", credentials=CREDENTIALS["kraken"], known_orders=(known,)
        )
        return ladder(fetch(make_provider(), request))


def test_an_order_is_found_on_a_later_page() -> None:
    (report,) = sync_kraken("OX120", 130)[LegKind.ENDED_ORDERS].rows

    assert isinstance(report, OrderReport)
    assert report.external_id == "OX120"


def test_every_page_of_the_list_is_looked_through() -> None:
    leg = sync_kraken("OGONE", 130)[LegKind.ENDED_ORDERS]

    assert (leg.rows, leg.complete, leg.pages) == ((), True, 3)


def test_two_denied_orders_are_searched_one_after_the_other(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = [forgotten(exchange), forgotten(exchange)]

    snapshot = sync(provider, exchange, *orders)

    searched = [leg.subject for leg in legs_of(snapshot, LegKind.ENDED_ORDERS)]
    assert searched == [order.external_id for order in orders]
    assert leg_of(snapshot, LegKind.OPEN_ORDERS).complete
