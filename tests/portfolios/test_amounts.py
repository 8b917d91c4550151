from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.amounts import MAX_DECIMALS, amount, exact, exact_mul, exact_sum, plain, ratio_of

WIDE = decimal.Context(prec=200)
AMOUNTS = st.builds(
    lambda digits, decimals: Decimal(digits).scaleb(-decimals, WIDE),
    st.integers(-(10**72) + 1, 10**72 - 1),
    st.integers(0, MAX_DECIMALS),
)


@pytest.fixture(autouse=True)
def context_left_behind_by_a_library() -> Iterator[None]:
    hostile = decimal.Context(
        prec=4,
        rounding=decimal.ROUND_UP,
        Emin=-5,
        Emax=5,
        clamp=1,
        traps=[decimal.Underflow, decimal.Inexact, decimal.Rounded, decimal.Clamped],
    )
    with decimal.localcontext(hostile):
        yield


@given(AMOUNTS)
def test_plain_is_read_back_as_the_same_amount(value: Decimal) -> None:
    assert Fraction(amount(plain(value))) == Fraction(value)


@given(AMOUNTS, st.integers(0, 20))
def test_plain_is_one_text_for_every_spelling(value: Decimal, zeros: int) -> None:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, (*digits, *[0] * zeros), exponent - zeros))

    assert plain(longer) == plain(value)
    assert "E" not in plain(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-0", "0"),
        ("0E-20", "0"),
        ("0E+20", "0"),
        ("1E+3", "1000"),
        ("1000", "1000"),
        ("1E-15", "0.000000000000001"),
        ("-1.500", "-1.5"),
        ("100.00", "100"),
        ("12345678901234.567890123456789", "12345678901234.567890123456789"),
    ],
)
def test_plain_notation(value: str, expected: str) -> None:
    assert plain(Decimal(value)) == expected


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_plain_refuses_what_is_not_finite(value: str) -> None:
    with pytest.raises(ValueError, match="Expected a finite number"):
        plain(Decimal(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.50", "1.5"),
        (" +.5 ", "0.5"),
        ("5.", "5"),
        ("1e-8", "0.00000001"),
        ("-2E+3", "-2000"),
        ("-0.0", "0"),
        (7, "7"),
        (-(10**71), f"-1{'0' * 71}"),
        (Decimal("1E-36"), f"0.{'0' * 35}1"),
        (f"0.1{'0' * 60}", "0.1"),
    ],
)
def test_amount_reads_numbers(value: str | int | Decimal, expected: str) -> None:
    number = amount(value)

    assert plain(number) == expected
    assert number.as_tuple().exponent == -len(expected.partition(".")[2])


@pytest.mark.parametrize(
    "value",
    ["", " ", "abc", "1,5", "1_000", "0x1", "1 2", "--1", "1e", "e5", ".", "٣", "NaN", "Infinity"],
)
def test_amount_refuses_text_that_is_no_number(value: str) -> None:
    with pytest.raises(ValueError, match="Expected a number, was "):
        amount(value)


@pytest.mark.parametrize(
    "value",
    ["1e72", "1e-37", "9" * 73, "1e9999", "1e-9999", f"{'1' * 37}.{'1' * 36}", 10**72],
)
def test_amount_refuses_what_does_not_fit(value: str | int) -> None:
    with pytest.raises(ValueError, match="at most 72 digits, 36 of them decimals"):
        amount(value)


@pytest.mark.parametrize("value", [Decimal("1E+999999"), Decimal("1E-999999")])
def test_amount_refuses_a_huge_exponent_without_writing_it_out(value: Decimal) -> None:
    with pytest.raises(ValueError, match=r"was 1E[+-]999999\.$"):
        amount(value)


def test_amount_refuses_a_number_hidden_behind_many_digits() -> None:
    with pytest.raises(ValueError, match="Expected a number"):
        amount(f"1.{'0' * 300}1")


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity"])
def test_amount_refuses_decimals_that_are_not_finite(value: str) -> None:
    with pytest.raises(ValueError, match="Expected a finite number"):
        amount(Decimal(value))


@pytest.mark.parametrize("value", [0.5, True, None, b"1", [1]])
def test_amount_refuses_other_types(value: Any) -> None:
    with pytest.raises(TypeError, match=f"was a {type(value).__name__}"):
        amount(value)


@given(st.lists(AMOUNTS, max_size=20))
def test_sum_is_exact(values: list[Decimal]) -> None:
    assert Fraction(exact_sum(values)) == sum(map(Fraction, values))


@given(AMOUNTS, AMOUNTS)
def test_product_is_exact(a: Decimal, b: Decimal) -> None:
    assert Fraction(exact_mul(a, b)) == Fraction(a) * Fraction(b)


def test_sum_takes_what_python_would_round() -> None:
    parts = [Decimal("12345678901234.567890123456789"), Decimal("1E-36"), Decimal(10**40)]

    assert plain(exact_sum(parts)) == (
        "10000000000000000000000000012345678901234.567890123456789000000000000000000001"
    )


def test_sum_of_nothing_is_zero() -> None:
    assert exact_sum([]) == 0


@pytest.mark.parametrize("unknown", [None, 0.5, "1"])
def test_sum_refuses_what_is_no_decimal(unknown: Any) -> None:
    with pytest.raises(TypeError):
        exact_sum([Decimal(1), unknown])


def test_exact_raises_instead_of_rounding() -> None:
    with exact(), pytest.raises(decimal.Inexact):
        Decimal(1) / Decimal(3)


def test_exact_refuses_floats() -> None:
    mixed: Any = 0.5
    with exact(), pytest.raises(decimal.FloatOperation):
        Decimal(mixed)


def test_exact_leaves_the_context_around_it_alone() -> None:
    before = decimal.getcontext().copy()

    exact_sum([Decimal(1)])

    assert repr(decimal.getcontext()) == repr(before)


@given(AMOUNTS)
def test_the_whole_takes_all_of_it(value: Decimal) -> None:
    assert ratio_of(value, Decimal(7), Decimal(7)) == value


@pytest.mark.parametrize(
    ("value", "part", "whole", "expected"),
    [
        ("30000", "0.25", "0.5", "15000"),
        ("1", "1", "3", "0.333333333333333333"),
        ("2", "1", "3", "0.666666666666666667"),
        ("0.000000000000000001", "1", "2", "0"),
        ("0.000000000000000003", "1", "2", "0.000000000000000002"),
        ("-2", "1", "3", "-0.666666666666666667"),
        ("12345678901234567890.12345678", "1", "4", "3086419725308641972.53086419500000000"),
    ],
)
def test_ratio_is_rounded_at_the_eighteenth_decimal(
    value: str, part: str, whole: str, expected: str
) -> None:
    assert ratio_of(Decimal(value), Decimal(part), Decimal(whole)) == Decimal(expected)


def test_ratio_of_nothing_is_an_error() -> None:
    with pytest.raises(decimal.DivisionByZero):
        ratio_of(Decimal(1), Decimal(1), Decimal(0))
