"""Documented answers of two dozen markets become the reports that were written by hand beside them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from providers.mapping import order_report, reports_of
from providers.reports import (
    BalanceReport,
    FillReport,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    Row,
)
from tests.providers.accounts import legs_of
from tests.providers.market_payloads import MARKETS, expected_fill, expected_order, payloads

LARGEST = {
    *("binance", "kraken", "okx", "bybit", "coinbase"),
    *("kucoin", "gate", "bitget", "bitstamp", "bitvavo"),
}
# They list the fills of an order within the order only.
WITHOUT_FILLS = {"bithumb", "upbit"}
ENDED = [(market, case.id) for market in MARKETS for case in payloads(market).ended]


@cache
def rows_by_kind(market: str) -> dict[LegKind, tuple[Row, ...]]:
    """Read the market's account over HTTP, once for all tests."""
    snapshot = payloads(market).snapshot()
    assert snapshot.error is None
    kinds = (LegKind.BALANCES, LegKind.OPEN_ORDERS, LegKind.FILLS)
    # What is listed by symbol has a leg for all symbols that are not read.
    legs = {kind: [x for x in legs_of(snapshot, kind) if x.subject != "*"] for kind in kinds}
    failed = [leg for told in legs.values() for leg in told if leg.status is not LegStatus.OBSERVED]
    assert [leg.error for leg in failed] == []
    return {kind: tuple(row for leg in told for row in leg.rows) for kind, told in legs.items()}


def told(order: OrderReport) -> OrderReport:
    return replace(order, raw_status="")


def test_the_ten_largest_markets_and_ten_others_are_proved() -> None:
    assert set(MARKETS) >= LARGEST
    assert len(MARKETS) >= 20


@pytest.mark.parametrize("market", MARKETS)
def test_balances_are_told_to_the_last_digit(market: str) -> None:
    rows = rows_by_kind(market)[LegKind.BALANCES]

    assert {row.asset: row for row in rows if isinstance(row, BalanceReport)} == (
        payloads(market).balances
    )


@pytest.mark.parametrize("market", MARKETS)
def test_open_orders_are_told_as_they_are(market: str) -> None:
    rows = rows_by_kind(market)[LegKind.OPEN_ORDERS]

    assert {row.external_id: told(row) for row in rows if isinstance(row, OrderReport)} == {
        case.id: expected_order(case.report) for case in payloads(market).open
    }


@pytest.mark.parametrize("market", sorted(set(MARKETS) - WITHOUT_FILLS))
def test_fills_are_told_with_every_fee_and_rebate(market: str) -> None:
    rows = rows_by_kind(market)[LegKind.FILLS]

    assert {row.external_id: row for row in rows if isinstance(row, FillReport)} == {
        case.id: expected_fill(case.report) for case in payloads(market).fills
    }


@pytest.mark.parametrize(("market", "order_id"), ENDED)
def test_an_ended_order_says_how_it_ended(market: str, order_id: str) -> None:
    exchange = payloads(market).exchange()
    (case,) = (case for case in payloads(market).ended if case.id == order_id)

    symbol = exchange.markets[case.report["symbol"]]
    (report,) = reports_of([exchange.parse_order(case.raw, symbol)], order_report).rows

    assert told(report) == expected_order(case.report)


@pytest.mark.parametrize("market", MARKETS)
def test_a_filled_and_a_partly_cancelled_order_are_among_the_proofs(market: str) -> None:
    orders = [expected_order(case.report) for case in payloads(market).orders]
    cancelled = [order for order in orders if order.status is OrderStatus.CANCELED]

    assert any(order.status is OrderStatus.CLOSED for order in orders)
    assert any(order.filled for order in cancelled)
    assert any(order.status is OrderStatus.OPEN and not order.filled for order in orders)
    assert any(order.status is OrderStatus.OPEN and order.filled for order in orders)
