from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.reconciliation.balances import (
    Evidence,
    balance_cause,
    expected_then,
    judged,
    provisional,
)
from portfolios.reconciliation.verdicts import (
    NOT_REPORTED,
    NOT_SETTLED,
    STALE,
    TIMING,
    Effect,
    Interval,
    Verdict,
    Window,
)

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ZERO = D(0)


def evidence(total: str | None, expected: str, *effects: Effect, **values: Any) -> Evidence:
    return Evidence(
        None if total is None else D(total),
        D(expected),
        Window(NOON - SECOND, NOON + SECOND),
        60 * SECOND,
        effects,
        **values,
    )


def fill(seconds: float, amount: str) -> Effect:
    return Effect(NOON + seconds * SECOND, D(amount), "fills")


@pytest.mark.parametrize(
    ("expected", "total", "residual"),
    [
        ("10", "10", "0"),
        ("10", "10.000000000000000001", "0.000000000000000001"),
        ("10", "4", "-6"),
        ("0", "3", "3"),
        ("-2", "-2", "0"),
    ],
)
def test_the_residual_is_total_minus_expected_to_the_last_digit(
    expected: str, total: str, residual: str
) -> None:
    found = judged(evidence(total, expected))

    assert (found.low, found.residual, found.high) == (D(residual),) * 3


def test_a_total_that_is_not_reported_is_not_judged_as_zero() -> None:
    found = judged(evidence(None, "10"))

    assert (found.verdict, found.residual, found.reason) == (
        Verdict.NOT_VERIFIABLE,
        None,
        NOT_REPORTED,
    )


def test_a_trade_just_before_the_read_makes_the_verdict_as_wide_as_the_trade() -> None:
    found = judged(evidence("10", "12", fill(-5, "2")))

    assert (found.verdict, found.low, found.high) == (Verdict.CONSISTENT, D(-2), D(0))
    assert found.reason == TIMING


def test_a_trade_after_the_read_is_not_expected_of_it() -> None:
    found = judged(evidence("10", "12", fill(5, "2")))

    assert (found.verdict, found.residual) == (Verdict.VERIFIED, D(0))


def test_a_balance_of_some_minutes_ago_is_told_as_stale() -> None:
    found = judged(evidence("10", "12", fill(-300, "2")))

    assert (found.verdict, found.reason) == (Verdict.DIFFERS, STALE)


def test_what_is_on_its_way_counts_as_expected() -> None:
    found = judged(evidence("110", "100", pending=D(10)))

    assert found.verdict is Verdict.VERIFIED


def test_what_the_baseline_may_be_wrong_by_is_neither_good_nor_bad() -> None:
    doubt = Interval(D(-2), ZERO, ZERO)

    verdicts = [judged(evidence(total, "10", doubt=doubt)).verdict for total in ("8", "10", "11")]

    assert verdicts == [Verdict.CONSISTENT, Verdict.CONSISTENT, Verdict.DIFFERS]


def test_an_amount_that_no_mixture_in_the_baseline_leaves_differs_though_it_lies_between_them() -> (
    None
):
    doubt = Interval(D(-2), ZERO, ZERO)
    known = {"doubt": doubt, "corrections": (D(-2),), "is_listed": True}

    verdicts = [judged(evidence(total, "10", **known)).verdict for total in ("8", "9", "10")]

    assert verdicts == [Verdict.CONSISTENT, Verdict.DIFFERS, Verdict.CONSISTENT]


def test_what_the_tolerance_covers_is_verified_and_keeps_its_residual() -> None:
    found = judged(evidence("9.99", "10", tolerance=D("0.01")))

    assert (found.verdict, found.residual) == (Verdict.VERIFIED, D("-0.01"))


def test_effects_that_are_in_every_read_can_be_left_out() -> None:
    of_asset = evidence("10", "12", fill(-300, "2"), fill(-5, "1"))

    assert of_asset.without_certain().effects == (fill(-5, "1"),)
    assert of_asset.without_certain().booked == of_asset.booked


def test_before_it_is_settled_the_numbers_stand_and_the_word_does_not() -> None:
    found = provisional(judged(evidence("4", "10")))

    assert (found.verdict, found.residual, found.reason) == (
        Verdict.PROVISIONAL,
        D(-6),
        NOT_SETTLED,
    )


def test_what_is_not_told_is_not_verifiable_also_before_it_is_settled() -> None:
    assert provisional(judged(evidence(None, "10"))).verdict is Verdict.NOT_VERIFIABLE


@pytest.mark.parametrize("total", ["10", None])
def test_expected_is_what_the_books_likely_had_at_the_read(total: str | None) -> None:
    of_asset = evidence(total, "12", fill(5, "2"))

    assert expected_then(of_asset, judged(of_asset)) == D(10)


@pytest.mark.parametrize(
    ("expected", "total", "known_before", "cause"),
    [
        ("0", "3", False, "new asset"),
        ("0", "3", True, "unexplained"),
        ("5", "0", True, "vanished"),
        ("5", "4", True, "unexplained"),
        ("5", "4", False, "unexplained"),
    ],
)
def test_the_cause_says_as_much_as_the_numbers_tell(
    expected: str, total: str, known_before: bool, cause: str
) -> None:
    assert balance_cause(D(total), D(expected), known_before=known_before) == cause


@pytest.mark.parametrize(
    ("agreed_by", "cause"),
    [
        (("0", "0.01", "0.02"), "drift"),
        (("-0.01", "-0.02"), "drift"),
        (("0.02", "0.01"), "unexplained"),
        (("-0.01", "0.02"), "unexplained"),
        (("0.02", "0.02"), "unexplained"),
        (("0.02",), "unexplained"),
    ],
)
def test_small_steps_one_way_within_the_tolerance_are_a_drift(
    agreed_by: tuple[str, ...], cause: str
) -> None:
    residuals = [D(text) for text in agreed_by]

    told = balance_cause(D("10.03"), D(10), known_before=True, agreed_by=residuals)

    assert told == cause
