"""Rows of markets that few trade on, in their documentations' words, and the reports that have to come of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from providers.catalogue import market
from providers.ccxt_client import HardenedExchange, make_exchange
from providers.credentials import Credentials
from providers.mapping import fill_report, order_report
from providers.reports import (
    Cursor,
    Depth,
    FeeReport,
    FillReport,
    LegKind,
    LegStatus,
    OrderReport,
    OrderSide,
)
from tests.providers.accounts import fetch, make_provider, make_request
from tests.providers.stub_exchange import Answer, Route, StubExchange, json_answer

D = Decimal
BTC_JPY = {"id": "btc_jpy", "base": "BTC", "quote": "JPY", "baseId": "btc", "quoteId": "jpy"}
ETH_NIS = {"id": "EthNis", "base": "ETH", "quote": "NIS", "baseId": "Eth", "quoteId": "Nis"}
BTC_USDT = {"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT"}
XBT_USD = {"id": "Xbt/Usd", "base": "BTC", "quote": "USD", "baseId": "Xbt", "quoteId": "Usd"}


def client(market_id: str, traded: dict[str, str]) -> tuple[HardenedExchange, dict[str, Any]]:
    exchange = make_exchange(market(market_id), None, Credentials({"apiKey": "k", "secret": "s"}))
    symbol = f"{traded['base']}/{traded['quote']}"
    kind = {"symbol": symbol, "type": "spot", "spot": True, "active": True, "info": {}}
    precision = {"precision": {"price": "0.01", "amount": "0.0001"}}
    whole: dict[str, Any] = exchange.safe_market_structure({**traded, **kind, **precision})
    exchange.set_markets([whole])
    return exchange, whole


def fill_of(market_id: str, traded: dict[str, str], row: dict[str, Any]) -> FillReport:
    exchange, whole = client(market_id, traded)
    return fill_report(exchange.parse_trade(row, whole))


def order_of(market_id: str, traded: dict[str, str], row: dict[str, Any]) -> OrderReport:
    exchange, whole = client(market_id, traded)
    return order_report(exchange.parse_order(row, whole))


def coincheck_row(side: str, btc: str, jpy: str) -> dict[str, Any]:
    return {
        "id": 38,
        "order_id": 49,
        "created_at": "2026-11-18T07:02:21.000Z",
        "funds": {"btc": btc, "jpy": jpy},
        "pair": "btc_jpy",
        "rate": "40900.0",
        "fee_currency": "JPY",
        "fee": "6.135",
        "liquidity": "T",
        "side": side,
    }


def test_coincheck_tells_both_sides_by_what_moved_with_the_fee_in_it() -> None:
    bought = fill_of("coincheck", BTC_JPY, coincheck_row("buy", "0.1", "-4096.135"))
    sold = fill_of("coincheck", BTC_JPY, coincheck_row("sell", "-0.1", "4083.865"))

    assert [(x.side, x.amount, x.cost) for x in (bought, sold)] == [
        (OrderSide.BUY, D("0.1"), D(4090)),
        (OrderSide.SELL, D("0.1"), D(4090)),
    ]
    assert bought.fees == sold.fees == (FeeReport("JPY", D("6.135")),)


def test_bit2c_tells_a_sale_as_less() -> None:
    row = {
        "ticks": 1795348800,
        "action": 1,
        "price": "1,000",
        "pair": "EthNis",
        "reference": "EthNis|10867390|10867377",
        "feeAmount": "0.08",
        "feeCoin": "₪",
        "firstAmount": "-0.015",
        "firstCoin": "ETH",
        "secondAmount": "14.93",
        "secondCoin": "₪",
        "isMaker": True,
    }

    sold = fill_of("bit2c", ETH_NIS, row)

    assert (sold.side, sold.amount, sold.price, sold.cost) == (
        OrderSide.SELL,
        D("0.015"),
        D(1000),
        D(15),
    )
    assert sold.fees == (FeeReport("NIS", D("0.08")),)


def test_btcturk_names_the_two_coins_of_a_fill_apart() -> None:
    row = {
        "price": "56000",
        "numeratorSymbol": "BTC",
        "denominatorSymbol": "USDT",
        "orderType": "sell",
        "orderId": "2606935102",
        "id": "320874372",
        "timestamp": "1795348800000",
        "amount": "-0.00020000",
        "fee": "-0.0112",
        "tax": "0",
    }
    exchange, _whole = client("btcturk", {**BTC_USDT, "id": "BTCUSDT"})

    # As it is read: the fills of the whole account.
    sold = fill_report(exchange.parse_trade(row))

    assert (sold.symbol, sold.side, sold.amount) == ("BTC/USDT", OrderSide.SELL, D("0.0002"))
    assert sold.fees == (FeeReport("USDT", D("0.0112")),)


def cryptomus_row(**more: Any) -> dict[str, Any]:
    return {
        "id": "01JFFG72CBRDP68K179KC9DSTG",
        "direction": "buy",
        "symbol": "BTC_USDT",
        "price": "102.0130000000000000",
        "quantity": "0.0005000000000000",
        "value": "0.0510065000000000",
        "filledQuantity": "0.0001000000000000",
        "filledValue": "0.0102013000000000",
        "createdAt": "2026-11-19 09:02:51",
        "state": "active",
        "type": "limit",
        **more,
    }


def test_cryptomus_tells_what_a_part_of_an_order_has_cost_apart_from_what_all_of_it_is_worth() -> (
    None
):
    order = order_of("cryptomus", BTC_USDT, cryptomus_row())

    assert (order.filled, order.cost, order.average) == (D("0.0001"), D("0.0102013"), D("102.013"))


def test_cryptomus_tells_the_fee_of_each_part() -> None:
    parts = [{"feeCurrency": "USDT", "fee": fee, "filledPrice": "102"} for fee in ("0.1", "0.2")]
    deal = {"averageFilledPrice": "102.05", "transactions": parts}

    order = order_of("cryptomus", BTC_USDT, cryptomus_row(deal=deal))

    assert order.fees == (FeeReport("USDT", D("0.3")),)
    assert order.average == D("102.05")


def independent_reserve_row(outstanding: float, status: str) -> dict[str, Any]:
    return {
        "OrderGuid": "b8f7ad89-e4e4-4dfe-9ea3-514d38b5edb3",
        "CreatedTimestampUtc": "2026-11-08T03:04:18.616367Z",
        "OrderType": "LimitOffer",
        "Volume": "0.0005",
        "Outstanding": str(outstanding),
        "Price": "113885.83",
        "AvgPrice": "113885.83",
        "Value": "56.94",
        "Status": status,
        "PrimaryCurrencyCode": "Xbt",
        "SecondaryCurrencyCode": "Usd",
        "FeePercent": "0.005",
    }


def test_independent_reserve_tells_what_all_of_an_order_is_worth() -> None:
    part = order_of(
        "independentreserve", XBT_USD, independent_reserve_row(0.0004, "PartiallyFilled")
    )
    whole = order_of("independentreserve", XBT_USD, independent_reserve_row(0, "Filled"))

    assert (part.filled, part.cost, part.average) == (D("0.0001"), None, D("113885.83"))
    assert (whole.filled, whole.cost) == (D("0.0005"), D("56.94"))


def test_independent_reserve_tells_no_fee_that_nobody_charged() -> None:
    part = order_of(
        "independentreserve", XBT_USD, independent_reserve_row(0.0004, "PartiallyFilled")
    )

    assert part.fees == ()


def coincheck_page(fills: int) -> Answer:
    """Answer with the newest fills of the account, every other one of another symbol."""
    now = datetime.now(UTC)
    rows = [
        {
            **coincheck_row("buy", "0.1", "-4096.135"),
            "id": 1000 - number,
            "created_at": f"{now - timedelta(minutes=number):%Y-%m-%dT%H:%M:%S.000Z}",
            **({} if number % 2 else {"pair": "eth_jpy", "funds": {"eth": "1", "jpy": "-40906"}}),
        }
        for number in range(fills)
    ]
    return json_answer({"success": True, "data": rows})


@pytest.mark.parametrize(("fills", "complete"), [(24, True), (25, False)])
def test_a_full_page_of_all_symbols_is_no_short_one_of_one(fills: int, complete: bool) -> None:
    since = datetime.now(UTC) - timedelta(hours=3)
    nothing = {"success": True, "orders": [], "deposits": [], "data": []}
    routes: dict[str, Route] = {
        "/api/exchange/orders/transactions_pagination": coincheck_page(fills),
        "/api/accounts/balance": json_answer({"success": True, "jpy": "1000"}),
        "/api/exchange/orders/opens": json_answer(nothing),
        "/api/deposit_money": json_answer(nothing),
        "/api/withdraws": json_answer(nothing),
    }
    with StubExchange(routes) as stub:
        request = make_request(
            stub.url,
            market="coincheck",
            depth=Depth.FULL,
            facts_since=since,
            symbols=("BTC/JPY",),
            cursors=(Cursor(LegKind.ACCOUNT_FILLS, "BTC/JPY", since),),
        )
        snapshot = fetch(make_provider(), request)

    leg = next(leg for leg in snapshot.legs if leg.kind is LegKind.ACCOUNT_FILLS)
    assert (leg.status, leg.complete, len(leg.rows)) == (LegStatus.OBSERVED, complete, fills)
