"""What the server needs from a dialect: the language of one exchange over the engine."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from aiohttp import web

# How far the clock that a request meets is off, on top of the dialect's own offset.
CLOCK_SHIFT: web.RequestKey[timedelta] = web.RequestKey("clock_shift", timedelta)


class FaultKind(StrEnum):
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


class Dialect(Protocol):
    """One exchange's routes, signatures, payloads and error bodies.

    Parameters
    ----------
    clock_offset : timedelta
        How far this exchange's clock is ahead of the engine's.
    unrecorded : frozenset of str
        Query parameters that are left out of the server's records: signatures.
    """

    clock_offset: timedelta
    unrecorded: frozenset[str]

    def routes(self) -> list[web.RouteDef]: ...

    def account_of(self, request: web.Request) -> str:
        """Tell which API key the request carries, unverified; empty if none."""

    def refusal(self, kind: FaultKind) -> web.Response | None:
        """Answer as this exchange does in such trouble; None if it has no words of its own."""
