"""How the practice exchange misbehaves: by script and by seed, before the dialect sees the request."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aiohttp import hdrs, web

from providers.sandbox.dialect import CLOCK_SHIFT, Dialect, FaultKind

__all__ = ["Fault", "FaultKind", "misbehave"]

PAGE: Final = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
CHUNK: Final = b" " * 65_536


@dataclass(slots=True)
class Fault:
    """One kind of trouble, and which requests meet it.

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
    """

    kind: FaultKind
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
    happened: int = field(default=0, init=False)
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a script, not a secret

    def happens(self, path: str, api_key: str, now: datetime) -> bool:
        """Decide whether this request meets it, and count it if so."""
        if not self._concerns(path, api_key, now):
            return False
        if self.probability < 1 and self._random.random() >= self.probability:
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
class Victim:
    """The request that meets a fault, and what would have answered it."""

    request: web.Request
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    dialect: Dialect

    async def real_answer(self) -> tuple[web.StreamResponse, bytes]:
        response = await self.handler(self.request)
        body = response.body if isinstance(response, web.Response) else b""
        return response, body if isinstance(body, bytes) else b""


Misbehaviour = Callable[[Fault, Victim], Awaitable[web.StreamResponse]]


async def misbehave(fault: Fault, victim: Victim) -> web.StreamResponse:
    special = SPECIAL.get(fault.kind)
    if special is not None:
        return await special(fault, victim)
    response = victim.dialect.refusal(fault.kind) or _plain(fault.kind)
    if fault.kind in (FaultKind.RATE_LIMITED, FaultKind.BANNED):
        response.headers[hdrs.RETRY_AFTER] = str(fault.retry_after)
    return response


def _plain(kind: FaultKind) -> web.Response:
    status, body, content_type = PLAIN[kind]
    return web.Response(status=status, text=body, content_type=content_type)


async def _truncate(fault: Fault, victim: Victim) -> web.StreamResponse:
    _, body = await victim.real_answer()
    return web.Response(body=body[: len(body) // 2], content_type="application/json")


async def _change_shape(fault: Fault, victim: Victim) -> web.StreamResponse:
    _, body = await victim.real_answer()
    # The other shape than the right one: a list where an object is due, and the reverse.
    return web.Response(
        text="{}" if body.startswith(b"[") else "[]", content_type="application/json"
    )


async def _reset(fault: Fault, victim: Victim) -> web.StreamResponse:
    transport = victim.request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        # Lingering for 0 seconds makes the kernel send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _cut_short(fault: Fault, victim: Victim) -> web.StreamResponse:
    _, body = await victim.real_answer()
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.content_length = len(body)
    await response.prepare(victim.request)
    await response.write(body[: len(body) // 2])
    if victim.request.transport is not None:
        victim.request.transport.close()
    return response


async def _hang(fault: Fault, victim: Victim) -> web.StreamResponse:
    # Ends by cancellation: the client gives up, or the server stops.
    await asyncio.Event().wait()
    return web.Response()


async def _drip(fault: Fault, victim: Victim) -> web.StreamResponse:
    _, body = await victim.real_answer()
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(victim.request)
    for byte in body:
        await response.write(bytes([byte]))
        await asyncio.sleep(fault.pause)
    await response.write_eof()
    return response


async def _shift_clock(fault: Fault, victim: Victim) -> web.StreamResponse:
    victim.request[CLOCK_SHIFT] = fault.shift
    return await victim.handler(victim.request)


async def _redirect(fault: Fault, victim: Victim) -> web.StreamResponse:
    return web.Response(status=302, headers={hdrs.LOCATION: fault.location})


async def _flood(fault: Fault, victim: Victim) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(victim.request)
    sent = 0
    while sent < fault.size:
        await response.write(CHUNK[: fault.size - sent])
        sent += len(CHUNK)
    await response.write_eof()
    return response


SPECIAL: Final[dict[FaultKind, Misbehaviour]] = {
    FaultKind.TRUNCATED: _truncate,
    FaultKind.WRONG_SHAPE: _change_shape,
    FaultKind.RESET: _reset,
    FaultKind.CUT_SHORT: _cut_short,
    FaultKind.HANG: _hang,
    FaultKind.SLOW_DRIP: _drip,
    FaultKind.CLOCK: _shift_clock,
    FaultKind.REDIRECT: _redirect,
    FaultKind.HUGE: _flood,
}
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
