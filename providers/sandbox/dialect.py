"""What the server needs from a dialect: the language of one exchange over the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from aiohttp import web

from providers.sandbox.tables import Table


class FaultKind(StrEnum):
    """Trouble that shows: the answer fails, is late, or is no answer to the question."""

    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    UNAVAILABLE = "unavailable"
    GATEWAY = "gateway"
    CODE_524 = "code_524"
    TIMED_OUT = "timed_out"
    OVERLOADED = "overloaded"
    HTML_OK = "html_ok"
    EMPTY_OK = "empty_ok"
    NULL_OK = "null_ok"
    TRUNCATED = "truncated"
    WRONG_SHAPE = "wrong_shape"
    RESET = "reset"
    CUT_SHORT = "cut_short"
    HANG = "hang"
    SLOW_DRIP = "slow_drip"
    EXPIRED_KEY = "expired_key"
    CLOCK = "clock"
    MAINTENANCE = "maintenance"
    REDIRECT = "redirect"
    HUGE = "huge"


class DistortionKind(StrEnum):
    """Trouble that does not show: the answer looks well and is not the truth, or tells it strangely."""

    SHORTENED = "shortened"
    EMPTY_LIST = "empty_list"
    EMPTY_BALANCES = "empty_balances"
    HALF_OF_BALANCES = "half_of_balances"
    ROW_TWICE = "row_twice"
    REORDERED = "reordered"
    OLDER_COPY = "older_copy"
    PAGE_REPEATED = "page_repeated"
    STALE_PAGE = "stale_page"
    NO_FEE = "no_fee"
    NO_TRADE_ID = "no_trade_id"
    UNKNOWN_STATUS = "unknown_status"
    NO_FILLED = "no_filled"
    LONG_NUMBER = "long_number"
    JSON_NUMBER = "json_number"
    NULL_FIELD = "null_field"
    ORDER_DENIED = "order_denied"
    TROUBLE_AS_DENIAL = "trouble_as_denial"
    ORDER_VANISHES = "order_vanishes"
    REJECTED_AS_CANCELED = "rejected_as_canceled"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, whichever way it came.

    Parameters
    ----------
    path, query : str
        As sent, not decoded; the query without its question mark.
    headers : Mapping
        Finds a name in upper and lower case alike.
    clock_shift : timedelta
        How far the clock that the request meets is ahead, on top of the dialect's own offset.
    age : timedelta
        How long ago the account is shown as it was.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str = ""
    clock_shift: timedelta = timedelta(0)
    age: timedelta = timedelta(0)


class Dialect(Protocol):
    """One exchange's endpoints, signatures, payloads and error bodies.

    Parameters
    ----------
    clock_offset : timedelta
        How far this exchange's clock is ahead of the engine's.
    unrecorded : frozenset of str
        Query parameters that are left out of the server's records: signatures.
    """

    clock_offset: timedelta
    unrecorded: frozenset[str]

    def answer(self, request: Request) -> web.Response: ...

    def account_of(self, request: Request) -> str:
        """Tell which API key the request carries, unverified; empty if none."""

    def refusal(self, kind: FaultKind) -> web.Response | None:
        """Answer as this exchange does in such trouble; None if it has no words of its own."""

    def table(self, path: str) -> Table | None:
        """Tell where the answers of `path` keep their rows; None if they list nothing of an account."""

    def denial(self, trouble: str = "") -> web.Response:
        """Answer as to an order that does not exist; `trouble` is what broke behind the exchange's door."""


def not_found() -> web.Response:
    return web.Response(status=404, text="404: Not Found")
