"""How much is read: a settled account costs two requests, and what moves has the rest read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from providers.balance_changes import have_changed
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.reports import BalanceReport, Depth, KnownOrder, LegKind, Snapshot
from providers.sandbox.books import Order
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

KEY = "practice-key"
BTC = "BTC/USDT"
OPEN_ORDERS = "openOrders"
FACTS = {LegKind.ACCOUNT_FILLS, LegKind.FLOWS}


@pytest.fixture
def exchange(sandbox: SandboxServer) -> SandboxServer:
    sandbox.engine.deposit(KEY, "USDT", "5000000")
    return sandbox


@pytest.fixture
def provider() -> CCXTPortfolioProvider:
    return make_provider()


def buy(exchange: SandboxServer, count: int = 1) -> list[Order]:
    return [exchange.engine.buy(KEY, BTC, "1", "100") for _ in range(count)]


def known(*orders: Order, **facts: Any) -> tuple[KnownOrder, ...]:
    return tuple(make_known(order.id, created_at=order.created_at, **facts) for order in orders)


def sync(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, *orders: KnownOrder, **facts: Any
) -> Snapshot:
    facts = {"facts_since": datetime.now(UTC) - timedelta(hours=1), **facts}
    return fetch(provider, make_request(exchange.url, known_orders=orders, **facts))


def look(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, *orders: KnownOrder
) -> tuple[BalanceReport, ...]:
    """Read the balances as a first look does."""
    snapshot = sync(provider, exchange, *orders, facts_since=None)
    rows = leg_of(snapshot, LegKind.BALANCES).rows
    return tuple(row for row in rows if isinstance(row, BalanceReport))


def test_a_settled_account_costs_two_requests(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = known(*buy(exchange, 20))
    before = look(provider, exchange, *orders)

    snapshot = sync(provider, exchange, *orders, last_balances=before)

    assert (snapshot.http_requests, snapshot.depth) == (2, Depth.CHEAP)


def test_a_balance_that_moved_has_the_rest_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    before = look(provider, exchange)
    exchange.engine.deposit(KEY, "USDT", "0.00000001")

    snapshot = sync(provider, exchange, last_balances=before, symbols=(BTC,))

    assert snapshot.depth is Depth.FULL
    assert {leg.kind for leg in snapshot.legs} >= FACTS


def test_an_open_order_that_no_book_knows_has_the_rest_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    buy(exchange)
    before = look(provider, exchange)

    assert sync(provider, exchange, last_balances=before).depth is Depth.FULL


def test_an_open_order_that_some_book_knows_is_no_news(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    (order,) = buy(exchange)
    before = look(provider, exchange)
    ids = frozenset({order.id})

    snapshot = sync(provider, exchange, last_balances=before, known_order_ids=ids)

    assert snapshot.depth is Depth.CHEAP


def test_an_order_that_was_just_sent_is_known_by_its_client_id(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.engine.buy(KEY, BTC, "1", "100", client_id="a-1")
    before = look(provider, exchange)

    snapshot = sync(provider, exchange, make_known("", client_order_id="a-1"), last_balances=before)

    assert snapshot.depth is Depth.CHEAP


def test_an_order_that_left_has_the_rest_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    (order,) = buy(exchange)
    exchange.engine.cancel_order(order.id)
    before = look(provider, exchange)

    snapshot = sync(provider, exchange, *known(order), last_balances=before)

    assert snapshot.depth is Depth.FULL


def test_an_order_that_was_filled_further_has_the_rest_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    (order,) = buy(exchange)
    exchange.engine.fill_order(order.id, "0.4")
    before = look(provider, exchange)

    moved = sync(provider, exchange, *known(order), last_balances=before)
    settled = sync(provider, exchange, *known(order, filled=Decimal("0.4")), last_balances=before)

    assert (moved.depth, settled.depth) == (Depth.FULL, Depth.CHEAP)


def test_an_open_order_that_is_doubted_costs_one_request_more(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    doubted, other = buy(exchange, 2)
    orders = (*known(doubted, is_doubted=True), *known(other))
    before = look(provider, exchange, *orders)

    snapshot = sync(provider, exchange, *orders, last_balances=before)

    assert snapshot.http_requests == 3
    assert leg_of(snapshot, LegKind.ORDER).subject == doubted.id


def test_a_failed_read_shows_no_movement(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    before = look(provider, exchange)
    exchange.faults.append(Fault(FaultKind.UNAVAILABLE, path="account"))

    assert sync(provider, exchange, last_balances=before).depth is Depth.CHEAP


def test_a_full_look_at_binance_costs_two_its_symbols_and_its_flows(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    before = look(provider, exchange)

    snapshot = sync(
        provider,
        exchange,
        depth=Depth.FULL,
        last_balances=before,
        symbols=(BTC, "ETH/USDT"),
    )

    flows = sum(leg.pages for leg in legs_of(snapshot, LegKind.FLOWS))
    assert flows == 2
    assert snapshot.http_requests == 2 + 2 + flows


def test_while_a_balance_differs_binance_is_asked_for_rewards_and_transfers_too(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    before = look(provider, exchange)

    snapshot = sync(
        provider, exchange, depth=Depth.FULL, last_balances=before, has_differences=True
    )

    pages = {leg.subject: leg.pages for leg in legs_of(snapshot, LegKind.FLOWS)}
    assert pages == {"deposits": 1, "withdrawals": 1, "rewards": 1, "transfers": 12}


def test_facts_are_read_after_the_balances_that_they_explain(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    snapshot = sync(provider, exchange, depth=Depth.FULL, symbols=(BTC,))

    kinds = list(dict.fromkeys(leg.kind for leg in snapshot.legs))
    assert kinds == [
        *(LegKind.OPEN_ORDERS, LegKind.BALANCES, LegKind.ACCOUNT_FILLS, LegKind.FLOWS),
    ]


def test_an_empty_list_where_many_were_open_is_looked_at_twice(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 3)
    exchange.faults.append(Fault(DistortionKind.EMPTY_LIST, path=OPEN_ORDERS, times=1))

    snapshot = sync(provider, exchange, *known(*orders))

    leg = leg_of(snapshot, LegKind.OPEN_ORDERS)
    assert (len(leg.rows), leg.pages) == (3, 2)
    assert not legs_of(snapshot, LegKind.ORDER)


def test_a_list_that_stays_empty_is_told_with_both_looks(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 3)
    for order in orders:
        exchange.engine.cancel_order(order.id)

    snapshot = sync(provider, exchange, *known(*orders))

    leg = leg_of(snapshot, LegKind.OPEN_ORDERS)
    assert (leg.rows, leg.complete, leg.pages) == ((), True, 2)
    assert len(legs_of(snapshot, LegKind.ORDER)) == 3


def test_an_empty_list_where_two_were_open_is_believed(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    orders = buy(exchange, 2)
    for order in orders:
        exchange.engine.cancel_order(order.id)

    assert leg_of(sync(provider, exchange, *known(*orders)), LegKind.OPEN_ORDERS).pages == 1


def balance(asset: str, free: str | None, used: str | None = "0", **facts: Any) -> BalanceReport:
    amount, locked = (None if x is None else Decimal(x) for x in (free, used))
    return BalanceReport(asset, amount, locked, amount, **facts)


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        ([balance("BTC", "1")], [balance("BTC", "1.0")], False),
        ([balance("BTC", "1")], [balance("BTC", "1", "0.1")], True),
        ([balance("BTC", "1")], [], True),
        ([], [balance("BTC", "1")], True),
        ([balance("BTC", "0")], [], False),
        ([balance("BTC", None)], [balance("BTC", "1")], False),
        ([balance("BTC", "1")], [balance("BTC", "1", wallet="funding")], True),
    ],
)
def test_balances_have_changed_when_an_amount_differs(
    before: list[BalanceReport], now: list[BalanceReport], changed: bool
) -> None:
    assert have_changed(before, now) is changed
