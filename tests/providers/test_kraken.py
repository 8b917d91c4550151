"""The provider reads the practice exchange that speaks as Kraken does."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from providers import fetching
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.credentials import Credentials
from providers.reports import (
    BalanceReport,
    FeeReport,
    FillReport,
    KeyRights,
    KnownOrder,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    OrderType,
    Snapshot,
)
from providers.sandbox.books import Fee, Order, Permission
from providers.sandbox.engine import Engine
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import ORDER, TRADE, shown_secret, txid
from providers.sandbox.server import SandboxServer
from tests.providers.accounts import (
    fetch,
    leg_of,
    legs_of,
    make_known,
    make_provider,
    make_request,
)
from tests.providers.sandbox.exchange import INSTRUMENTS
from tests.providers.sandbox.kraken_exchange import ask

D = Decimal
KEY = "practice-key"
SECRET = "practice-secret"
CREDENTIALS = Credentials({"apiKey": KEY, "secret": shown_secret(SECRET)})


@pytest.fixture
def exchange() -> Iterator[SandboxServer]:
    engine = Engine(INSTRUMENTS)
    engine.add_account(KEY, SECRET)
    engine.deposit(KEY, "USDT", "5000000.5")
    engine.deposit(KEY, "BTC", "1.2345678901234567890123456")
    with SandboxServer(engine, dialect=Kraken(engine)) as server:
        yield server


@pytest.fixture
def provider() -> CCXTPortfolioProvider:
    return make_provider()


def buy(exchange: SandboxServer, count: int = 1) -> list[Order]:
    engine = exchange.engine
    return [engine.buy(KEY, "BTC/USDT", "0.01", f"{80_000 + i}.5") for i in range(count)]


def known(orders: list[Order]) -> tuple[KnownOrder, ...]:
    return tuple(make_known(txid(ORDER, x.id), created_at=x.created_at) for x in orders)


def sync(
    provider: CCXTPortfolioProvider,
    exchange: SandboxServer,
    orders: tuple[KnownOrder, ...] = (),
    **facts: Any,
) -> Snapshot:
    facts = {"market": "kraken", "credentials": CREDENTIALS, **facts}
    return fetch(provider, make_request(exchange.url, known_orders=orders, **facts))


def categories(snapshot: Snapshot) -> set[str]:
    return {leg.error.category for leg in snapshot.legs if leg.error is not None}


def fills_in(leg: Leg) -> list[FillReport]:
    return [row for row in leg.rows if isinstance(row, FillReport)]


def test_open_orders_cost_two_requests(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = known(buy(exchange, 60))

    first, second = sync(provider, exchange, orders), sync(provider, exchange, orders)

    assert first.http_requests - first.symbol_requests == 2
    assert (second.http_requests, second.symbol_requests) == (2, 0)
    assert [leg.kind for leg in second.legs] == [LegKind.OPEN_ORDERS, LegKind.BALANCES]
    assert all(leg.complete for leg in second.legs)
    assert len(second.legs[0].rows) == 60


def test_balances_are_exact(provider: CCXTPortfolioProvider, exchange: SandboxServer) -> None:
    buy(exchange)
    exchange.engine.deposit(KEY, "ETH.F", "0.5")

    rows = leg_of(sync(provider, exchange), LegKind.BALANCES).rows

    btc, earning = D("1.2345678901234567890123456"), D("0.5")
    used, total = D("800.005"), D("5000000.5")
    assert {row.asset: row for row in rows if isinstance(row, BalanceReport)} == {
        "BTC": BalanceReport("BTC", btc, D(0), btc),
        "ETH.F": BalanceReport("ETH.F", earning, D(0), earning),
        "USDT": BalanceReport("USDT", total - used, used, total),
    }


def test_an_open_order_is_told_in_full(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = exchange.engine.buy(KEY, "BTC/USDT", "0.5", "80000.01", "mine-1")

    (row,) = leg_of(sync(provider, exchange), LegKind.OPEN_ORDERS).rows

    assert isinstance(row, OrderReport)
    assert (row.external_id, row.client_order_id) == (txid(ORDER, order.id), "mine-1")
    assert (row.symbol, row.type, row.status) == ("BTC/USDT", OrderType.LIMIT, OrderStatus.OPEN)
    assert (row.amount, row.filled, row.price) == (D("0.5"), D(0), D("80000.01"))
    assert row.created_at == order.created_at.replace(
        microsecond=order.created_at.microsecond // 1000 * 1000
    )


def test_each_order_that_left_costs_one_more(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 4)
    sync(provider, exchange)
    exchange.engine.cancel_order(orders[0].id)
    exchange.engine.expire_order(orders[1].id)
    exchange.engine.reject_order(orders[2].id)

    snapshot = sync(provider, exchange, known(orders))

    assert snapshot.http_requests == 2 + 3
    reports = [leg.rows[0] for leg in legs_of(snapshot, LegKind.ORDER)]
    assert [getattr(report, "status", None) for report in reports] == [
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.CANCELED,
    ]


def test_fills_are_paged_until_they_add_up(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order, other = buy(exchange, 2)
    filled = [exchange.engine.fill_order(order.id, "0.0001", "80000") for _ in range(60)]
    for _ in range(20):
        exchange.engine.fill_order(other.id, "0.0001")

    leg = leg_of(sync(provider, exchange, known([order])), LegKind.FILLS)

    assert (leg.complete, leg.pages) == (True, 2)
    assert {fill.external_id for fill in fills_in(leg)} == {txid(TRADE, x.id) for x in filled}


def test_a_fill_is_exact_although_the_order_is_not(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    (order,) = buy(exchange)
    exchange.engine.fill_order(order.id, "0.00333", "79999.99", Fee("USDT", D("0.1234567890123")))
    exchange.engine.fill_order(order.id)

    snapshot = sync(provider, exchange, known([order]))

    first, second = sorted(fills_in(leg_of(snapshot, LegKind.FILLS)), key=lambda x: x.amount)
    assert (first.cost, first.fees) == (
        D("266.3999667"),
        (FeeReport("USDT", D("0.1234567890123")),),
    )
    assert second.cost == D("533.603335")
    (report,) = leg_of(snapshot, LegKind.ORDER).rows
    assert isinstance(report, OrderReport)
    assert report.average == D("80000.33")


@pytest.mark.parametrize("external_id", ["999999999", txid(ORDER, "999999999")])
def test_an_order_that_kraken_does_not_know_is_not_found(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, external_id: str
) -> None:
    orders = buy(exchange)
    exchange.engine.cancel_order(orders[0].id)

    snapshot = sync(provider, exchange, (make_known(external_id), *known(orders)))

    unknown, read = legs_of(snapshot, LegKind.ORDER)
    assert unknown.error is not None
    assert unknown.error.category == "not_found"
    assert read.status is LegStatus.OBSERVED


def test_a_single_read_of_an_unknown_order_is_none(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    account = make_request(exchange.url, market="kraken", credentials=CREDENTIALS)

    assert provider.get_order(account, make_known(txid(ORDER, "999")), CREDENTIALS) is None


@pytest.mark.parametrize(
    "secrets",
    [
        {"apiKey": "practice-key-mallory", "secret": shown_secret(SECRET)},
        {"apiKey": KEY, "secret": shown_secret("practice-secret-of-mallory")},
    ],
)
def test_wrong_credentials_need_a_person(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, secrets: dict[str, str]
) -> None:
    snapshot = sync(provider, exchange, credentials=Credentials(secrets))

    assert categories(snapshot) == {"auth"}


def test_a_key_that_may_not_read_needs_a_person(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.engine.change_key(KEY, permissions=[Permission.TRADE])

    assert categories(sync(provider, exchange)) == {"permission"}


def other_worker(exchange: SandboxServer) -> None:
    """Read with the same key; the clock of which the nonces are made is a minute ahead."""

    async def read(client: ccxt.kraken) -> None:
        await client.fetch_balance()

    ask(
        exchange,
        read,
        apiKey=KEY,
        secret=shown_secret(SECRET),
        options={"timeDifference": -60_000},
    )


def test_a_key_in_two_workers_is_told_as_that(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    other_worker(exchange)

    snapshot = sync(provider, exchange)

    assert categories(snapshot) == {"nonce"}
    assert {leg.status for leg in snapshot.legs} == {LegStatus.FAILED}
    assert all(not leg.complete for leg in snapshot.legs)


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (FaultKind.RATE_LIMITED, "rate"),
        (FaultKind.UNAVAILABLE, "transport"),
        (FaultKind.TIMED_OUT, "transport"),
        (FaultKind.OVERLOADED, "transport"),
        (FaultKind.EXPIRED_KEY, "auth"),
        (FaultKind.MAINTENANCE, "maintenance"),
        (FaultKind.CODE_524, "transport"),
        (FaultKind.HTML_OK, "parse"),
        (FaultKind.EMPTY_OK, "parse"),
        (FaultKind.NULL_OK, "parse"),
        (FaultKind.TRUNCATED, "parse"),
        (FaultKind.WRONG_SHAPE, "parse"),
    ],
)
@pytest.mark.parametrize("path", ["OpenOrders$", "BalanceEx$"])
def test_trouble_is_never_an_empty_account(
    provider: CCXTPortfolioProvider,
    exchange: SandboxServer,
    path: str,
    kind: FaultKind,
    category: str,
) -> None:
    orders = known(buy(exchange))
    exchange.faults.append(Fault(kind, path=path, retry_after=600))

    snapshot = sync(provider, exchange, orders)

    failed = next(leg for leg in snapshot.legs if leg.status is LegStatus.FAILED)
    assert failed.error is not None
    assert failed.error.category == category
    assert (failed.rows, failed.complete) == ((), False)
    assert legs_of(snapshot, LegKind.ORDER) == []


def test_a_connection_can_be_tested(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    request = make_request(exchange.url, market="kraken", credentials=CREDENTIALS)

    report = fetching.test_connection(provider, request)

    assert (report.error, report.assets) == (None, 2)
    # Kraken tells its time in whole seconds.
    assert report.clock_offset == pytest.approx(0, abs=1.5)


def test_the_rights_of_a_key_are_told(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    key = next(iter(exchange.engine.accounts))
    exchange.engine.change_key(
        key, permissions=[Permission.READ, Permission.TRADE], addresses=["192.0.2.1"]
    )
    request = make_request(exchange.url, market="kraken", credentials=CREDENTIALS)

    report = fetching.test_connection(provider, request)

    assert report.rights == KeyRights(reads=True, trades=True, withdraws=False, is_bound=True)
