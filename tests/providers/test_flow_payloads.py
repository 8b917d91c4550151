"""Documented rows of deposits, withdrawals and ledgers become the reports that were written by hand beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

from providers.readings import Reading
from providers.reports import FlowKind, FlowReport, FlowSource, FlowStatus
from tests.providers.flow_payloads import MARKETS, flow_payloads

LARGEST = {
    *("binance", "kraken", "okx", "bybit", "coinbase"),
    *("kucoin", "gate", "bitget", "bitstamp", "bitvavo"),
}
LISTS = [(market, source) for market in MARKETS for source in flow_payloads(market).sources]


@cache
def reading(market: str, source: FlowSource) -> Reading:
    """Read the list over HTTP, once for all tests."""
    return flow_payloads(market).read(source)


def comparable(row: object) -> FlowReport:
    """Forget the digits of an id that was made of the content, but not which of its twins it is."""
    assert isinstance(row, FlowReport)
    return replace(row, external_id=re.sub("^~[0-9a-f]+", "~", row.external_id))


def test_the_ten_largest_markets_are_proved() -> None:
    assert set(MARKETS) >= LARGEST


@pytest.mark.parametrize(("market", "source"), LISTS)
def test_every_movement_is_told_once_and_as_it_was(market: str, source: FlowSource) -> None:
    told = [comparable(row) for row in reading(market, source).rows]
    expected = [comparable(row) for row in flow_payloads(market).expected(source)]

    assert sorted(told, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize(("market", "source"), LISTS)
def test_the_whole_time_is_covered(market: str, source: FlowSource) -> None:
    found = reading(market, source)

    assert found.why_incomplete == ""
    assert (found.since, found.until) == (flow_payloads(market).since, flow_payloads(market).until)


def test_every_kind_and_status_is_among_the_proofs() -> None:
    rows = [row for market, source in LISTS for row in flow_payloads(market).expected(source)]

    assert {row.kind for row in rows} == set(FlowKind)
    assert {row.status for row in rows} == {*FlowStatus, None}
