"""How an answer travels over a real connection: whole, byte by byte, cut short, or not at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from providers.sandbox.dialect import FaultKind
from providers.sandbox.faults import Answer, Fault

CHUNK: Final = b" " * 65_536

Delivery = Callable[[Fault, bytes, web.Request], Awaitable[web.StreamResponse]]


async def deliver(answer: Answer, request: web.Request) -> web.StreamResponse:
    fault = answer.fault
    if fault is None or fault.kind not in DELIVERIES:
        return answer.response
    return await DELIVERIES[FaultKind(fault.kind)](fault, answer.body, request)


async def _reset(fault: Fault, body: bytes, request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        # Lingering for 0 seconds makes the kernel send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _cut_short(fault: Fault, body: bytes, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _hang(fault: Fault, body: bytes, request: web.Request) -> web.StreamResponse:
    # Ends by cancellation: the client gives up, or the server stops.
    await asyncio.Event().wait()
    return web.Response()


async def _drip(fault: Fault, body: bytes, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    for byte in body:
        await response.write(bytes([byte]))
        await asyncio.sleep(fault.pause)
    await response.write_eof()
    return response


async def _flood(fault: Fault, body: bytes, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    sent = 0
    while sent < fault.size:
        await response.write(CHUNK[: fault.size - sent])
        sent += len(CHUNK)
    await response.write_eof()
    return response


DELIVERIES: Final[dict[FaultKind, Delivery]] = {
    FaultKind.RESET: _reset,
    FaultKind.CUT_SHORT: _cut_short,
    FaultKind.HANG: _hang,
    FaultKind.SLOW_DRIP: _drip,
    FaultKind.HUGE: _flood,
}
