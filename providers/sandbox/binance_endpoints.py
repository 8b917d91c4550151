"""Which of Binance's endpoints the practice exchange knows, what they ask of a key and what they weigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from providers.sandbox.books import Permission


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route and its rate weight.

    Parameters
    ----------
    permission : Permission or None
        What the key must be allowed; None for a public endpoint.
    weight_of_all : int
        Weight if no symbol is named; `weight` if 0.
    """

    method: str
    path: str
    answer: str
    permission: Permission | None = None
    weight: int = 1
    weight_of_all: int = 0

    def weight_for(self, params: Mapping[str, str]) -> int:
        return self.weight if "symbol" in params else self.weight_of_all or self.weight


READ: Final = Permission.READ
ENDPOINTS: Final = (
    Endpoint("GET", "/api/v3/ping", "nothing"),
    Endpoint("GET", "/api/v3/time", "time"),
    Endpoint("GET", "/api/v3/exchangeInfo", "exchange_info", weight=20),
    Endpoint("GET", "/api/v3/account", "account", READ, weight=20),
    Endpoint("GET", "/api/v3/openOrders", "open_orders", READ, weight=6, weight_of_all=80),
    Endpoint("GET", "/api/v3/order", "order", READ, weight=4),
    Endpoint("POST", "/api/v3/order", "place_order", Permission.TRADE),
    Endpoint("DELETE", "/api/v3/order", "cancel_order", Permission.TRADE),
    Endpoint("GET", "/api/v3/allOrders", "all_orders", READ, weight=20),
    Endpoint("GET", "/api/v3/myTrades", "my_trades", READ, weight=20),
    Endpoint("GET", "/sapi/v1/account/apiRestrictions", "api_restrictions", READ),
    Endpoint("GET", "/sapi/v1/capital/deposit/hisrec", "deposits", READ),
    Endpoint("GET", "/sapi/v1/capital/withdraw/history", "withdrawals", READ),
    Endpoint("GET", "/sapi/v1/asset/assetDividend", "dividends", READ, weight=10),
    Endpoint("GET", "/sapi/v1/asset/transfer", "transfers", READ),
    Endpoint("GET", "/sapi/v1/capital/config/getall", "coins", READ, weight=10),
    # Asked for by a client that loads the markets with its default options. Spot is all there is.
    Endpoint("GET", "/sapi/v1/margin/allPairs", "no_pairs", READ),
    Endpoint("GET", "/sapi/v1/margin/isolated/allPairs", "no_pairs", READ),
    Endpoint("GET", "/fapi/v1/exchangeInfo", "no_contracts"),
    Endpoint("GET", "/dapi/v1/exchangeInfo", "no_contracts"),
)
BY_ROUTE: Final = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}
