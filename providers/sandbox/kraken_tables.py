"""Where Kraken's answers keep their rows: most of them are an object by id."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from providers.sandbox.tables import Listing, Table

_ORDERS: Final = Table(
    Listing.ORDERS,
    place=("result", "closed"),
    numbers=("vol", "vol_exec", "cost", "fee", "price"),
    status="status",
    unknown_status="under_review",
    filled="vol_exec",
    closed="closed",
    # Kraken itself calls what it has rejected canceled.
    rejected="canceled",
    canceled="canceled",
)
_TRADES: Final = Table(
    Listing.FILLS,
    place=("result", "trades"),
    numbers=("price", "cost", "fee", "vol"),
    fee=("fee",),
)
_FUNDING: Final = Table(
    Listing.FLOWS,
    place=("result",),
    id="refid",
    numbers=("amount", "fee"),
    status="status",
    unknown_status="Under review",
)
TABLES: Final = {
    "/0/private/BalanceEx": Table(
        Listing.BALANCES, place=("result",), numbers=("balance", "hold_trade")
    ),
    "/0/private/OpenOrders": replace(
        _ORDERS, listing=Listing.OPEN_ORDERS, place=("result", "open")
    ),
    "/0/private/ClosedOrders": _ORDERS,
    "/0/private/QueryOrders": replace(
        _ORDERS, listing=Listing.ORDER, place=("result",), is_single=True
    ),
    "/0/private/TradesHistory": _TRADES,
    "/0/private/QueryTrades": replace(_TRADES, place=("result",)),
    "/0/private/Ledgers": Table(
        Listing.FLOWS, place=("result", "ledger"), numbers=("amount", "fee", "balance")
    ),
    "/0/private/DepositStatus": _FUNDING,
    "/0/private/WithdrawStatus": _FUNDING,
}
