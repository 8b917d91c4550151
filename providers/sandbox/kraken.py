"""The practice exchange in Kraken's words: the reads of its spot REST API.

A secret is entered as `kraken_names.shown_secret` spells it, an order named as `txid` does.

Source: "Kraken Spot REST API".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from providers.sandbox import kraken_payloads as payloads
from providers.sandbox.books import ApiKey, Fill, Order, Permission
from providers.sandbox.dialect import FaultKind, Request, not_found
from providers.sandbox.engine import Engine
from providers.sandbox.errors import UnknownKey, UnknownOrder
from providers.sandbox.kraken_call import (
    ApiError,
    Call,
    Entry,
    check_permission,
    invalid_arguments,
    params_of,
    verify,
)
from providers.sandbox.kraken_ledger import ledger
from providers.sandbox.kraken_names import (
    DEPOSIT,
    ORDER,
    WITHDRAWAL,
    altname,
    asset_id,
    number_of,
    pair_id,
    pair_name,
    txid,
)
from providers.sandbox.kraken_tables import TABLES
from providers.sandbox.tables import Table
from providers.sandbox.views import View

JSON = Any
MOST_IDS: Final = 20
MOST_ORDER_IDS: Final = 50
KEY_HEADER: Final = "API-Key"
SIGNATURE_HEADER: Final = "API-Sign"
PRIVATE: Final = "/0/private/"

# What Kraken says with HTTP status 200; the gateway before it has pages and statuses of its own.
FAULT_ERRORS: Final = {
    FaultKind.RATE_LIMITED: "EAPI:Rate limit exceeded",
    FaultKind.BANNED: "EGeneral:Temporary lockout",
    FaultKind.UNAVAILABLE: "EService:Unavailable",
    FaultKind.TIMED_OUT: "EService:Timeout",
    FaultKind.OVERLOADED: "EService:Deadline elapsed",
    FaultKind.EXPIRED_KEY: "EAPI:Invalid key",
    FaultKind.MAINTENANCE: "EService:Market in cancel_only mode",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route.

    Parameters
    ----------
    permission : Permission or None
        What the key must be allowed; None if any key will do, or none is asked for.
    """

    method: str
    path: str
    answer: str
    permission: Permission | None = None

    @property
    def is_private(self) -> bool:
        return self.path.startswith(PRIVATE)


READ: Final = Permission.READ
ENDPOINTS: Final = (
    Endpoint("GET", "/0/public/Time", "time"),
    Endpoint("GET", "/0/public/Assets", "assets"),
    Endpoint("GET", "/0/public/AssetPairs", "pairs"),
    Endpoint("POST", "/0/private/Balance", "balance", READ),
    Endpoint("POST", "/0/private/BalanceEx", "extended_balance", READ),
    Endpoint("POST", "/0/private/OpenOrders", "open_orders", READ),
    Endpoint("POST", "/0/private/ClosedOrders", "closed_orders", READ),
    Endpoint("POST", "/0/private/QueryOrders", "query_orders", READ),
    Endpoint("POST", "/0/private/TradesHistory", "trades", READ),
    Endpoint("POST", "/0/private/QueryTrades", "query_trades", READ),
    Endpoint("POST", "/0/private/Ledgers", "ledgers", READ),
    Endpoint("POST", "/0/private/DepositStatus", "deposits", READ),
    Endpoint("POST", "/0/private/WithdrawStatus", "withdrawals", READ),
    Endpoint("POST", "/0/private/GetApiKeyInfo", "key_info"),
)
BY_ROUTE: Final = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}


class Kraken:
    """The dialect; see `ENDPOINTS` for what it knows.

    Parameters
    ----------
    clock_offset : timedelta
        How far this exchange's clock is ahead of the engine's.
    """

    # Kraken's signature is a header, and its parameters are in the body: neither is recorded.
    unrecorded: frozenset[str] = frozenset()

    def __init__(self, engine: Engine, clock_offset: timedelta = timedelta(0)) -> None:
        self.engine = engine
        self.clock_offset = clock_offset
        self._nonces: dict[str, int] = {}

    def account_of(self, request: Request) -> str:
        return request.headers.get(KEY_HEADER, "")

    def answer(self, request: Request) -> web.Response:
        endpoint = BY_ROUTE.get((request.method, request.path))
        if endpoint is None:
            return not_found()
        call = self._call(request)
        try:
            # A request for what was before has been verified when it asked for what is.
            if endpoint.is_private and not request.age:
                self._verify(call, endpoint.permission)
            answer: Callable[[Call], JSON] = getattr(self, endpoint.answer)
            return web.json_response({"error": [], "result": answer(call)})
        except ApiError as e:
            return e.response()

    def refusal(self, kind: FaultKind) -> web.Response | None:
        if kind not in FAULT_ERRORS:
            return None
        return ApiError(FAULT_ERRORS[kind]).response()

    def table(self, path: str) -> Table | None:
        return TABLES.get(path)

    def denial(self, trouble: str = "") -> web.Response:
        errors = ["EOrder:Unknown order"] + ([f"EService:{trouble}"] if trouble else [])
        return web.json_response({"error": errors})

    # Security

    def _call(self, request: Request) -> Call:
        return Call(
            params=params_of(request.query, request.body),
            now=self.engine.clock() + self.clock_offset + request.clock_shift,
            path=request.path,
            body=request.body,
            key=self.account_of(request),
            signature=request.headers.get(SIGNATURE_HEADER, ""),
            age=request.age,
        )

    def _verify(self, call: Call, permission: Permission | None) -> None:
        api_key = self._api_key(call.key)
        self._nonces[call.key] = verify(call, api_key, self._nonces.get(call.key, 0))
        check_permission(api_key, permission)

    def _api_key(self, key: str) -> ApiKey:
        try:
            return self.engine.api_key(key)
        except UnknownKey:
            raise ApiError("EAPI:Invalid key") from None

    # Market data

    def time(self, call: Call) -> JSON:
        return {
            "unixtime": payloads.seconds(call.now),
            "rfc1123": call.now.strftime("%a, %d %b %y %H:%M:%S +0000"),
        }

    def assets(self, call: Call) -> JSON:
        instruments = self.engine.instruments()
        listed = {asset for x in instruments for asset in (x.base, x.quote)}
        found = {
            asset_id(asset): payloads.asset_row(asset)
            for asset in sorted(listed)
            if call.accepts("asset", (asset_id(asset), altname(asset)))
        }
        if not found:
            raise ApiError("EQuery:Unknown asset")
        return found

    def pairs(self, call: Call) -> JSON:
        found = {
            pair_id(x.symbol): payloads.pair_row(x)
            for x in self.engine.instruments()
            if call.accepts("pair", (pair_id(x.symbol), pair_name(x.symbol)))
        }
        if not found:
            raise ApiError("EQuery:Invalid asset pair")
        return found

    # Account

    def balance(self, call: Call) -> JSON:
        return payloads.balance_rows(self._view(call).balances())

    def extended_balance(self, call: Call) -> JSON:
        return payloads.extended_balance_rows(self._view(call).balances())

    def ledgers(self, call: Call) -> JSON:
        with self.engine.lock:
            entries = ledger(self._view(call).flow_books())
        rows, count = call.page(
            [
                entry
                for entry in entries
                if call.accepts("asset", (entry.row["asset"],))
                and call.accepts("type", (entry.row["type"],))
            ]
        )
        return {"ledger": rows, "count": count}

    def deposits(self, call: Call) -> JSON:
        entries = [
            Entry(txid(DEPOSIT, x.id), x.listed_at, payloads.deposit_row(x))
            for x in self._view(call).deposits()
        ]
        return _funding(entries, call)

    def withdrawals(self, call: Call) -> JSON:
        entries = [
            Entry(txid(WITHDRAWAL, x.id), x.requested_at, payloads.withdrawal_row(x))
            for x in self._view(call).withdrawals()
        ]
        return _funding(entries, call)

    def key_info(self, call: Call) -> JSON:
        return payloads.key_row(self._api_key(call.key), call.text("nonce"), call.now)

    # Orders and trades

    def open_orders(self, call: Call) -> JSON:
        orders = self._view(call).open_orders()
        entries = self._order_entries(call, _named_by_client(orders, call))
        return {"open": {entry.id: entry.row for entry in reversed(entries)}}

    def closed_orders(self, call: Call) -> JSON:
        orders = [order for order in self._view(call).orders() if not order.is_open]
        rows, count = call.page(self._order_entries(call, _named_by_client(orders, call)))
        return {"closed": rows, "count": count}

    def query_orders(self, call: Call) -> JSON:
        orders = [self._order(call, spelled) for spelled in call.names("txid", MOST_ORDER_IDS)]
        entries = self._order_entries(call, _named_by_client(orders, call))
        return {entry.id: entry.row for entry in entries}

    def trades(self, call: Call) -> JSON:
        rows, count = call.page(self._trade_entries(call))
        return {"trades": rows, "count": count}

    def query_trades(self, call: Call) -> JSON:
        wanted = call.names("txid", MOST_IDS)
        known = {entry.id: entry.row for entry in self._trade_entries(call)}
        if not known.keys() >= set(wanted):
            raise invalid_arguments()
        return {spelled: known[spelled] for spelled in wanted}

    # Inside

    def _order_entries(self, call: Call, orders: Sequence[Order]) -> list[Entry]:
        with_trades = call.flag("trades")
        fills_of: dict[str, list[Fill]] = defaultdict(list)
        for fill in self._view(call).fills():
            fills_of[fill.order_id].append(fill)
        return [
            Entry(
                txid(ORDER, order.id),
                order.created_at if order.is_open else order.updated_at,
                payloads.order_row(
                    order,
                    self.engine.instrument(order.symbol),
                    fills_of[order.id],
                    with_trades=with_trades,
                ),
            )
            for order in orders
        ]

    def _trade_entries(self, call: Call) -> list[Entry]:
        with self.engine.lock:
            orders = self.engine.accounts[call.key].orders
            return [
                Entry(
                    payloads.trade_txid(fill),
                    fill.executed_at,
                    payloads.trade_row(fill, orders[fill.order_id].type),
                )
                for fill in self._view(call).fills()
            ]

    def _view(self, call: Call) -> View:
        return View(self.engine, call.key, call.age)

    def _order(self, call: Call, spelled: str) -> Order:
        order_id = number_of(ORDER, spelled)
        if order_id is None:
            raise ApiError("EOrder:Invalid order")
        try:
            return self._view(call).order(order_id)
        except UnknownOrder:
            raise ApiError("EOrder:Unknown order") from None


def _named_by_client(orders: Sequence[Order], call: Call) -> list[Order]:
    wanted = {call.params[name] for name in ("userref", "cl_ord_id") if name in call.params}
    return [order for order in orders if not wanted or order.client_order_id in wanted]


def _funding(entries: Sequence[Entry], call: Call) -> list[JSON]:
    return [x.row for x in call.window(entries) if call.accepts("asset", (x.row["asset"],))]
