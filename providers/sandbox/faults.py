"""How the practice exchange misbehaves: by script and by seed, before the dialect sees the request.

What the answer of a `FaultKind` is, is told here; how some of them travel, by `wire` and `in_process`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from aiohttp import hdrs, web

from providers.sandbox.dialect import Dialect, DistortionKind, FaultKind, Request

__all__ = ["ALL_KINDS", "Answer", "DistortionKind", "Fault", "FaultKind", "misbehave"]

ALL_KINDS: Final[tuple[FaultKind | DistortionKind, ...]] = (*FaultKind, *DistortionKind)
PAGE: Final = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


@dataclass(slots=True)
class Fault:
    """One kind of trouble or distortion, and which requests meet it.

    Parameters
    ----------
    path : str or None
        Regular expression searched for in the path; None for every path.
    api_key : str or None
        Only requests that carry this key.
    times : int or None
        How often it happens; None without end.
    between : tuple of datetime or None
        From the first, until before the second, by the engine's clock.
    probability : float
        0 to 1, drawn from `seed`.
    retry_after : int
        Seconds, sent with `RATE_LIMITED` and `BANNED`.
    shift : timedelta
        How far ahead the clock of a `CLOCK` fault is.
    location : str
        Where a `REDIRECT` points to.
    size : int
        Bytes of a `HUGE` body.
    pause : float
        Seconds between the bytes of a `SLOW_DRIP`.
    age : timedelta
        How long ago a `STALE_PAGE` and an `OLDER_COPY` show the account as it was; the engine's `memory` has to
        reach as far.
    name : str
        The field that a `NULL_FIELD` empties in every row that has it; empty: any one of one row.
    """

    kind: FaultKind | DistortionKind
    path: str | None = None
    api_key: str | None = None
    times: int | None = None
    between: tuple[datetime, datetime] | None = None
    probability: float = 1.0
    seed: int = 0
    retry_after: int = 1
    shift: timedelta = timedelta(minutes=-5)
    location: str = "/elsewhere"
    size: int = 64 * 1024 * 1024
    pause: float = 0.2
    age: timedelta = timedelta(seconds=30)
    name: str = ""
    happened: int = field(default=0, init=False)
    random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a script, not a secret

    def happens(self, path: str, api_key: str, now: datetime) -> bool:
        """Decide whether this request meets it, and count it if so."""
        if not self._concerns(path, api_key, now):
            return False
        if self.probability < 1 and self.random.random() >= self.probability:
            return False
        self.happened += 1
        return True

    def _concerns(self, path: str, api_key: str, now: datetime) -> bool:
        if self.times is not None and self.happened >= self.times:
            return False
        if self.path is not None and not re.search(self.path, path):
            return False
        if self.api_key is not None and self.api_key != api_key:
            return False
        if self.kind is FaultKind.EXPIRED_KEY and not api_key:
            return False
        return self.between is None or self.between[0] <= now < self.between[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back, and the fault by which it travels, if not plainly and as a whole."""

    response: web.Response
    fault: Fault | None = None

    @property
    def body(self) -> bytes:
        return body_of(self.response)


Ask = Callable[[Request], web.Response]
Misbehaviour = Callable[[Fault, Request, Ask], web.Response]


def misbehave(fault: Fault, request: Request, ask: Ask, dialect: Dialect) -> Answer:
    """Answer as `fault` does; `ask` tells what would have been answered."""
    kind = FaultKind(fault.kind)
    if kind in SPECIAL:
        return Answer(SPECIAL[kind](fault, request, ask), fault)
    if kind in ON_THE_WAY:
        return Answer(ask(request), fault)
    response = dialect.refusal(kind) or _plain(kind)
    if kind in (FaultKind.RATE_LIMITED, FaultKind.BANNED):
        response.headers[hdrs.RETRY_AFTER] = str(fault.retry_after)
    return Answer(response)


def body_of(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _plain(kind: FaultKind) -> web.Response:
    status, body, content_type = PLAIN[kind]
    return web.Response(status=status, text=body, content_type=content_type)


def _truncate(fault: Fault, request: Request, ask: Ask) -> web.Response:
    body = body_of(ask(request))
    return web.Response(body=body[: len(body) // 2], content_type="application/json")


def _change_shape(fault: Fault, request: Request, ask: Ask) -> web.Response:
    body = body_of(ask(request))
    # The other shape than the right one: a list where an object is due, and the reverse.
    return web.Response(
        text="{}" if body.startswith(b"[") else "[]", content_type="application/json"
    )


def _shift_clock(fault: Fault, request: Request, ask: Ask) -> web.Response:
    return ask(replace(request, clock_shift=fault.shift))


def _redirect(fault: Fault, request: Request, ask: Ask) -> web.Response:
    return web.Response(status=302, headers={hdrs.LOCATION: fault.location})


SPECIAL: Final[dict[FaultKind, Misbehaviour]] = {
    FaultKind.TRUNCATED: _truncate,
    FaultKind.WRONG_SHAPE: _change_shape,
    FaultKind.CLOCK: _shift_clock,
    FaultKind.REDIRECT: _redirect,
}
# These have the right answer, which does not arrive, or not in one piece.
ON_THE_WAY: Final = frozenset(
    {
        FaultKind.RESET,
        FaultKind.CUT_SHORT,
        FaultKind.HANG,
        FaultKind.SLOW_DRIP,
        FaultKind.HUGE,
    }
)
# Status, body, content type.
PLAIN: Final[dict[FaultKind, tuple[int, str, str]]] = {
    FaultKind.RATE_LIMITED: (429, PAGE.format("Too Many Requests"), "text/html"),
    FaultKind.BANNED: (418, PAGE.format("I am a teapot"), "text/html"),
    FaultKind.UNAVAILABLE: (503, PAGE.format("Service Unavailable"), "text/html"),
    FaultKind.GATEWAY: (502, PAGE.format("Bad Gateway"), "text/html"),
    FaultKind.CODE_524: (524, PAGE.format("A timeout occurred"), "text/html"),
    FaultKind.TIMED_OUT: (504, PAGE.format("Gateway Timeout"), "text/html"),
    FaultKind.OVERLOADED: (503, PAGE.format("Service Overloaded"), "text/html"),
    FaultKind.HTML_OK: (200, PAGE.format("We will be back soon"), "text/html"),
    FaultKind.EMPTY_OK: (200, "", "application/json"),
    FaultKind.NULL_OK: (200, "null", "application/json"),
    FaultKind.EXPIRED_KEY: (401, PAGE.format("Unauthorized"), "text/html"),
    FaultKind.MAINTENANCE: (503, PAGE.format("Maintenance"), "text/html"),
}
