"""What meets a request, and how its answer is dated."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import product

import pytest
from multidict import CIMultiDict

from providers.sandbox.binance import Binance
from providers.sandbox.binance_tables import TABLES
from providers.sandbox.books import Fee
from providers.sandbox.dialect import Request
from providers.sandbox.engine import Engine
from providers.sandbox.exchange import Exchange
from providers.sandbox.faults import DistortionKind, Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import BTC, KEY, make_engine, send, signed

HOUR = timedelta(hours=1)
TIME = "/api/v3/time"


def ahead(server: SandboxServer) -> timedelta:
    with urllib.request.urlopen(f"{server.url}{TIME}") as response:  # noqa: S310 - this test's own
        return parsedate_to_datetime(response.headers["Date"]) - datetime.now(UTC)


@pytest.mark.parametrize("hours", [-1, 0, 2])
def test_an_answer_is_dated_by_the_exchanges_own_clock(server: SandboxServer, hours: int) -> None:
    server.dialect.clock_offset = hours * HOUR

    assert abs(ahead(server) - hours * HOUR) < timedelta(seconds=3)


def test_a_clock_that_is_off_dates_its_answers_wrongly_too(server: SandboxServer) -> None:
    server.faults.append(Fault(FaultKind.CLOCK, shift=HOUR))

    assert abs(ahead(server) - HOUR) < timedelta(seconds=3)


def test_what_fails_is_not_distorted(server: SandboxServer, engine: Engine) -> None:
    engine.buy(KEY, BTC, "0.1", "80000")
    distortion = Fault(DistortionKind.EMPTY_LIST)
    server.faults.extend([distortion, Fault(FaultKind.MAINTENANCE)])

    assert send(server, "/api/v3/openOrders")["code"] == 1
    assert distortion.happened == 0


def test_of_two_troubles_the_first_counts(server: SandboxServer) -> None:
    second = Fault(FaultKind.MAINTENANCE)
    server.faults.extend([Fault(FaultKind.BANNED, times=1), second])

    assert send(server, "/api/v3/account")["code"] == -1003
    assert second.happened == 0
    assert send(server, "/api/v3/account")["code"] == 1


def test_several_distort_one_answer(server: SandboxServer, engine: Engine) -> None:
    for price in (70_000, 70_001, 70_002):
        engine.buy(KEY, BTC, "0.01", price)
    server.faults.extend([Fault(DistortionKind.ROW_TWICE), Fault(DistortionKind.NULL_FIELD)])

    rows = send(server, "/api/v3/openOrders", symbol="BTCUSDT")

    assert len(rows) == 4
    assert None in {value for row in rows for value in row.values()}


def test_any_two_can_distort_the_same_answer() -> None:
    engine = make_engine(memory=timedelta(minutes=5))
    order, closed = (engine.buy(KEY, BTC, "0.01", price) for price in (70_000, 70_001))
    engine.fill_order(closed.id, fee=Fee("USDT", Decimal(1)))
    exchange = Exchange(engine, Binance(engine))
    query = signed(engine, symbol="BTCUSDT", orderId=order.id, recvWindow=60_000)
    headers = CIMultiDict({"X-MBX-APIKEY": KEY})

    for path, first, second in product(TABLES, DistortionKind, DistortionKind):
        exchange.faults = [Fault(first), Fault(second)]
        answer = exchange.answer(Request("GET", path, query, headers))
        assert isinstance(json.loads(answer.body), list | dict)
