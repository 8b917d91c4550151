"""Where Binance's answers keep their rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from providers.sandbox.tables import Listing, Table

_ORDERS: Final = Table(
    Listing.ORDERS,
    id="orderId",
    numbers=("price", "origQty", "executedQty", "cummulativeQuoteQty"),
    status="status",
    unknown_status="UNDER_REVIEW",
    filled="executedQty",
    closed="FILLED",
    rejected="REJECTED",
    canceled="CANCELED",
)
_FILLS: Final = Table(
    Listing.FILLS,
    id="id",
    numbers=("price", "qty", "quoteQty", "commission"),
    fee=("commission", "commissionAsset"),
)
_BALANCES: Final = Table(
    Listing.BALANCES, place=("balances",), id="asset", numbers=("free", "locked")
)
_FLOWS: Final = Table(
    Listing.FLOWS,
    id="id",
    numbers=("amount", "transactionFee"),
    status="status",
    unknown_status=99,
)
TABLES: Final = {
    "/api/v3/account": _BALANCES,
    "/api/v3/openOrders": replace(_ORDERS, listing=Listing.OPEN_ORDERS),
    "/api/v3/order": replace(_ORDERS, listing=Listing.ORDER, is_single=True),
    "/api/v3/allOrders": _ORDERS,
    "/api/v3/myTrades": _FILLS,
    "/sapi/v1/asset/assetDividend": replace(_FLOWS, place=("rows",), status=""),
    "/sapi/v1/asset/transfer": replace(_FLOWS, place=("rows",), id="tranId"),
    "/sapi/v1/capital/deposit/hisrec": _FLOWS,
    "/sapi/v1/capital/withdraw/history": _FLOWS,
}
