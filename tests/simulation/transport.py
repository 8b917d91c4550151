"""The way from ccxt to the practice exchanges without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import yarl

from providers.sandbox.in_process import InProcess, Reply
from providers.transport import Transport

# Awaited before each request, with the port of the exchange that it goes to.
OnRequest = Callable[[int], Awaitable[None]]


class InProcessTransport(Transport):
    """Hands every request to the exchange that lives at the port of its URL."""

    def __init__(self, exchanges: Mapping[int, InProcess], on_request: OnRequest) -> None:
        self._session: Any = _Session(exchanges, on_request)


@dataclass(frozen=True, slots=True)
class _Session:
    exchanges: Mapping[int, InProcess]
    on_request: OnRequest

    @asynccontextmanager
    async def request(
        self, method: str, url: yarl.URL, *, data: Any, headers: Mapping[str, str], **_: Any
    ) -> AsyncIterator[_Response]:
        port = url.port or 0
        await self.on_request(port)
        body = data.decode() if isinstance(data, bytes) else data or ""
        yield _Response(await self.exchanges[port].answer(method, url.raw_path_qs, headers, body))

    async def close(self) -> None:
        return None


class _Response:
    """An answer in the shape in which aiohttp hands one out."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.status = reply.status
        self.reason = reply.reason
        self.headers = reply.headers
        self.content = self

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        for chunk in self._reply.chunks():
            yield chunk

    def close(self) -> None:
        return None
