"""A small practice exchange for tests, and the real ccxt class in front of it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import aiohttp
import yarl
from ccxt.async_support import binance

from providers.sandbox.books import Instrument, Permission
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer

KEY = "practice-key-alice"
SECRET = "practice-secret-of-alice"
BTC = "BTC/USDT"
ETH = "ETH/USDT"
INSTRUMENTS = (
    Instrument(BTC, Decimal("0.01"), Decimal("0.00001"), Decimal("86412.53")),
    Instrument(ETH, Decimal("0.01"), Decimal("0.0001"), Decimal("2831.47")),
    Instrument("BNB/USDT", Decimal("0.01"), Decimal("0.001"), Decimal("848.31")),
)


def make_engine(**options: Any) -> Engine:
    """Make an engine with Alice's account: 100 000 USDT, 2 BTC and 3 BNB, and some digits."""
    engine = Engine(INSTRUMENTS, **options)
    engine.add_account(KEY, SECRET, [Permission.READ, Permission.TRADE])
    engine.deposit(KEY, "USDT", "100000.123456789012345678")
    engine.deposit(KEY, "BTC", "2.00000001")
    engine.deposit(KEY, "BNB", "3")
    return engine


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class LoopbackSession:
    """Sends what ccxt wanted to send to an exchange to a server of this machine."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = yarl.URL(url)
        self._session = session
        self.headers: dict[str, str] = {}

    def get(self, url: yarl.URL, **options: Any) -> Any:
        return self._session.get(self._here(url), **options)

    def post(self, url: yarl.URL, **options: Any) -> Any:
        return self._session.post(self._here(url), **options)

    def delete(self, url: yarl.URL, **options: Any) -> Any:
        return self._session.delete(self._here(url), **options)

    def _here(self, url: yarl.URL) -> yarl.URL:
        return yarl.URL(
            str(url).replace(str(url.origin()), str(self._url.origin()), 1), encoded=True
        )


@asynccontextmanager
async def client(server: SandboxServer, **config: Any) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        exchange = binance(
            {
                "apiKey": KEY,
                "secret": SECRET,
                "session": LoopbackSession(server.url, session),
                "enableRateLimit": False,
                "timeout": 5_000,
                "options": {
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchMargins": False,
                    "fetchCurrencies": False,
                    "fetchOpenOrders": {"warnWithoutSymbol": False},
                },
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


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def signed(engine: Engine, **params: Any) -> str:
    """Write a query as Binance wants it."""
    defaults = {"timestamp": milliseconds(engine.clock())}
    query = urlencode({k: v for k, v in (defaults | params).items() if v is not None})
    signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{query}&signature={signature}"


def send(server: SandboxServer, path: str, *, method: str = "GET", **params: Any) -> Any:
    """Send a signed request without ccxt, for what ccxt never sends."""
    request = urllib.request.Request(  # noqa: S310 - a server of this test
        f"{server.url}{path}?{signed(server.engine, **params)}",
        headers={"X-MBX-APIKEY": KEY},
        method=method,
    )
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310 - a server of this test
            return json.load(response)
    except HTTPError as e:
        with e:
            return json.load(e)
