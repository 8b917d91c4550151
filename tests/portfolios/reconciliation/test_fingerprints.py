from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.amounts import MAX_DECIMALS, MAX_DIGITS
from portfolios.reconciliation.fingerprints import Extent, fingerprint, is_same

D = Decimal
NONE = Extent(None, None)


def between(low: str, high: str) -> Extent:
    return Extent(D(low), D(high))


@pytest.mark.parametrize(
    ("extent", "text"),
    [
        (between("-3.00", "-2"), "BALANCE_SHORT -3..-2"),
        (between("1E-7", "1E-7"), "BALANCE_SHORT 0.0000001..0.0000001"),
        (NONE, "BALANCE_SHORT"),
    ],
)
def test_a_fingerprint_names_the_kind_and_the_amounts(extent: Extent, text: str) -> None:
    assert fingerprint("BALANCE_SHORT", extent) == text


def test_the_longest_fingerprint_fits_its_column() -> None:
    longest = (D(10) ** MAX_DIGITS - 1).copy_negate() / D(10) ** MAX_DECIMALS

    assert len(fingerprint("C" * 32, Extent(longest, longest))) <= 200


@pytest.mark.parametrize(
    ("later", "is_dismissed"),
    [
        (between("-3", "-2"), True),
        (between("-2", "5"), True),
        (between("-2.5", "-2.5"), True),
        (between("-1.999", "0"), False),
        (between("-5", "-3.001"), False),
        (NONE, False),
    ],
)
def test_it_is_the_same_while_both_may_be_one_amount(later: Extent, is_dismissed: bool) -> None:
    dismissed = fingerprint("BALANCE_SHORT", between("-3", "-2"))

    assert is_same(dismissed, "BALANCE_SHORT", later) is is_dismissed


def test_another_kind_is_another_one() -> None:
    dismissed = fingerprint("BALANCE_SHORT", between("-3", "-2"))

    assert not is_same(dismissed, "BALANCE", between("-3", "-2"))


@pytest.mark.parametrize(("later", "is_dismissed"), [(NONE, True), (between("0", "0"), False)])
def test_what_has_no_amount_is_the_same_while_it_has_none(
    later: Extent, is_dismissed: bool
) -> None:
    assert is_same(fingerprint("ORDER_UNACKED", NONE), "ORDER_UNACKED", later) is is_dismissed


def test_no_fingerprint_is_of_nothing() -> None:
    assert not is_same("", "ORDER_UNACKED", NONE)


@pytest.mark.parametrize(
    ("limit", "extent", "is_more"),
    [
        ("-2", between("-2", "-2"), False),
        ("-2", between("-1", "-1"), False),
        ("-2", between("-3", "-2"), False),
        ("-2", between("-3", "-2.1"), True),
        ("-2", between("0.1", "0.1"), True),
        ("-2", between("-1", "5"), False),
        ("2", between("2.1", "3"), True),
        ("2", between("2", "3"), False),
        ("2", between("-1", "-0.1"), True),
        ("2", NONE, False),
        (None, between("5", "5"), False),
    ],
)
def test_it_exceeds_what_is_beyond_doubt_larger_or_on_the_other_side(
    limit: str | None, extent: Extent, is_more: bool
) -> None:
    assert extent.exceeds(None if limit is None else D(limit)) is is_more
