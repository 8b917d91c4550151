"""The practice exchange in Binance's words: spot REST API v3, and the wallet calls around it.

Sources: "Binance Spot API Docs: REST API, Errors, Request Security" and "Binance Wallet API".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from providers.reports import OrderSide, OrderType
from providers.sandbox import binance_payloads as payloads
from providers.sandbox.binance_call import (
    KEY_FORMAT,
    MAX_LIMIT,
    ApiError,
    Call,
    call_of,
    no_permission,
    order_not_named,
    verify,
)
from providers.sandbox.binance_endpoints import BY_ROUTE, Endpoint
from providers.sandbox.binance_payloads import TYPES, milliseconds
from providers.sandbox.binance_tables import TABLES
from providers.sandbox.books import (
    EXACT,
    ROUNDING,
    ApiKey,
    Balance,
    FeeRate,
    Instrument,
    Movement,
    MovementKind,
    Order,
    OrderRequest,
)
from providers.sandbox.dialect import FaultKind, Request, not_found
from providers.sandbox.engine import Engine
from providers.sandbox.errors import (
    AmountRefused,
    DuplicateClientOrderId,
    InsufficientFunds,
    PriceRefused,
    Refused,
    UnknownKey,
    UnknownOrder,
)
from providers.sandbox.tables import Table
from providers.sandbox.views import View

JSON = Any
DAY: Final = timedelta(days=1)
NINETY_DAYS: Final = timedelta(days=90)
HALF_A_YEAR: Final = timedelta(days=180)
KEY_HEADER: Final = "X-MBX-APIKEY"
TAKER_FEE: Final = FeeRate(Decimal("0.001"))


# Everything that the engine may refuse while an order is placed.
ORDER_ERRORS: Final[dict[type[Refused], tuple[int, str]]] = {
    InsufficientFunds: (-2010, "Account has insufficient balance for requested action."),
    DuplicateClientOrderId: (-2010, "Duplicate order sent."),
    PriceRefused: (-1013, "Filter failure: PRICE_FILTER"),
    AmountRefused: (-1013, "Filter failure: LOT_SIZE"),
}
FAULT_ERRORS: Final[dict[FaultKind, tuple[int, int, str]]] = {
    FaultKind.RATE_LIMITED: (
        429,
        -1003,
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    ),
    FaultKind.BANNED: (
        418,
        -1003,
        "Way too much request weight used; IP banned. "
        "Please use WebSocket Streams for live updates to avoid bans.",
    ),
    FaultKind.EXPIRED_KEY: (401, -2015, "Invalid API-key, IP, or permissions for action."),
    FaultKind.MAINTENANCE: (503, 1, "System is under maintenance."),
}
ORDER_TYPES: Final = {name: kind for kind, name in TYPES.items()} | {"LIMIT_MAKER": OrderType.LIMIT}

RATE_LIMITS: Final = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
]


class Binance:
    """The dialect; see `binance_endpoints` for what it knows.

    Parameters
    ----------
    clock_offset : timedelta
        How far this exchange's clock is ahead of the engine's.
    """

    unrecorded = frozenset({"signature"})

    def __init__(self, engine: Engine, clock_offset: timedelta = timedelta(0)) -> None:
        self.engine = engine
        self.clock_offset = clock_offset
        self._minute = 0
        self._used_weight = 0

    def account_of(self, request: Request) -> str:
        return request.headers.get(KEY_HEADER, "")

    def answer(self, request: Request) -> web.Response:
        endpoint = BY_ROUTE.get((request.method, request.path))
        if endpoint is None:
            return not_found()
        now = self.engine.clock() + self.clock_offset + request.clock_shift
        call = call_of(request.query, request.body, self.account_of(request), now, request.age)
        try:
            response = web.json_response(self._result(endpoint, call))
        except ApiError as e:
            response = e.response()
        used = self._weigh(endpoint.weight_for(call.params), call.now)
        response.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        return response

    def refusal(self, kind: FaultKind) -> web.Response | None:
        if kind not in FAULT_ERRORS:
            return None
        status, code, message = FAULT_ERRORS[kind]
        return ApiError(code, message, status).response()

    def table(self, path: str) -> Table | None:
        return TABLES.get(path)

    def denial(self, trouble: str = "") -> web.Response:
        status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.BAD_REQUEST
        return ApiError(-2013, f"Order does not exist. {trouble}".strip(), status).response()

    # Security

    def _result(self, endpoint: Endpoint, call: Call) -> JSON:
        # A request for what was before has been verified when it asked for what is.
        if endpoint.permission is not None and not call.age:
            verify(call, self._api_key(call.key), endpoint.permission)
        answer: Callable[[Call], JSON] = getattr(self, endpoint.answer)
        return answer(call)

    def _weigh(self, weight: int, now: datetime) -> int:
        minute = milliseconds(now) // 60_000
        if minute != self._minute:
            self._minute, self._used_weight = minute, 0
        self._used_weight += weight
        return self._used_weight

    def _api_key(self, key: str) -> ApiKey:
        if not KEY_FORMAT.fullmatch(key):
            raise ApiError(-2014, "API-key format invalid.", 401)
        try:
            return self.engine.api_key(key)
        except UnknownKey:
            raise no_permission() from None

    # Market data

    def nothing(self, call: Call) -> JSON:
        return {}

    def no_pairs(self, call: Call) -> JSON:
        return []

    def no_contracts(self, call: Call) -> JSON:
        return {"timezone": "UTC", "serverTime": milliseconds(call.now), "symbols": []}

    def time(self, call: Call) -> JSON:
        return {"serverTime": milliseconds(call.now)}

    def exchange_info(self, call: Call) -> JSON:
        instruments = self.engine.instruments()
        if "symbol" in call.params:
            instruments = [self._instrument(call.text("symbol"))]
        elif "symbols" in call.params:
            instruments = [self._instrument(x) for x in call.names("symbols")]
        return {
            "timezone": "UTC",
            "serverTime": milliseconds(call.now),
            "rateLimits": RATE_LIMITS,
            "exchangeFilters": [],
            "symbols": [payloads.instrument_row(instrument) for instrument in instruments],
        }

    # Account

    def account(self, call: Call) -> JSON:
        with self.engine.lock:
            balances = self._all_balances(call)
            fills = self._view(call).fills()
        if call.params.get("omitZeroBalances", "").lower() == "true":
            balances = {asset: held for asset, held in balances.items() if held.total}
        api_key = self.engine.api_key(call.key)
        updated_at = fills[-1].executed_at if fills else api_key.created_at
        return payloads.account_row(api_key, balances, updated_at)

    def api_restrictions(self, call: Call) -> JSON:
        return payloads.restrictions_row(self.engine.api_key(call.key))

    def coins(self, call: Call) -> JSON:
        balances = self._all_balances(call)
        return [payloads.coin_row(asset, held) for asset, held in sorted(balances.items())]

    def deposits(self, call: Call) -> JSON:
        first, last = call.latest_window(NINETY_DAYS)
        rows = [
            payloads.deposit_row(x)
            for x in reversed(self._view(call).deposits())
            if first <= milliseconds(x.listed_at) <= last
        ]
        return _page(rows, call)

    def withdrawals(self, call: Call) -> JSON:
        first, last = call.latest_window(NINETY_DAYS)
        rows = [
            payloads.withdrawal_row(x)
            for x in reversed(self._view(call).withdrawals())
            if first <= milliseconds(x.requested_at) <= last
        ]
        return _page(rows, call)

    def dividends(self, call: Call) -> JSON:
        found = [
            payloads.dividend_row(x)
            for x in self._movements(call)
            if x.kind in (MovementKind.STAKING, MovementKind.AIRDROP)
        ]
        limit = min(call.integer("limit") or 20, 500)
        return {"rows": found[:limit], "total": len(found)}

    def transfers(self, call: Call) -> JSON:
        """Tell those of one way between two wallets, page by page."""
        way = call.text("type")
        found = [
            payloads.transfer_row(x)
            for x in self._movements(call)
            if x.kind is MovementKind.TRANSFER and payloads.transfer_way(x) == way
        ]
        size = min(call.integer("size") or 10, 100)
        first = ((call.integer("current") or 1) - 1) * size
        return {"total": len(found), "rows": found[first : first + size]}

    # Orders and trades

    def open_orders(self, call: Call) -> JSON:
        symbol = self._instrument(call.text("symbol")).symbol if "symbol" in call.params else ""
        return [payloads.order_row(order) for order in self._view(call).open_orders(symbol)]

    def order(self, call: Call) -> JSON:
        found = self._find_order(call)
        if found is None:
            raise ApiError(-2013, "Order does not exist.")
        return payloads.order_row(found)

    def all_orders(self, call: Call) -> JSON:
        """Page by `orderId` (from it on) or by time; the latest ones if neither is given."""
        orders = self._view(call).orders(self._instrument(call.text("symbol")).symbol)
        first, last = call.window(DAY)
        from_id = call.integer("orderId")
        found = [
            payloads.order_row(order)
            for order in orders
            if int(order.id) >= (from_id or 0) and first <= milliseconds(order.created_at) <= last
        ]
        return _first_or_last(found, call, is_from_start=from_id is not None or first > 0)

    def my_trades(self, call: Call) -> JSON:
        """Page by `fromId` (from it on) or by time; the latest ones if neither is given."""
        fills = self._view(call).fills(self._instrument(call.text("symbol")).symbol)
        first, last = call.window(DAY)
        from_id, order_id = call.integer("fromId"), call.integer("orderId")
        is_timed = "startTime" in call.params or "endTime" in call.params
        if is_timed and (from_id is not None or order_id is not None):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        found = [
            payloads.trade_row(fill)
            for fill in fills
            if int(fill.id) >= (from_id or 0)
            and order_id in (None, int(fill.order_id))
            and first <= milliseconds(fill.executed_at) <= last
        ]
        return _first_or_last(found, call, is_from_start=from_id is not None or first > 0)

    def place_order(self, call: Call) -> JSON:
        request = self._order_request(call)
        try:
            order = self.engine.place_order(call.key, request, TAKER_FEE)
        except Refused as e:
            raise ApiError(*ORDER_ERRORS[type(e)]) from None
        fills = [x for x in self.engine.fills(call.key) if x.order_id == order.id]
        return payloads.new_order_row(order, fills)

    def cancel_order(self, call: Call) -> JSON:
        found = self._find_order(call)
        if found is None or not found.is_open:
            raise ApiError(-2011, "Unknown order sent.")
        canceled = self.engine.cancel_order(found.id)
        return payloads.canceled_order_row(canceled, f"web_cancel_{found.id}")

    # Inside

    def _movements(self, call: Call) -> list[Movement]:
        """List the movements of the time that is asked for, the latest first."""
        first, last = call.latest_window(HALF_A_YEAR)
        with self.engine.lock:
            listed = [*self._view(call).flow_books().movements]
        return [x for x in reversed(listed) if first <= milliseconds(x.at) <= last]

    def _instrument(self, market_id: str) -> Instrument:
        for instrument in self.engine.instruments():
            if payloads.market_id(instrument.symbol) == market_id:
                return instrument
        raise ApiError(-1121, "Invalid symbol.")

    def _view(self, call: Call) -> View:
        return View(self.engine, call.key, call.age)

    def _all_balances(self, call: Call) -> dict[str, Balance]:
        # Binance names every asset that it knows, held or not.
        listed = {
            asset: Balance()
            for instrument in self.engine.instruments()
            for asset in (instrument.base, instrument.quote)
        }
        return listed | self._view(call).balances()

    def _find_order(self, call: Call) -> Order | None:
        symbol = self._instrument(call.text("symbol")).symbol
        order_id = call.integer("orderId")
        client_id = call.params.get("origClientOrderId")
        if order_id is None and client_id is None:
            raise order_not_named()
        if order_id is not None:
            found = self._order_by_id(call, str(order_id), symbol)
            return found if found and client_id in (None, payloads.client_order_id(found)) else None
        # A client id may be used again once its order has ended: the latest one counts.
        for order in reversed(self._view(call).single_orders(symbol)):
            if client_id == payloads.client_order_id(order):
                return order
        return None

    def _order_by_id(self, call: Call, order_id: str, symbol: str) -> Order | None:
        try:
            order = self._view(call).order(order_id)
        except UnknownOrder:
            return None
        return order if order.symbol == symbol else None

    def _order_request(self, call: Call) -> OrderRequest:
        instrument = self._instrument(call.text("symbol"))
        kind, side = call.text("type"), call.text("side")
        if kind not in ORDER_TYPES:
            raise ApiError(-1116, "Invalid orderType.")
        if side not in ("BUY", "SELL"):
            raise ApiError(-1117, "Invalid side.")
        order_type = ORDER_TYPES[kind]
        return OrderRequest(
            symbol=instrument.symbol,
            side=OrderSide(side.lower()),
            amount=_order_amount(call, instrument, order_type),
            price=None if order_type is OrderType.MARKET else call.number("price"),
            type=order_type,
            stop_price=call.number("stopPrice") if order_type is OrderType.STOP_LIMIT else None,
            client_order_id=call.params.get("newClientOrderId", ""),
        )


def _order_amount(call: Call, instrument: Instrument, order_type: OrderType) -> Decimal:
    if order_type is not OrderType.MARKET or "quoteOrderQty" not in call.params:
        return call.number("quantity")
    steps = ROUNDING.divide_int(
        call.number("quoteOrderQty"), EXACT.multiply(instrument.price, instrument.amount_step)
    )
    return EXACT.multiply(steps, instrument.amount_step)


def _first_or_last(rows: list[JSON], call: Call, *, is_from_start: bool) -> list[JSON]:
    return rows[: call.limit] if is_from_start else rows[-call.limit :]


def _page(rows: list[JSON], call: Call) -> list[JSON]:
    coin = call.params.get("coin", "")
    offset = call.integer("offset") or 0
    limit = min(call.integer("limit") or MAX_LIMIT, MAX_LIMIT)
    return [row for row in rows if coin in ("", row["coin"])][offset : offset + limit]
