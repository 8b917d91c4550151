from __future__ import annotations

from typing import Any

import pytest

from providers.errors import UnexpectedReport
from providers.shapes import check_shape

# Every list of the ten largest markets that tells fills, ended orders or flows: its request, and where its rows are.
LISTS = [
    ("binance", "private openOrders", ""),
    ("binance", "private allOrders", ""),
    ("binance", "private myTrades", ""),
    ("binance", "sapi capital/deposit/hisrec", ""),
    ("binance", "sapi capital/withdraw/history", ""),
    ("kraken", "private ClosedOrders", "result.closed"),
    ("kraken", "private TradesHistory", "result.trades"),
    ("kraken", "private Ledgers", "result.ledger"),
    ("okx", "private trade/orders-history", "data"),
    ("okx", "private trade/fills-history", "data"),
    ("okx", "private account/bills-archive", "data"),
    ("bybit", "private v5/order/history", "result.list"),
    ("bybit", "private v5/execution/list", "result.list"),
    ("bybit", "private v5/account/transaction-log", "result.list"),
    ("coinbase", "v3.private brokerage/orders/historical/batch", "orders"),
    ("coinbase", "v3.private brokerage/orders/historical/fills", "fills"),
    ("coinbase", "v2.private accounts/{account_id}/transactions", "data"),
    ("kucoin", "private orders", "data.items"),
    ("kucoin", "private stop-order", "data.items"),
    ("kucoin", "private fills", "data.items"),
    ("kucoin", "private accounts/ledgers", "data.items"),
    ("kucoin", "private hf/accounts/ledgers", "data"),
    ("gate", "private.spot orders", ""),
    ("gate", "private.spot price_orders", ""),
    ("gate", "private.spot my_trades", ""),
    ("gate", "private.spot account_book", ""),
    ("bitget", "private.spot v2/spot/trade/history-orders", "data"),
    ("bitget", "private.spot v2/spot/trade/fills", "data"),
    ("bitget", "private.spot v2/spot/account/bills", "data"),
    ("bitstamp", "private user_transactions/", ""),
    ("bitstamp", "private user_transactions/{pair}/", ""),
    ("bitvavo", "private orders", ""),
    ("bitvavo", "private trades", ""),
    ("bitvavo", "private account/history", "items"),
    ("htx", "spot.private v1/query/deposit-withdraw", "data"),
    ("mexc", "spot.private capital/deposit/hisrec", ""),
    ("mexc", "spot.private capital/withdraw/history", ""),
]


def answer_with(where: str, rows: Any) -> Any:
    for key in reversed(where.split(".") if where else []):
        rows = {key: rows, "time": 1}
    return rows


@pytest.mark.parametrize(("market", "request_", "where"), LISTS)
def test_an_empty_list_where_it_is_documented_is_an_empty_list(
    market: str, request_: str, where: str
) -> None:
    check_shape(market, request_, answer_with(where, {} if market == "kraken" else []))


@pytest.mark.parametrize("rows", [None, "", 0, True])
@pytest.mark.parametrize(("market", "request_", "where"), LISTS)
def test_anything_else_there_is_no_list(
    market: str, request_: str, where: str, rows: object
) -> None:
    with pytest.raises(UnexpectedReport, match="is not what is documented"):
        check_shape(market, request_, answer_with(where, rows))


@pytest.mark.parametrize(("market", "request_", "where"), LISTS)
def test_an_answer_that_lacks_the_list_is_not_empty(market: str, request_: str, where: str) -> None:
    with pytest.raises(UnexpectedReport, match="is not what is documented"):
        check_shape(market, request_, {"time": 1})


def test_an_empty_object_is_no_answer_of_any_market() -> None:
    with pytest.raises(UnexpectedReport, match="is an empty object"):
        check_shape("luno", "private listorders", {})


def test_a_request_that_nothing_is_documented_of_is_not_judged() -> None:
    check_shape("binance", "private somethingNew", {"time": 1})
