from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import yarl

from providers.errors import ExchangeTimeout, ExchangeUnavailable, UnexpectedReport
from providers.transport import HttpReply, Transport, clock_offset
from tests.providers.stub_exchange import Answer, StubExchange, json_answer

URL = yarl.URL("https://api.example.com/v1/a?symbol=BTC%2FUSDT&signature=canary", encoded=True)


def fetch(endpoint: str, **bounds: float) -> HttpReply:
    async def main() -> HttpReply:
        transport = Transport()
        try:
            session = transport.session(endpoint, **bounds)  # type: ignore[arg-type]
            async with session.get(URL, headers={"X-Key": "canary"}) as reply:
                return reply
        finally:
            await transport.close()

    return asyncio.run(main())


@contextmanager
def a_server_that_drips(pause: float) -> Iterator[str]:
    """Serve one byte of a body after the other, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not is_over.wait(pause):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        is_over.set()
        thread.join()
        listener.close()


def test_scheme_and_host_are_replaced_and_the_rest_is_kept() -> None:
    with StubExchange({"/v1/a": json_answer({"a": 1})}) as stub:
        reply = fetch(stub.url)
        (received,) = stub.received

    assert reply.status == 200
    assert received.query == {"symbol": "BTC/USDT", "signature": "canary"}
    assert received.headers["Host"] == stub.url.removeprefix("http://")


def test_a_redirect_is_not_followed_and_no_key_travels() -> None:
    with StubExchange({}) as other:
        target = Answer(b"", 302, {"Location": f"{other.url}/v1/a"})
        with (
            StubExchange({"/v1/a": target}) as stub,
            pytest.raises(UnexpectedReport, match="redirect"),
        ):
            fetch(stub.url)
        assert other.received == []


@pytest.mark.parametrize("body", [b" " * 2000, gzip.compress(b" " * 2_000_000)])
def test_a_body_beyond_the_cap_is_refused(body: bytes) -> None:
    headers = {"Content-Encoding": "gzip"} if body[:1] != b" " else {}
    answer = Answer(body, 200, headers)
    errors = (UnexpectedReport, ExchangeUnavailable)
    with StubExchange({"/v1/a": answer}) as stub, pytest.raises(errors):
        fetch(stub.url, max_body_bytes=1000)


def test_a_drip_ends_at_the_deadline() -> None:
    with a_server_that_drips(0.05) as url:
        started = time.monotonic()
        with pytest.raises(ExchangeTimeout):
            fetch(url, request_seconds=0.3)

    assert time.monotonic() - started < 8


def test_a_broken_connection_names_no_query() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(ExchangeUnavailable) as caught:
        fetch(url)

    assert "/v1/a" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with StubExchange({}) as proxy, StubExchange({"/v1/a": json_answer({})}) as stub:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)

        assert fetch(stub.url).status == 200
        assert proxy.received == []


def test_cookies_of_one_account_do_not_reach_another() -> None:
    async def main(endpoint: str) -> None:
        transport = Transport()
        for _ in range(2):
            async with transport.session(endpoint).get(URL, headers={}):
                pass
        await transport.close()

    with StubExchange({"/v1/a": json_answer({}, Set_Cookie="session=canary")}) as stub:
        asyncio.run(main(stub.url))

        assert [received.headers.get("Cookie") for received in stub.received] == [None, None]


NOW = datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ahead", "round_trip", "told"),
    [(0, 0.1, 0), (1, 0.1, 0), (-1, 0.1, 0), (60, 0, 60), (-60, 0, -60), (3, 4, 0), (9, 4, 7)],
)
def test_the_date_of_an_answer_tells_a_clock_that_is_surely_another(
    ahead: float, round_trip: float, told: float
) -> None:
    date = format_datetime(NOW + ahead * SECOND, usegmt=True)

    assert clock_offset(date, NOW, NOW + round_trip * SECOND) == pytest.approx(told)


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Nov 2026 08:00:00 GMT"])
def test_without_a_date_the_clocks_agree(date: str) -> None:
    assert clock_offset(date, NOW, NOW) == 0
