"""The practice exchange without sockets, at a time of its own."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import aiohttp
import pytest

from providers.sandbox.binance import Binance
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.in_process import InProcess, Reply
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_call import signature
from tests.providers.sandbox.exchange import KEY, make_engine

NOON = datetime(2031, 5, 17, 12, tzinfo=UTC)
TIME = "/api/v3/time"


@pytest.fixture
def exchange() -> InProcess:
    engine = make_engine(clock=lambda: NOON)
    return InProcess(engine, Binance(engine))


def read(exchange: InProcess, target: str = TIME) -> Reply:
    return asyncio.run(exchange.answer("GET", target, {}))


def test_it_answers_at_the_time_of_the_engine(exchange: InProcess) -> None:
    reply = read(exchange)

    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert json.loads(b"".join(reply.chunks())) == {"serverTime": NOON.timestamp() * 1000}
    assert parsedate_to_datetime(reply.headers["Date"]) == NOON


def test_a_signed_post_is_answered_whatever_the_case_of_its_headers() -> None:
    engine = make_engine(clock=lambda: NOON)
    body = urlencode({"nonce": "1"})
    path = "/0/private/BalanceEx"
    headers = {
        "api-key": KEY,
        "api-sign": signature(path, "1", body, engine.api_key(KEY)),
    }

    reply = asyncio.run(InProcess(engine, Kraken(engine)).answer("POST", path, headers, body))

    assert json.loads(reply.body)["result"]["BNB"]["balance"] == "3.0000000000"


def test_what_it_does_not_know_is_not_found(exchange: InProcess) -> None:
    assert read(exchange, "/api/v3/nothing").status == 404


def test_requests_are_recorded(exchange: InProcess) -> None:
    read(exchange, f"{TIME}?a=1")

    assert [(x.at, x.query) for x in exchange.exchange.requests] == [(NOON, "a=1")]


def test_a_fault_answers_as_over_http(exchange: InProcess) -> None:
    exchange.faults.append(Fault(FaultKind.RATE_LIMITED, retry_after=7))

    reply = read(exchange)

    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")


def test_a_reset_connection_is_an_error_of_the_connection(exchange: InProcess) -> None:
    exchange.faults.append(Fault(FaultKind.RESET))

    with pytest.raises(aiohttp.ClientOSError):
        read(exchange)


def test_an_answer_cut_short_breaks_off_in_its_middle(exchange: InProcess) -> None:
    exchange.faults.append(Fault(FaultKind.CUT_SHORT))
    chunks = read(exchange).chunks()

    assert next(chunks).startswith(b'{"server')
    with pytest.raises(aiohttp.ClientPayloadError):
        next(chunks)


def test_a_hanging_answer_waits_in_the_loop_and_nowhere_else(exchange: InProcess) -> None:
    exchange.faults.append(Fault(FaultKind.HANG))

    async def give_up() -> None:
        async with asyncio.timeout(0):
            await exchange.answer("GET", TIME, {})

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())


def test_a_slow_answer_is_whole_in_the_end(exchange: InProcess) -> None:
    exchange.faults.append(Fault(FaultKind.SLOW_DRIP, pause=0))

    assert "serverTime" in json.loads(read(exchange).body)


def test_a_flood_is_as_long_as_told(exchange: InProcess) -> None:
    exchange.faults.append(Fault(FaultKind.HUGE, size=200_000))

    assert sum(map(len, read(exchange).chunks())) == 200_000
