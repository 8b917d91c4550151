"""Keys, signatures, clocks and parameters, as Binance refuses them."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.request
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.error import HTTPError

import ccxt
import pytest

from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import (
    BTC,
    KEY,
    SECRET,
    ask,
    milliseconds,
    send,
)

D = Decimal


def test_an_unknown_key_is_refused(server: SandboxServer) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        ask(server, lambda x: x.fetch_balance(), apiKey="practice-key-mallory")


def test_a_key_of_the_wrong_form_is_refused(server: SandboxServer) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-2014"):
        ask(server, lambda x: x.fetch_balance(), apiKey="!")


def test_a_disabled_key_is_refused(server: SandboxServer, engine: Engine) -> None:
    engine.change_key(KEY, enabled=False)

    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        ask(server, lambda x: x.fetch_balance())


def test_a_wrong_secret_is_refused(server: SandboxServer) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        ask(server, lambda x: x.fetch_balance(), secret="practice-secret-of-mallory")


@pytest.mark.parametrize("ahead", [timedelta(seconds=12), timedelta(seconds=-2)])
def test_a_clock_that_is_off_is_refused(server: SandboxServer, ahead: timedelta) -> None:
    server.dialect.clock_offset = ahead

    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        ask(server, lambda x: x.fetch_balance())


def test_a_client_that_asks_for_the_time_gets_along(server: SandboxServer) -> None:
    server.dialect.clock_offset = timedelta(hours=1)

    async def adjust_and_read(exchange: Any) -> Any:
        await exchange.load_time_difference()
        return await exchange.fetch_balance()

    assert D(ask(server, adjust_and_read)["total"]["BNB"]) == 3


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/api/v3/account", {"timestamp": None}, -1102),
        ("/api/v3/account", {"timestamp": "soon"}, -1100),
        ("/api/v3/account", {"recvWindow": 60_001}, -1131),
        ("/api/v3/order", {"orderId": 1}, -1102),
        ("/api/v3/order", {"symbol": "BTCUSDT"}, -1102),
        ("/api/v3/order", {"symbol": "BTCUSDT", "orderId": "one"}, -1100),
        ("/api/v3/allOrders", {}, -1102),
        ("/api/v3/openOrders", {"symbol": "NOPE"}, -1121),
        ("/api/v3/myTrades", {"symbol": "NOPE"}, -1121),
        ("/api/v3/exchangeInfo", {"symbols": "BTCUSDT"}, -1102),
        ("/api/v3/exchangeInfo", {"symbols": '["NOPE"]'}, -1121),
        ("/api/v3/myTrades", {"symbol": "BTCUSDT", "startTime": 2, "endTime": 1}, -1023),
    ],
)
def test_a_malformed_request_is_refused_with_the_exchanges_code(
    server: SandboxServer, path: str, params: dict[str, Any], code: int
) -> None:
    assert send(server, path, **params)["code"] == code


def test_a_signature_covers_the_query_to_the_letter(server: SandboxServer) -> None:
    timestamp = milliseconds(server.engine.clock())
    signed = f"symbol=BTCUSDT&timestamp={timestamp}"
    signature = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    turned = f"timestamp={timestamp}&symbol=BTCUSDT&signature={signature}"
    request = urllib.request.Request(  # noqa: S310 - a server of this test
        f"{server.url}/api/v3/openOrders?{turned}", headers={"X-MBX-APIKEY": KEY}
    )

    with pytest.raises(HTTPError) as refused, urllib.request.urlopen(request):  # noqa: S310
        pass

    with refused.value as answer:
        assert json.load(answer)["code"] == -1022


def test_it_counts_the_weight_of_what_was_asked(engine: Engine) -> None:
    # Within one minute of the exchange's clock.
    now = datetime.now(UTC)
    engine.clock = lambda: now

    async def weights(exchange: Any) -> list[int]:
        used = []
        for symbol in (BTC, None):
            await exchange.fetch_open_orders(symbol)
            used.append(int(exchange.last_response_headers["X-MBX-USED-WEIGHT-1M"]))
        return used

    with SandboxServer(engine) as server:
        assert ask(server, weights) == [20 + 6, 20 + 6 + 80]
