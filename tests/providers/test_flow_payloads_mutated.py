"""Whatever a market leaves out or garbles becomes unknown or a refused row, never a movement that it did not tell."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from decimal import Context, Decimal, localcontext
from typing import Any

import pytest

from providers.ccxt_client import translated_errors
from providers.errors import OperationalException
from providers.mapping import Reports
from providers.reports import FlowKind, FlowReport, FlowSource, FlowStatus
from tests.providers.flow_payloads import MARKETS, flow_payloads

LONG = "123456789012345678.123456789012345678"
NO_NUMBER: tuple[Any, ...] = ("x", "NaN", "1e999", "", [], {}, True)
AMOUNTS = {
    **dict.fromkeys(("binance", "htx", "kraken", "kucoin", "mexc"), "amount"),
    **dict.fromkeys(("bybit", "gate"), "change"),
    "bitget": "size",
    "bitstamp": "xrp",
    "bitvavo": "sentAmount",
    "okx": "balChg",
}

ROWS = [
    (market, source, number)
    for market in MARKETS
    for source in flow_payloads(market).sources
    for number, case in enumerate(flow_payloads(market).cases(source))
    if case["report"] is not None
]


def told(market: str, source: FlowSource, raw: Any) -> Reports[FlowReport] | None:
    """Tell one row; None if ccxt's parser breaks on it, so that the list is not told at all."""
    try:
        with translated_errors(market):
            return flow_payloads(market).told(source, deepcopy(raw))
    except OperationalException:
        return None


def without_one(raw: Any) -> Iterator[Any]:
    for name in raw:
        yield {**raw, name: None}
        yield {key: value for key, value in raw.items() if key != name}


def row_of(market: str, source: FlowSource, number: int) -> tuple[Any, FlowReport]:
    raw = flow_payloads(market).cases(source)[number]["raw"]
    (report,) = flow_payloads(market).told(source, deepcopy(raw)).rows
    return raw, report


@pytest.mark.parametrize(("market", "source", "number"), ROWS)
def test_a_row_without_one_of_its_fields_tells_no_other_movement(
    market: str, source: FlowSource, number: int
) -> None:
    raw, whole = row_of(market, source, number)
    fees = sum((fee.amount for fee in whole.fees), Decimal(0))

    for partly in without_one(raw):
        for row in found.rows if (found := told(market, source, partly)) else ():
            assert row.external_id
            assert row.asset in (whole.asset, *(fee.asset for fee in whole.fees))
            assert row.amount in (whole.amount, whole.amount - fees, whole.amount + fees)
            assert row.kind in (whole.kind, FlowKind.OTHER)
            assert row.status in (whole.status, None, FlowStatus.DONE)
            assert set(row.fees) <= set(whole.fees)


@pytest.mark.parametrize(("market", "source", "number"), ROWS)
def test_a_row_that_holds_only_none_is_refused(
    market: str, source: FlowSource, number: int
) -> None:
    raw, _ = row_of(market, source, number)

    found = told(market, source, dict.fromkeys(raw))

    assert found is None or (found.rows, len(found.problems)) == ((), 1)


@pytest.mark.parametrize("number", NO_NUMBER)
@pytest.mark.parametrize("market", AMOUNTS)
def test_an_amount_that_is_no_number_is_refused(market: str, number: Any) -> None:
    source, raw = first_of(market)

    found = told(market, source, {**raw, AMOUNTS[market]: number})

    assert found is None or found.rows == ()


@pytest.mark.parametrize("market", AMOUNTS)
def test_every_digit_of_an_amount_is_kept(market: str) -> None:
    source, raw = first_of(market)
    sign = "-" if str(raw[AMOUNTS[market]]).startswith("-") else ""

    found = told(market, source, {**raw, AMOUNTS[market]: sign + LONG})

    assert found is not None
    (row,) = found.rows
    with localcontext(Context(prec=99)):
        changes = {str(row.amount), *(str(row.amount - fee.amount) for fee in row.fees)}
        # mexc tells a withdrawal with its fee, binance without.
        changes |= {str(row.amount + fee.amount) for fee in row.fees}
    assert sign + LONG in changes | {change.removeprefix("-") for change in changes}


@pytest.mark.parametrize("market", sorted(set(AMOUNTS) - {"binance", "htx", "mexc"}))
def test_a_word_that_nobody_knows_is_a_movement_of_unknown_kind(market: str) -> None:
    source, raw = first_of(market)
    words = dict.fromkeys({"type", "bizType", "businessType", "groupType"} & raw.keys(), "sofa")

    found = told(market, source, {**raw, **words})

    assert found is not None
    assert [(row.kind, row.raw_kind.partition("/")[0]) for row in found.rows] == [
        (FlowKind.OTHER, "sofa")
    ]


@pytest.mark.parametrize(
    ("market", "source", "name"),
    [
        ("binance", FlowSource.DEPOSITS, "status"),
        ("binance", FlowSource.WITHDRAWALS, "status"),
        ("coinbase", FlowSource.LEDGER, "status"),
        ("htx", FlowSource.DEPOSITS, "state"),
        ("mexc", FlowSource.WITHDRAWALS, "status"),
    ],
)
def test_a_status_that_nobody_knows_is_none(market: str, source: FlowSource, name: str) -> None:
    raw = flow_payloads(market).cases(source)[0]["raw"]

    found = told(market, source, {**raw, name: "sofa"})

    assert found is not None
    assert [(row.status, row.raw_status) for row in found.rows] == [(None, "sofa")]


def first_of(market: str) -> tuple[FlowSource, Any]:
    """Find the first row that moves something, and its list."""
    source = flow_payloads(market).sources[0]
    cases = flow_payloads(market).cases(source)
    return source, next(case["raw"] for case in cases if case["report"] is not None)
