"""Every way to misbehave, as ccxt's own class meets it."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

import ccxt
import pytest

from providers.sandbox.faults import ON_THE_WAY, PLAIN, SPECIAL, Fault, FaultKind
from providers.sandbox.server import SandboxServer
from providers.sandbox.wire import DELIVERIES
from tests.providers.sandbox.exchange import KEY, ask, make_engine

ACCOUNT = r"/account$"
TIME = "/api/v3/time"


def read(server: SandboxServer, path: str = TIME) -> tuple[int, dict[str, str], bytes]:
    """Read without ccxt, which hides much of what is answered."""
    address = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        address.request("GET", path)
        response = address.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        address.close()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.RATE_LIMITED, ccxt.DDoSProtection),
        (FaultKind.BANNED, ccxt.DDoSProtection),
        (FaultKind.UNAVAILABLE, ccxt.ExchangeNotAvailable),
        (FaultKind.GATEWAY, ccxt.ExchangeNotAvailable),
        (FaultKind.MAINTENANCE, ccxt.OnMaintenance),
        (FaultKind.EXPIRED_KEY, ccxt.AuthenticationError),
        (FaultKind.CLOCK, ccxt.InvalidNonce),
        (FaultKind.RESET, ccxt.ExchangeNotAvailable),
        (FaultKind.CUT_SHORT, ccxt.ExchangeError),
    ],
)
def test_a_fault_is_an_error_of_its_class(
    server: SandboxServer, kind: FaultKind, error: type[Exception]
) -> None:
    server.faults.append(Fault(kind, path=ACCOUNT))

    with pytest.raises(error):
        ask(server, lambda x: x.fetch_balance())


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.CODE_524,
        FaultKind.HTML_OK,
        FaultKind.EMPTY_OK,
        FaultKind.NULL_OK,
        FaultKind.TRUNCATED,
        FaultKind.WRONG_SHAPE,
    ],
)
def test_a_fault_looks_like_an_empty_account_to_plain_ccxt(
    server: SandboxServer, kind: FaultKind
) -> None:
    server.faults.append(Fault(kind, path=ACCOUNT))

    balance = ask(server, lambda x: x.fetch_balance())

    assert balance["total"] == {}


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (FaultKind.UNAVAILABLE, 503, b"<!DOCTYPE html>"),
        (FaultKind.GATEWAY, 502, b"<!DOCTYPE html>"),
        (FaultKind.CODE_524, 524, b"<!DOCTYPE html>"),
        (FaultKind.HTML_OK, 200, b"<!DOCTYPE html>"),
        (FaultKind.EMPTY_OK, 200, b""),
        (FaultKind.NULL_OK, 200, b"null"),
        (FaultKind.WRONG_SHAPE, 200, b"[]"),
    ],
)
def test_a_fault_answers_so(
    server: SandboxServer, kind: FaultKind, status: int, body: bytes
) -> None:
    server.faults.append(Fault(kind))

    answered, _, read_body = read(server)

    assert answered == status
    assert read_body[: len(body) or None] == body


def test_a_rate_limit_says_when_to_come_back(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.RATE_LIMITED, retry_after=7))

    status, headers, body = read(server)

    assert (status, headers["Retry-After"]) == (429, "7")
    assert json.loads(body)["code"] == -1003


def test_a_truncated_body_is_cut_json_with_a_true_length(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.TRUNCATED))

    status, headers, body = read(server)

    assert status == 200
    assert int(headers["Content-Length"]) == len(body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_body_cut_short_is_less_than_announced(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.CUT_SHORT))

    with pytest.raises(http.client.IncompleteRead):
        read(server)


def test_a_reset_connection_is_reset(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.RESET))

    with pytest.raises(ConnectionResetError):
        read(server)


def test_a_hanging_answer_ends_when_the_client_gives_up(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.HANG, path=ACCOUNT))

    async def read_balance(exchange: Any) -> Any:
        await exchange.load_markets()
        exchange.timeout = 100
        return await exchange.fetch_balance()

    with pytest.raises(ccxt.RequestTimeout):
        ask(server, read_balance)


def test_it_stops_at_once_while_an_answer_hangs() -> None:
    server = SandboxServer(make_engine(), [Fault(FaultKind.HANG)]).start()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /api/v3/time HTTP/1.1\r\nHost: here\r\n\r\n")
        while not server.requests:
            time.sleep(0.001)
        started = time.monotonic()

        server.stop()

    assert time.monotonic() - started < 1


def test_a_slow_answer_comes_byte_by_byte(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.SLOW_DRIP, pause=0.002))
    started = time.monotonic()

    _, _, body = read(server)

    assert "serverTime" in json.loads(body)
    assert time.monotonic() - started > 0.002 * len(body)


def test_a_shifted_clock_shows_in_the_time_too(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.CLOCK, shift=timedelta(hours=2)))

    _, _, body = read(server)

    ahead = json.loads(body)["serverTime"] / 1000 - time.time()
    assert 7190 < ahead < 7210


def test_a_redirect_points_elsewhere(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.REDIRECT, path="time$", location="/elsewhere"))

    with pytest.raises(HTTPError) as lost:
        urllib.request.urlopen(server.url + TIME)  # noqa: S310 - a server of this test

    lost.value.close()
    assert lost.value.code == 404
    assert [x.path for x in server.requests] == [TIME, "/elsewhere"]


def test_a_huge_body_is_streamed(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.HUGE, size=300_000))

    status, headers, body = read(server)

    assert (status, len(body)) == (200, 300_000)
    assert "Content-Length" not in headers


def test_every_kind_is_known_to_the_server() -> None:
    assert {*SPECIAL, *PLAIN, *DELIVERIES} == {*FaultKind}
    assert set(DELIVERIES) == ON_THE_WAY


def test_a_request_that_meets_no_fault_is_answered(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.RATE_LIMITED, path="/nowhere"))

    assert read(server)[0] == 200


# Which requests meet a fault

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def happenings(fault: Fault, count: int) -> list[bool]:
    return [fault.happens(TIME, KEY, NOON) for _ in range(count)]


def test_a_fault_happens_as_often_as_told() -> None:
    assert happenings(Fault(FaultKind.GATEWAY, times=2), 3) == [True, True, False]


def test_a_fault_happens_on_its_path_only() -> None:
    fault = Fault(FaultKind.GATEWAY, path="/account")

    assert not fault.happens(TIME, KEY, NOON)
    assert fault.happens("/api/v3/account", KEY, NOON)


def test_a_fault_happens_to_its_key_only() -> None:
    fault = Fault(FaultKind.GATEWAY, api_key=KEY)

    assert not fault.happens(TIME, "", NOON)
    assert fault.happens(TIME, KEY, NOON)


def test_a_fault_happens_within_its_time_only() -> None:
    second = timedelta(seconds=1)
    fault = Fault(FaultKind.GATEWAY, between=(NOON, NOON + second))

    at = [fault.happens(TIME, KEY, NOON + second * x) for x in (-1, 0, 1)]

    assert at == [False, True, False]


def test_an_expired_key_concerns_only_requests_with_a_key() -> None:
    assert not Fault(FaultKind.EXPIRED_KEY).happens(TIME, "", NOON)


def test_a_probability_is_drawn_from_the_seed() -> None:
    first = happenings(Fault(FaultKind.GATEWAY, probability=0.5, seed=3), 50)
    again = happenings(Fault(FaultKind.GATEWAY, probability=0.5, seed=3), 50)
    other = happenings(Fault(FaultKind.GATEWAY, probability=0.5, seed=4), 50)

    assert first == again
    assert first != other
    assert 10 < sum(first) < 40
