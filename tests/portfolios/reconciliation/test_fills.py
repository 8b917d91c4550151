"""Two tellings of one execution: what they agree on, what contradicts, what the later one adds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.reconciliation.fills import fill_conflict, is_another_fill, late_fees, overfill
from providers.reports import FeeReport, FillReport, OrderSide

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
STORED = FillReport(
    external_id="7",
    order_external_id="1",
    symbol="ADA/EUR",
    side=OrderSide.BUY,
    price=D(100),
    amount=D("0.5"),
    cost=D(50),
    executed_at=NOON,
)
BNB, EUR = FeeReport("BNB", D("0.1")), FeeReport("EUR", D(2))


def test_the_same_fact_in_other_digits_is_no_conflict() -> None:
    assert fill_conflict(STORED, replace(STORED, price=D("100.00"), amount=D("0.50"))) == ""


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"executed_at": NOON + 2 * DAY, "price": D(101)}, True),
        ({"executed_at": NOON + 2 * DAY, "order_external_id": "2"}, True),
        ({"executed_at": NOON + 2 * DAY, "fees": (BNB,)}, False),
        ({"executed_at": NOON + DAY, "price": D(101)}, False),
        ({"executed_at": NOON - 2 * DAY, "price": D(101)}, False),
        ({"executed_at": None, "price": D(101)}, False),
    ],
)
def test_another_execution_much_later_may_have_the_same_id(
    told: dict[str, Any], expected: bool
) -> None:
    assert is_another_fill(STORED, replace(STORED, **told)) is expected


# F03
@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"price": D(101)}, "price 100 is told as 101"),
        ({"amount": D("0.500000000000000001")}, "amount 0.5 is told as 0.500000000000000001"),
        ({"cost": D(51)}, "cost 50 is told as 51"),
        ({"side": OrderSide.SELL}, "side buy is told as sell"),
        ({"symbol": "ADA/USD"}, "symbol ADA/EUR is told as ADA/USD"),
        ({"order_external_id": "2"}, "order 1 is told as 2"),
    ],
)
def test_another_fact_under_the_same_id_is_named(told: dict[str, Any], why: str) -> None:
    assert fill_conflict(STORED, replace(STORED, **told)) == why


@pytest.mark.parametrize("told", [{"order_external_id": ""}, {"executed_at": None}])
def test_what_is_not_told_again_is_no_conflict(told: dict[str, Any]) -> None:
    assert fill_conflict(STORED, replace(STORED, **told)) == ""


def test_a_fee_that_only_one_of_them_tells_is_no_conflict() -> None:
    with_fee = replace(STORED, fees=(BNB,))

    assert fill_conflict(STORED, with_fee) == fill_conflict(with_fee, STORED) == ""


def test_fees_in_another_order_are_the_same() -> None:
    stored, told = replace(STORED, fees=(BNB, EUR)), replace(STORED, fees=(EUR, BNB))

    assert fill_conflict(stored, told) == ""


def test_another_fee_is_a_conflict() -> None:
    stored, told = replace(STORED, fees=(BNB,)), replace(STORED, fees=(EUR,))

    assert fill_conflict(stored, told) == "fee 0.1 BNB is told as 2 EUR"


# F09
def test_a_fee_that_comes_late_is_added_once() -> None:
    told = replace(STORED, fees=(BNB,))

    assert late_fees(STORED, told) == (BNB,)
    assert late_fees(told, told) == ()


def test_a_fee_of_zero_is_a_fee_that_was_told() -> None:
    free = replace(STORED, fees=(FeeReport("BNB", D(0)),))

    assert late_fees(free, replace(STORED, fees=(BNB,))) == ()


# O23
@pytest.mark.parametrize(
    ("filled", "excess"), [("1.0001", "0.0001"), ("1", "0"), ("0.5", "0"), ("1e20", "1e20")]
)
def test_what_is_filled_beyond_the_order_is_exact(filled: str, excess: str) -> None:
    ordered = D(1) if filled != "1e20" else D(0)

    assert overfill(ordered, D(filled)) == D(excess)
