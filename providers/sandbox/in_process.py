"""The practice exchange without sockets, for a simulation whose clock is its own.

Nothing here looks at the wall clock or really waits: time is the engine's `clock`, and whatever takes long is an
`asyncio.sleep`, which a loop with a virtual clock skips.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from providers.sandbox.dialect import Dialect, FaultKind, Request
from providers.sandbox.engine import Engine
from providers.sandbox.exchange import Exchange
from providers.sandbox.faults import Answer, Fault

# Seconds; a client that waits longer has no patience to lose.
FOR_EVER: Final = 86_400.0
CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it arrives.

    Parameters
    ----------
    body : bytes
        Of an answer that was cut short, what came before the connection broke: see `chunks`.
    padding : int
        Spaces that follow the body: a flood is not kept in memory.
    """

    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes
    padding: int = 0
    is_cut: bool = field(default=False)

    def chunks(self) -> Iterator[bytes]:
        """Tell the body piece by piece.

        Raises
        ------
        aiohttp.ClientPayloadError
            After the last piece of an answer that was cut short.
        """
        if self.body:
            yield self.body
        for sent in range(0, self.padding, CHUNK):
            yield b" " * min(CHUNK, self.padding - sent)
        if self.is_cut:
            raise aiohttp.ClientPayloadError("Response payload is not completed")


class InProcess:
    """Runs the dialect and its faults as the server does. `faults` may be changed at any time."""

    def __init__(self, engine: Engine, dialect: Dialect, faults: Iterable[Fault] = ()) -> None:
        self.exchange = Exchange(engine, dialect, faults)

    @property
    def faults(self) -> list[Fault]:
        return self.exchange.faults

    async def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: str = ""
    ) -> Reply:
        """Answer one request.

        Parameters
        ----------
        target : str
            Path and query, as sent.

        Raises
        ------
        aiohttp.ServerDisconnectedError, aiohttp.ClientOSError
            Where the server would break the connection.
        """
        path, _, query = target.partition("?")
        request = Request(method, path, query, CIMultiDict(headers), body)
        return await _delivered(self.exchange.answer(request))


async def _delivered(answer: Answer) -> Reply:
    kind, fault = (answer.fault.kind if answer.fault else None), answer.fault
    if kind is FaultKind.RESET:
        raise aiohttp.ClientOSError(104, "Connection reset by peer")
    if kind is FaultKind.HANG:
        await asyncio.sleep(FOR_EVER)
        raise aiohttp.ServerDisconnectedError
    if kind is FaultKind.SLOW_DRIP and fault is not None:
        await asyncio.sleep(fault.pause * len(answer.body))
    if kind is FaultKind.CUT_SHORT:
        return _reply(answer, answer.body[: len(answer.body) // 2], is_cut=True)
    if kind is FaultKind.HUGE and fault is not None:
        return _reply(answer, b"", padding=fault.size)
    return _reply(answer, answer.body)


def _reply(answer: Answer, body: bytes, *, padding: int = 0, is_cut: bool = False) -> Reply:
    response = answer.response
    headers = CIMultiDictProxy(response.headers)
    return Reply(response.status, response.reason or "", headers, body, padding, is_cut)
