from __future__ import annotations

import logging
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from providers import fetching
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.credentials import Credentials
from providers.errors import (
    CapabilityMissing,
    CredentialMissing,
    CredentialsRejected,
    EndpointRefused,
    MarketUnknown,
    OperationalException,
)
from providers.reports import (
    BalanceReport,
    FillReport,
    KeyRights,
    KnownOrder,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    Progress,
    Snapshot,
)
from providers.sandbox.books import Fee, Instrument, Order, Permission
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.providers.accounts import (
    PRACTICE,
    fetch,
    leg_of,
    legs_of,
    make_known,
    make_provider,
    make_request,
    messages,
)

KEY = "practice-key"
CANARY = "canary-Zq7/+=xY9"


@pytest.fixture
def exchange(sandbox: SandboxServer) -> SandboxServer:
    sandbox.engine.deposit(KEY, "USDT", "5000000.5")
    sandbox.engine.deposit(KEY, "BTC", "1.2345678901234567890123456")
    return sandbox


@pytest.fixture
def provider() -> CCXTPortfolioProvider:
    return make_provider()


def buy(exchange: SandboxServer, count: int = 1) -> list[Order]:
    engine = exchange.engine
    return [engine.buy(KEY, "BTC/USDT", "0.01", f"{80_000 + i}.5") for i in range(count)]


def known(orders: list[Order]) -> tuple[KnownOrder, ...]:
    return tuple(make_known(order.id) for order in orders)


def sync(
    provider: CCXTPortfolioProvider,
    exchange: SandboxServer,
    orders: tuple[KnownOrder, ...] = (),
    **facts: Any,
) -> Snapshot:
    return fetch(provider, make_request(exchange.url, known_orders=orders, **facts))


def fault(exchange: SandboxServer, kind: FaultKind, path: str = "", **facts: Any) -> None:
    exchange.faults.append(Fault(kind, path=path, **facts))


# F38
def test_fifty_open_orders_cost_two_requests(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = known(buy(exchange, 50))

    first, second = sync(provider, exchange, orders), sync(provider, exchange, orders)

    assert (first.http_requests, first.symbol_requests) == (3, 1)
    assert (second.http_requests, second.symbol_requests) == (2, 0)
    assert len(exchange.requests) == 5
    assert [leg.kind for leg in second.legs] == [LegKind.OPEN_ORDERS, LegKind.BALANCES]
    assert all(leg.complete for leg in second.legs)


# F38
def test_each_order_that_left_costs_one_more(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 5)
    sync(provider, exchange)
    for order in orders[:3]:
        exchange.engine.cancel_order(order.id)

    snapshot = sync(provider, exchange, known(orders))

    assert snapshot.http_requests == 2 + 3
    reports = [leg.rows[0] for leg in legs_of(snapshot, LegKind.ORDER)]
    assert [getattr(report, "status", None) for report in reports] == [OrderStatus.CANCELED] * 3


def test_symbols_are_shared_by_processes(exchange: SandboxServer, tmp_path: Path) -> None:
    sync(make_provider(cache_dir=tmp_path), exchange)

    assert sync(make_provider(cache_dir=tmp_path), exchange).symbol_requests == 0


def test_a_damaged_file_of_symbols_is_read_anew(exchange: SandboxServer, tmp_path: Path) -> None:
    sync(make_provider(cache_dir=tmp_path), exchange)
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged")

    snapshot = sync(make_provider(cache_dir=tmp_path), exchange)

    assert (snapshot.symbol_requests, snapshot.error) == (1, None)


def test_accounts_that_start_together_share_one_read_of_symbols(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    jobs = [(provider, make_request(exchange.url, account=str(n))) for n in range(5)]

    snapshots = [e for e in fetching.fetch_snapshots(jobs) if isinstance(e, Snapshot)]

    assert sum(snapshot.symbol_requests for snapshot in snapshots) == 1
    assert len(exchange.requests) == 1 + 5 * 2


# F54
def test_balances_are_exact(provider: CCXTPortfolioProvider, exchange: SandboxServer) -> None:
    buy(exchange)

    rows = leg_of(sync(provider, exchange), LegKind.BALANCES).rows

    btc = Decimal("1.2345678901234567890123456")
    used, total = Decimal("800.005"), Decimal("5000000.5")
    assert rows == (
        BalanceReport("BTC", btc, Decimal(0), btc),
        BalanceReport("USDT", total - used, used, total),
    )


def test_a_partial_fill_brings_its_fills(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    (order,) = buy(exchange)
    exchange.engine.deposit(KEY, "BNB", "1")
    exchange.engine.fill_order(order.id, "0.004", fee=Fee("BNB", Decimal("0.0001")))
    exchange.engine.fill_order(order.id, "0.003")

    leg = leg_of(sync(provider, exchange, known([order])), LegKind.FILLS)

    fills = [row for row in leg.rows if isinstance(row, FillReport)]
    assert leg.complete
    assert leg.subject == order.id
    assert [fill.amount for fill in fills] == [Decimal("0.004"), Decimal("0.003")]
    assert [fee.asset for fee in fills[0].fees] == ["BNB"]
    assert fills[0].fees[0].amount == Decimal("0.0001")


def test_booked_fills_are_not_read_again(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    (order,) = buy(exchange)
    exchange.engine.fill_order(order.id, "0.004")

    snapshot = sync(provider, exchange, (make_known(order.id, filled=Decimal("0.004")),))

    assert legs_of(snapshot, LegKind.FILLS) == []


def test_balances_are_read_after_everything_else(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 2)
    exchange.engine.fill_order(orders[0].id)

    kinds = [leg.kind for leg in sync(provider, exchange, known(orders)).legs]

    assert kinds == [LegKind.OPEN_ORDERS, LegKind.ORDER, LegKind.FILLS, LegKind.BALANCES]


# F02, F34
def test_an_order_that_the_exchange_does_not_know_keeps_no_other_from_its_turn(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 2)
    for order in orders:
        exchange.engine.cancel_order(order.id)
    asked = (make_known(orders[0].id), make_known("999999999"), make_known(orders[1].id))

    first, unknown, last = legs_of(sync(provider, exchange, asked), LegKind.ORDER)

    assert (first.status, last.status) == (LegStatus.OBSERVED, LegStatus.OBSERVED)
    assert unknown.status is LegStatus.FAILED
    assert unknown.error is not None
    assert (unknown.error.category, unknown.error.kind) == ("not_found", "OrderNotFound")
    assert "External order not found for order 999999999 at market binance" in unknown.error.message


# F34
@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (FaultKind.UNAVAILABLE, "transport"),
        (FaultKind.HTML_OK, "parse"),
        (FaultKind.MAINTENANCE, "maintenance"),
    ],
)
def test_one_failing_order_does_not_block_the_next(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, kind: FaultKind, category: str
) -> None:
    orders = buy(exchange, 2)
    for order in orders:
        exchange.engine.cancel_order(order.id)
    fault(exchange, kind, r"/order$", times=3)

    snapshot = sync(provider, exchange, known(orders))

    failed, read = legs_of(snapshot, LegKind.ORDER)
    assert failed.error is not None
    assert failed.error.category == category
    assert read.status is LegStatus.OBSERVED
    assert leg_of(snapshot, LegKind.BALANCES).status is LegStatus.OBSERVED


# F34
def test_one_order_refused_for_its_rate_does_not_block_the_next(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 3)
    for order in orders:
        exchange.engine.cancel_order(order.id)
    fault(exchange, FaultKind.RATE_LIMITED, r"/order$", times=2, retry_after=0)

    snapshot = sync(provider, exchange, known(orders))

    statuses = [leg.status for leg in legs_of(snapshot, LegKind.ORDER)]
    assert statuses == [LegStatus.FAILED, LegStatus.OBSERVED, LegStatus.OBSERVED]
    assert leg_of(snapshot, LegKind.BALANCES).status is LegStatus.OBSERVED


# F34
def test_an_exchange_that_asks_for_fewer_requests_again_gets_none_any_more(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 3)
    for order in orders:
        exchange.engine.cancel_order(order.id)
    fault(exchange, FaultKind.RATE_LIMITED, r"/order$", retry_after=0)

    snapshot = sync(provider, exchange, known(orders))

    statuses = [leg.status for leg in legs_of(snapshot, LegKind.ORDER)]
    assert statuses == [LegStatus.FAILED, LegStatus.FAILED, LegStatus.SKIPPED]


# F34
def test_an_exchange_that_asks_for_a_long_pause_gets_no_further_request(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 3)
    for order in orders:
        exchange.engine.cancel_order(order.id)
    fault(exchange, FaultKind.RATE_LIMITED, r"/order$", retry_after=60)

    snapshot = sync(provider, exchange, known(orders))

    limited, *others = legs_of(snapshot, LegKind.ORDER)
    assert limited.error is not None
    assert (limited.error.category, limited.error.retry_after) == ("rate", 60)
    assert {leg.status for leg in others} == {LegStatus.SKIPPED}
    assert leg_of(snapshot, LegKind.BALANCES).status is LegStatus.SKIPPED


@pytest.mark.parametrize("path", ["/openOrders$", "/account$"])
@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (FaultKind.EMPTY_OK, "parse"),
        (FaultKind.HTML_OK, "parse"),
        (FaultKind.NULL_OK, "parse"),
        (FaultKind.TRUNCATED, "parse"),
        (FaultKind.WRONG_SHAPE, "parse"),
        (FaultKind.REDIRECT, "parse"),
        (FaultKind.CODE_524, "transport"),
        (FaultKind.CUT_SHORT, "transport"),
        (FaultKind.RESET, "transport"),
        (FaultKind.EXPIRED_KEY, "auth"),
        (FaultKind.BANNED, "rate"),
    ],
)
def test_a_broken_answer_is_never_an_empty_account(
    provider: CCXTPortfolioProvider,
    exchange: SandboxServer,
    path: str,
    kind: FaultKind,
    category: str,
) -> None:
    orders = buy(exchange)
    sync(provider, exchange)
    fault(exchange, kind, path, retry_after=600)

    snapshot = sync(provider, exchange, known(orders))

    failed = next(leg for leg in snapshot.legs if leg.status is LegStatus.FAILED)
    assert (failed.rows, failed.complete) == ((), False)
    assert failed.error is not None
    assert failed.error.category == category
    assert legs_of(snapshot, LegKind.ORDER) == []


def test_a_moment_of_trouble_is_bridged(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    fault(exchange, FaultKind.UNAVAILABLE, "/account$", times=2)

    snapshot = sync(provider, exchange)

    assert leg_of(snapshot, LegKind.BALANCES).status is LegStatus.OBSERVED
    assert snapshot.http_requests == 3 + 2


def test_a_symbol_listed_since_the_symbols_were_read_is_learned_when_it_is_met(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    sync(provider, exchange)
    step = Decimal("0.01")
    exchange.engine.add_instrument(Instrument("NEW/USDT", step, step, Decimal(1)))
    exchange.engine.buy(KEY, "NEW/USDT", "10", "1")

    rows = leg_of(sync(provider, exchange), LegKind.OPEN_ORDERS).rows

    assert [row.symbol for row in rows if isinstance(row, OrderReport)] == ["NEW/USDT"]


def test_an_error_names_the_endpoint_that_was_asked(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    fault(exchange, FaultKind.UNAVAILABLE, "/account$")

    [message] = messages(sync(provider, exchange))

    assert f"GET {exchange.url}/api/v3/account" in message
    assert "api.binance.com" not in message


def test_a_hanging_exchange_fails_at_the_deadline(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    sync(provider, exchange)
    fault(exchange, FaultKind.HANG, "/openOrders$")
    started = time.monotonic()

    snapshot = sync(provider, exchange, deadline=0.4)

    assert time.monotonic() - started < 8
    assert snapshot.error is None
    assert [leg.status for leg in snapshot.legs] == [LegStatus.FAILED, LegStatus.FAILED]
    assert {leg.error.kind for leg in snapshot.legs if leg.error} == {"ExchangeTimeout"}


def test_symbols_that_cannot_be_read_end_the_snapshot(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    fault(exchange, FaultKind.UNAVAILABLE, "/exchangeInfo$")

    snapshot = sync(provider, exchange)

    assert snapshot.legs == ()
    assert snapshot.error is not None
    assert snapshot.error.category == "transport"
    assert snapshot.http_requests == 3


@pytest.mark.parametrize("seconds", [12, -12])
def test_a_clock_apart_is_measured_and_remembered(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, seconds: int
) -> None:
    exchange.dialect.clock_offset = timedelta(seconds=seconds)

    first, second = sync(provider, exchange), sync(provider, exchange)

    assert {leg.status for leg in first.legs} == {LegStatus.OBSERVED}
    assert first.http_requests == 3 + 2
    assert second.http_requests == 2


# F06
@pytest.mark.parametrize(
    ("credentials", "variable"),
    [({}, "BINANCE_API_KEY"), ({"apiKey": "k"}, "BINANCE_SECRET_KEY")],
)
def test_a_missing_credential_is_named_before_any_request(
    provider: CCXTPortfolioProvider,
    exchange: SandboxServer,
    credentials: dict[str, str],
    variable: str,
) -> None:
    snapshot = sync(provider, exchange, credentials=Credentials(credentials))

    assert snapshot.error is not None
    assert snapshot.error.category == "auth"
    assert snapshot.error.message.endswith(f"environment variable named as {variable}")
    assert len(exchange.requests) == 0


# F07
def test_okx_misses_its_password(provider: CCXTPortfolioProvider, exchange: SandboxServer) -> None:
    with pytest.raises(CredentialMissing, match="OKX_PASSWORD"):
        provider.get_order(make_request(exchange.url, market="okx"), make_known("1"), PRACTICE)

    assert len(exchange.requests) == 0


# F06
def test_secrets_are_used_without_the_spaces_around_them(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    credentials = Credentials({"apiKey": f" {KEY} ", "secret": "\npractice-secret\n"})

    snapshot = sync(provider, exchange, credentials=credentials)

    assert {leg.status for leg in snapshot.legs} == {LegStatus.OBSERVED}


# F58
def test_a_market_without_test_site_refuses_the_sandbox(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    snapshot = sync(provider, exchange, market="kraken", sandbox=True)

    assert snapshot.error is not None
    assert snapshot.error.kind == CapabilityMissing.__name__
    assert "does not advertise a sandbox/testnet endpoint" in snapshot.error.message
    assert len(exchange.requests) == 0


# F58
def test_the_sandbox_is_another_site_with_its_own_symbols(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    sync(provider, exchange)

    assert sync(provider, exchange, sandbox=True).symbol_requests == 1


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"market": "errors"}, MarketUnknown),
        ({"endpoint": "https://evil.example"}, EndpointRefused),
    ],
)
def test_what_cannot_be_asked_is_told_without_a_request(
    provider: CCXTPortfolioProvider, facts: dict[str, Any], error: type[OperationalException]
) -> None:
    snapshot = fetch(provider, make_request(**{"endpoint": "", **facts}))

    assert snapshot.error is not None
    assert snapshot.error.kind == error.__name__
    assert snapshot.http_requests == 0


# F05
@pytest.mark.parametrize(("name", "is_served"), [("binance", True), ("errors", False)])
def test_it_serves_the_exchanges_of_ccxt(
    provider: CCXTPortfolioProvider, name: str, *, is_served: bool
) -> None:
    assert provider.supports_market(name) is is_served


# F03
def test_it_stands_back_behind_other_providers() -> None:
    assert CCXTPortfolioProvider().priority == 3


def test_one_order_can_be_read(provider: CCXTPortfolioProvider, exchange: SandboxServer) -> None:
    (order,) = buy(exchange)

    report = provider.get_order(make_request(exchange.url), make_known(order.id), PRACTICE)

    assert isinstance(report, OrderReport)
    assert (report.external_id, report.status) == (order.id, OrderStatus.OPEN)
    assert report.price == Decimal("80000.5")


# F02
def test_an_order_that_is_not_there_is_none(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    assert provider.get_order(make_request(exchange.url), make_known("99"), PRACTICE) is None


def test_one_position_can_be_read(provider: CCXTPortfolioProvider, exchange: SandboxServer) -> None:
    position = provider.get_position(make_request(exchange.url), "BTC", PRACTICE)

    assert position is not None
    assert position.total == Decimal("1.2345678901234567890123456")


# F02
def test_a_position_that_is_not_there_is_none(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    assert provider.get_position(make_request(exchange.url), "ETH", PRACTICE) is None


def test_a_rejected_key_is_an_error_and_no_missing_position(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    wrong = Credentials({"apiKey": KEY, "secret": "wrong"})

    with pytest.raises(CredentialsRejected):
        provider.get_position(make_request(exchange.url), "BTC", wrong)


# F56
def test_testing_a_connection_reads_only(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.dialect.clock_offset = timedelta(seconds=5)

    report = fetching.test_connection(provider, make_request(exchange.url))

    assert report.error is None
    assert report.assets == 2
    assert report.capabilities["fetchBalance"]
    assert report.clock_offset == pytest.approx(5, abs=3)
    assert {request.method for request in exchange.requests} == {"GET"}
    assert report.http_requests == len(exchange.requests)


# F56
def test_testing_a_connection_tells_why_it_does_not_work(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.engine.change_key(KEY, enabled=False)

    report = fetching.test_connection(provider, make_request(exchange.url))

    assert report.error is not None
    assert report.error.category == "auth"


def test_testing_a_connection_tells_what_the_key_may_do(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.engine.change_key(KEY, permissions=[Permission.READ, Permission.WITHDRAW])

    report = fetching.test_connection(provider, make_request(exchange.url))

    assert report.rights == KeyRights(reads=True, trades=False, withdraws=True, is_bound=False)


def test_a_market_that_does_not_tell_the_rights_of_a_key_is_no_failure(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.faults.append(Fault(FaultKind.UNAVAILABLE, path="/apiRestrictions$"))

    report = fetching.test_connection(provider, make_request(exchange.url))

    assert (report.error, report.assets, report.rights) == (None, 2, None)


def test_progress_is_told_for_each_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 2)
    for order in orders:
        exchange.engine.cancel_order(order.id)
    request = make_request(exchange.url, known_orders=known(orders))

    events = [*fetching.fetch_snapshots([(provider, request)])]

    assert events[:-1] == [
        Progress("main", LegKind.OPEN_ORDERS, 1, 1),
        Progress("main", LegKind.ORDER, 1, 2),
        Progress("main", LegKind.ORDER, 2, 2),
        Progress("main", LegKind.BALANCES, 1, 1),
    ]


def test_a_secret_is_in_no_message_and_no_log(
    exchange: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    exchange.engine.add_account("canary-key-Zq7", CANARY, [])
    credentials = Credentials({"apiKey": "canary-key-Zq7", "secret": CANARY})
    told: list[str] = []
    for kind in (FaultKind.UNAVAILABLE, FaultKind.HANG, FaultKind.RATE_LIMITED, FaultKind.HTML_OK):
        exchange.faults.clear()
        fault(exchange, kind, "/(account|openOrders)$", retry_after=60)
        told += messages(sync(make_provider(), exchange, credentials=credentials, deadline=1.0))

    assert len(told) >= 4
    assert "canary" not in "\n".join(told) + caplog.text
    assert "signature=" not in "\n".join(told) + caplog.text
