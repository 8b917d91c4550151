from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.reconciliation.balances import balance_cause, judgement
from providers.reports import BalanceReport

D = Decimal


def held(total: str | None, free: str | None = None) -> BalanceReport:
    return BalanceReport(
        "ADA",
        free=None if free is None else D(free),
        used=None,
        total=None if total is None else D(total),
    )


@pytest.mark.parametrize(
    ("expected", "reported", "residual"),
    [
        ("10", held("10"), "0"),
        ("10", held("10.000000000000000001"), "0.000000000000000001"),
        ("10", held("4"), "-6"),
        ("10", None, "-10"),
        ("0", held("3"), "3"),
        ("-2", held("-2"), "0"),
    ],
)
def test_the_residual_is_total_minus_expected_to_the_last_digit(
    expected: str, reported: BalanceReport | None, residual: str
) -> None:
    assert judgement(D(expected), reported).residual == D(residual)


def test_the_total_is_compared_and_not_what_is_free() -> None:
    assert judgement(D(10), held("10", free="1")).agrees


def test_a_total_that_is_not_reported_is_not_judged_as_zero() -> None:
    judged = judgement(D(10), held(None, free="10"))

    assert (judged.total, judged.residual, judged.agrees) == (None, None, False)
    assert judged.reason == "total not reported"


@pytest.mark.parametrize(
    ("expected", "reported", "known_before", "cause"),
    [
        ("0", held("3"), False, "new asset"),
        ("0", held("3"), True, "unexplained"),
        ("5", None, True, "vanished"),
        ("5", held("4"), True, "unexplained"),
        ("5", held("4"), False, "unexplained"),
    ],
)
def test_the_cause_says_as_much_as_the_numbers_tell(
    expected: str,
    reported: BalanceReport | None,
    known_before: bool,
    cause: str,
) -> None:
    judged = judgement(D(expected), reported)

    assert balance_cause(judged, known_before=known_before) == cause
