"""A practice exchange that speaks as Kraken does, and the real ccxt class in front of it."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any
from urllib.parse import urlencode

import aiohttp
from ccxt.async_support import kraken

from providers.sandbox.books import Fee
from providers.sandbox.engine import Engine
from providers.sandbox.kraken_call import signature
from providers.sandbox.kraken_names import shown_secret
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import KEY, SECRET, Clock, LoopbackSession

BTC = "BTC/USDT"
PRIVATE = "/0/private/"


@asynccontextmanager
async def client(server: SandboxServer, **config: Any) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        exchange = kraken(
            {
                "apiKey": KEY,
                "secret": shown_secret(SECRET),
                "session": LoopbackSession(server.url, session),
                "enableRateLimit": False,
                "timeout": 5_000,
            }
            | config
        )
        exchange.number = str
        exchange.timeout_on_exit = 0
        try:
            yield exchange
        finally:
            await exchange.close()


def ask(server: SandboxServer, question: Callable[[Any], Awaitable[Any]], **config: Any) -> Any:
    """Ask through the real ccxt class."""

    async def answer() -> Any:
        async with client(server, **config) as exchange:
            return await question(exchange)

    # ccxt's rounding changes the context of whoever calls it.
    with localcontext():
        return asyncio.run(answer())


def call(server: SandboxServer, method: str, **params: Any) -> Any:
    """Send a signed request without ccxt, for what ccxt never sends; tell all of the answer."""
    nonce = str(params.pop("nonce", time.time_ns()))
    body = urlencode({"nonce": nonce} | params)
    path = f"{PRIVATE}{method}"
    signed = signature(path, nonce, body, server.engine.api_key(KEY))
    request = urllib.request.Request(  # noqa: S310 - a server of this test
        f"{server.url}{path}",
        data=body.encode(),
        headers={"API-Key": KEY, "API-Sign": signed},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 - a server of this test
        return json.load(response)


def buy_and_fill(engine: Engine, count: int, clock: Clock) -> list[str]:
    """Fill as many orders, a second apart; tell their ids."""
    ids = []
    for number in range(count):
        clock.ahead += timedelta(seconds=1)
        order = engine.buy(KEY, BTC, "0.001", f"{70_000 + number}")
        engine.fill_order(order.id, fee=Fee("USDT", Decimal("0.07")))
        ids.append(order.id)
    return ids


async def pages(read: Any) -> list[list[Any]]:
    """Turn the pages by their offset, until one is not full."""
    found: list[list[Any]] = []
    while not found or len(found[-1]) == 50:
        found.append(await read({"ofs": sum(len(page) for page in found)}))
    return found
