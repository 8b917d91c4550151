"""The exchange classes of ccxt, hardened.

A hardened exchange reads exact numbers, refuses what is not the documented JSON, sends no request
that could write, invents no amounts, and keeps no request or answer.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Context, Decimal, localcontext
from functools import cache
from pathlib import Path
from types import MethodType
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import ccxt.async_support as ccxt

from providers.catalogue import CAPABILITIES, Market
from providers.ccxt_errors import ReplyFacts, translated
from providers.census import Abilities
from providers.corrections.balances import has_nameless_balance, untold_balances
from providers.corrections.fills import corrected_fill
from providers.corrections.orders import corrected_order, sums_of_trades
from providers.credentials import CREDENTIAL_NAMES, Credentials
from providers.errors import OperationalException, UnexpectedReport, WriteRefused
from providers.mapping import UNREADABLE, has_numbers
from providers.market_options import (
    FILLS_NEED_SYMBOL,
    FILLS_OF_ALL_SYMBOLS,
    OPEN_ORDERS_NEED_SYMBOL,
    credentials_to_read,
    market_options,
)
from providers.read_requests import NON_GET_READS
from providers.shapes import check_shape
from providers.transport import AccountSession

CCXT_VERSION: Final[str] = ccxt.__version__

# At DEBUG ccxt logs keys, signatures and balances. The level holds down its whole tree, and the
# hardened exchanges log outside of that tree, where no configuration can open it again.
logging.getLogger("ccxt").setLevel(logging.WARNING)
_silent: Final = logging.Logger("ccxt.hardened", logging.WARNING)  # noqa: LOG001  no parent, on purpose
_silent.addHandler(logging.NullHandler())

_reply: ContextVar[ReplyFacts | None] = ContextVar("reply", default=None)
_is_allowed_read: ContextVar[bool] = ContextVar("is_allowed_read", default=False)
_is_private: ContextVar[bool] = ContextVar("is_private", default=False)

# Waits until a request may go: seconds of the market's budget that it uses up, and whether it carries the key.
Pace = Callable[[float, bool], Awaitable[None]]


def _of_one_row(parse: Callable[[Any, Any, Any], Any]) -> Callable[..., Any]:
    """Let a row that its parser breaks on cost no other row."""

    def parse_or_name(self: Any, row: Any, market: Any = None) -> Any:
        try:
            return parse(self, row, market)
        except Exception as e:  # whatever it is, it is this row's
            return _unreadable(row, market, e)

    return parse_or_name


class HardenedExchange(ccxt.Exchange):  # type: ignore[misc]  # ccxt is untyped
    """Stands before one of ccxt's classes in the order of inheritance.

    Attributes
    ----------
    failed_requests : list of OperationalException
        Of the running read, also those that ccxt catches itself to go on with a guess.
    """

    number = str
    logger = _silent
    timeout_on_exit = 0  # ccxt waits 250 ms for sockets that are not its own here
    catalogue_id = ""
    # The market and those whose class it inherits, nearest first.
    family: tuple[str, ...] = ()
    # Its names that are no methods; None before the first exchange of the class is made.
    plain_names: tuple[str, ...] | None = None

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.failed_requests: list[OperationalException] = []
        self._pace: Pace | None = None
        super().__init__(config)
        # A copy of all endpoints that nobody reads: ccxt's classes have them as methods.
        self.api: dict[str, Any] = {}

    def __dir__(self) -> Iterable[str]:
        """Let ccxt, which gives every name a second spelling, do it once only for the methods of a class."""
        if self.plain_names is not None:
            return self.plain_names
        names = list(super().__dir__())
        type(self).plain_names = tuple(
            name for name in names if not isinstance(getattr(self, name), MethodType)
        )
        return names

    def keep_pace(self, pace: Pace) -> None:
        """Have every request wait for `pace` first; ccxt's own throttler ends with its exchange."""
        self._pace = pace
        self.enableRateLimit = True

    async def throttle(self, cost: Any = None) -> None:
        if self._pace is None:
            return
        seconds = max(0.0, float(cost or 0) * float(self.rateLimit) / 1000)
        try:
            await self._pace(seconds, _is_private.get())
        except OperationalException as e:
            self.failed_requests.append(e)
            raise

    async def request(
        self,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Any = None,
        config: Any = None,
    ) -> Any:
        access = api if isinstance(api, str) else ".".join(api)
        reads = NON_GET_READS.get(self.catalogue_id, ())
        if method != "GET" and f"{access} {method} {path}" not in reads:
            raise _write_refused(self.catalogue_id, f"{method} {path}")
        token = _is_allowed_read.set(method != "GET")
        private = _is_private.set("private" in access.lower())
        try:
            answer = await super().request(path, api, method, params or {}, config or {})
        finally:
            _is_private.reset(private)
            _is_allowed_read.reset(token)
        check_shape(self.catalogue_id, f"{access} {path}", answer)
        return answer

    async def fetch(
        self, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        if method != "GET" and not _is_allowed_read.get():
            raise _write_refused(self.catalogue_id, method)
        endpoint = self.session.endpoint if isinstance(self.session, AccountSession) else ""
        asked = urlsplit(url)
        reply = ReplyFacts(f"{asked.scheme}://{asked.netloc}", endpoint)
        token = _reply.set(reply)
        try:
            answer = await super().fetch(url, method, headers, body)
            if not isinstance(answer, dict | list):
                raise UnexpectedReport(
                    f"{self.catalogue_id} answered with something other than a JSON object or list."
                )
        except OperationalException as e:
            self.failed_requests.append(e)
            raise
        except ccxt.BaseError as e:
            # A context variable does not reach who awaits a gather; the error does.
            e.reply = reply
            self.failed_requests.append(translated(self.catalogue_id, e, reply))
            raise
        finally:
            _reply.reset(token)
        return answer

    def on_rest_response(self, code: int, reason: str, *answer: Any) -> Any:
        reply, (_url, _method, headers, *_rest) = _reply.get(), answer
        if reply is not None:
            reply.record(code, headers)
        return super().on_rest_response(code, reason, *answer)

    @staticmethod
    def on_json_response(body: str) -> Any:
        try:
            return json.loads(
                body, parse_float=str, parse_int=_whole_number, parse_constant=_refuse_constant
            )
        except RecursionError:
            raise UnexpectedReport("The answer is nested too deeply.") from None

    def handle_http_status_code(
        self, code: int, reason: str, url: str, method: str, body: str
    ) -> None:
        super().handle_http_status_code(code, reason, url, method, body)
        if not 200 <= code < 300:
            # Without this, asynchronous ccxt takes a 524 of a proxy for an empty answer.
            raise ccxt.ExchangeError(f"{self.id} {method} {url} {code} {reason} {body}")

    @_of_one_row
    def parse_order(self, order: Any, market: Any = None) -> Any:
        return corrected_order(self.family, order, super().parse_order(order, market))

    @_of_one_row
    def parse_trade(self, trade: Any, market: Any = None) -> Any:
        told = super().parse_trade(trade, market)
        return corrected_fill(self.family, trade, told) if isinstance(trade, dict) else told

    @_of_one_row
    def parse_transaction(self, transaction: Any, currency: Any = None) -> Any:
        return super().parse_transaction(transaction, currency)

    @_of_one_row
    def parse_ledger_entry(self, item: Any, currency: Any = None) -> Any:
        return super().parse_ledger_entry(item, currency)

    def safe_balance(self, balance: dict[Any, Any]) -> dict[Any, Any]:
        """Leave out of ccxt's arithmetic what is no number; `mapping` refuses it by name."""
        for asset_id, name in untold_balances(self.family, balance.get("info")):
            row = balance.get(self.safe_currency_code(asset_id))
            if isinstance(row, dict):
                row[name] = None
        unreadable = {asset: row for asset, row in balance.items() if not has_numbers(row)}
        readable = {asset: row for asset, row in balance.items() if asset not in unreadable}
        told: dict[Any, Any] = super().safe_balance(readable)
        if has_nameless_balance(self.family, balance.get("info")):
            told[None] = {}
        return told | unreadable

    def parse_trades(self, trades: Any, market: Any = None, *how: Any, **named: Any) -> Any:
        wanted = None if self.id in FILLS_OF_ALL_SYMBOLS else market
        return super().parse_trades(trades, wanted, *how, **named)

    def filter_by_since_limit(self, array: Any, *how: Any, **named: Any) -> Any:
        return _with_unreadable(array, super().filter_by_since_limit(array, *how, **named))

    def filter_by_value_since_limit(self, array: Any, *how: Any, **named: Any) -> Any:
        return _with_unreadable(array, super().filter_by_value_since_limit(array, *how, **named))

    def safe_order(self, order: Any, market: Any = None) -> dict[str, Any]:
        """Undo what ccxt makes up: that a closed order is a filled one, a cost at the limit or the average of fills."""
        reported = dict(order or {})
        told: dict[str, Any] = super().safe_order(order, market)
        missing = {name for name in _AMOUNTS if reported.get(name) in (None, "")}
        if reported.get("trades"):
            return told | sums_of_trades(told["trades"], reported)
        if {"filled", "remaining"} <= missing:
            return told | dict.fromkeys(missing)
        if {"cost", "average"} <= missing and Decimal(told["filled"] or 0):
            return told | {"cost": None}
        return told


# What exchanges call the id of an order or a fill.
_ID_NAMES: Final = ("id", "orderId", "ordId", "order_id", "execId", "tradeId", "trade_id", "uuid")
_HTTP_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
# Python turns no longer text into an int.
_MOST_DIGITS: Final = 4_000
_AMOUNTS: Final = ("filled", "remaining", "cost", "average")


@cache
def exchange_class(market_id: str) -> type[HardenedExchange]:
    """Harden ccxt's class of `market_id`; made once, as each class costs memory for ever."""
    ccxt_class = getattr(ccxt, market_id)
    family = (base.__name__ for base in ccxt_class.__mro__ if base.__name__ in ccxt.exchanges)
    members = {"catalogue_id": market_id, "family": tuple(family)}
    return type(f"Hardened_{market_id}", (HardenedExchange, ccxt_class), members)


def preload(market_ids: Iterable[str]) -> None:
    """Make an exchange of each once: what that leaves behind stays for good, and forks of this process share it."""
    for market_id in market_ids:
        exchange_class(market_id)({})


def make_exchange(
    market: Market,
    session: AccountSession | None,
    credentials: Credentials,
    *,
    sandbox: bool = False,
) -> HardenedExchange:
    """Make an exchange that reads through `session` with the required ones of `credentials`.

    Nothing but credentials and the options of `market_options` reaches ccxt's constructor.
    """
    secrets = {
        name: credentials[name].reveal()
        for name in market.required_credentials
        if name in credentials
    }
    exchange = exchange_class(market.id)(
        {
            **secrets,
            "options": market_options(market.id),
            "enableRateLimit": False,
            "enableLastHttpResponse": False,
            "enableLastJsonResponse": False,
            "enableLastResponseHeaders": False,
        }
    )
    exchange.session, exchange.own_session = session, False
    exchange.ssl_context = False  # or ccxt would build one; the session has its own
    if sandbox:
        exchange.set_sandbox_mode(True)
    return exchange


@contextmanager
def translated_errors(market_id: str) -> Iterator[None]:
    """Turn what ccxt and its parsers raise into our errors, and keep our decimal context, which ccxt changes."""
    try:
        with localcontext(Context()):
            yield
    except OperationalException:
        raise
    except Exception as e:
        # `from None`: ccxt quotes signed URLs in its messages.
        raise translated(market_id, e, getattr(e, "reply", ReplyFacts())) from None


def generate_catalogue() -> dict[str, dict[str, Any]]:
    """Tell what `catalogue.json` has to hold for the installed ccxt."""
    return {market_id: _catalogue_row(market_id) for market_id in ccxt.exchanges}


def _catalogue_row(market_id: str) -> dict[str, Any]:
    exchange = getattr(ccxt, market_id)()
    open_orders, fills = _feature(exchange, "fetchOpenOrders"), _feature(exchange, "fetchMyTrades")
    ended = _feature(exchange, "fetchClosedOrders") or _feature(exchange, "fetchOrders")
    required = tuple(name for name in CREDENTIAL_NAMES if exchange.requiredCredentials.get(name))
    return {
        "name": exchange.name,
        "required_credentials": list(credentials_to_read(market_id, required)),
        "sandbox": bool(exchange.urls.get("test")),
        "has": [name for name in CAPABILITIES if _has(exchange, name)],
        "open_orders_limit": open_orders.get("limit"),
        "ended_orders_limit": ended.get("limit"),
        "fills_limit": fills.get("limit"),
        "open_orders_need_symbol": market_id in OPEN_ORDERS_NEED_SYMBOL,
        "fills_need_symbol": market_id in FILLS_NEED_SYMBOL,
        "trigger_orders_apart": bool(open_orders.get("trigger")),
        "reads_trigger_order": bool(_feature(exchange, "fetchOrder").get("trigger")),
        "ended_orders_seconds": _seconds(ended.get("daysBack")),
        "canceled_orders_seconds": _seconds(ended.get("daysBackCanceled")),
        "fills_seconds": _seconds(fills.get("daysBack")),
        "ended_orders_window_seconds": _seconds(ended.get("untilDays")),
        "fills_window_seconds": _seconds(fills.get("untilDays")),
        "takes_until": [name for name in CAPABILITIES if _takes_until(type(exchange), name)],
        "non_get_reads": sorted(NON_GET_READS.get(market_id, ())),
    }


def read_abilities() -> dict[str, Abilities]:
    """Tell what the census compares with the tables, of every market of the installed ccxt."""
    return {market_id: _abilities(market_id) for market_id in ccxt.exchanges}


def _abilities(market_id: str) -> Abilities:
    exchange = getattr(ccxt, market_id)()
    open_orders, fills = _feature(exchange, "fetchOpenOrders"), _feature(exchange, "fetchMyTrades")
    modules = {base.__module__ for base in type(exchange).__mro__}
    return Abilities(
        row=_catalogue_row(market_id),
        words=frozenset().union(*map(_words, modules)),
        requests=frozenset(_requests(exchange.api)),
        claims_symbol_required=bool(open_orders.get("symbolRequired")),
        claims_fills_symbol_required=bool(fills.get("symbolRequired")),
    )


@cache
def _words(module: str) -> frozenset[str]:
    # Read as text: `inspect.getsource` of a class parses its module first, which takes half a second.
    source = getattr(sys.modules[module], "__file__", "") if module.startswith("ccxt.") else ""
    text = Path(source).read_text(encoding="utf-8") if source else ""
    return frozenset(re.findall(r"'(\w+)'", text))


def _requests(api: Mapping[str, Any], access: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in api.items():
        if key in _HTTP_METHODS:
            yield from (f"{'.'.join(access)} {key.upper()} {path}" for path in value)
        elif isinstance(value, dict):
            yield from _requests(value, (*access, key))


def _feature(exchange: Any, method: str) -> Mapping[str, Any]:
    return ((exchange.features or {}).get("spot") or {}).get(method) or {}


def _seconds(days: float | None) -> int | None:
    return None if days is None else round(days * 86_400)


def _has(exchange: Any, capability: str) -> bool:
    """Whether it is claimed and also there: ccxt claims some that only its base class has."""
    is_there = _own_method(type(exchange), _method_name(capability)) is not None
    return exchange.has.get(capability) in (True, "emulated") and is_there


def _takes_until(exchange: type[Any], capability: str) -> bool:
    """Whether ccxt reads the parameter ``until`` there; its `features` claim it where it does not."""
    return "'until'" in _code_of(exchange, _method_name(capability), depth=2)


def _code_of(exchange: type[Any], name: str, depth: int) -> str:
    """Tell the source of a method and of the other reads that it calls, without docstrings."""
    method = _own_method(exchange, name)
    if method is None:
        return ""
    code = re.sub(r'"""[\s\S]*?"""', "", inspect.getsource(method))
    called = re.findall(r"self\.(fetch_\w+|\w*prepare_\w*request|handle_until_option)\(", code)
    inner = (_code_of(exchange, other, depth - 1) for other in set(called) - {name} if depth)
    marks = ("'until'" for other in called if other == "handle_until_option")
    return "".join((code, *inner, *marks))


def _own_method(exchange: type[Any], name: str) -> Any:
    """Find the method `name`, unless it is the one of ccxt's base class."""
    method = getattr(exchange, name, None)
    return None if method is getattr(ccxt.Exchange, name, None) else method


def _method_name(capability: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", capability).lower()


def _unreadable(row: Any, market: Any, error: Exception) -> dict[str, Any]:
    """Stand in for a row that its parser broke on; ccxt sorts and filters it like any other."""
    facts = row if isinstance(row, dict) else {}
    id_ = next((facts[name] for name in _ID_NAMES if facts.get(name)), "")
    return {
        "id": str(id_),
        "symbol": (market or {}).get("symbol"),
        "timestamp": None,
        "info": row,
        UNREADABLE: f"{type(error).__name__} in its parser",
    }


def _with_unreadable(rows: Any, kept: Any) -> Any:
    """Put back what has neither time nor symbol to be filtered by: it is refused by name, not lost."""
    there = {id(row) for row in kept}
    lost = (row for row in rows or () if isinstance(row, Mapping) and UNREADABLE in row)
    return [*kept, *(row for row in lost if id(row) not in there)]


def _write_refused(market_id: str, request: str) -> WriteRefused:
    return WriteRefused(
        f"{market_id}: {request} was not sent. PosSync only reads, and this request is not on "
        "its list of reads."
    )


def _whole_number(text: str) -> int | str:
    """Read a whole number; Python refuses one of thousands of digits, which is its row's fault alone."""
    return int(text) if len(text) <= _MOST_DIGITS else text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"expected a number, was {name}")
