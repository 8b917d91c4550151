"""Which reads are too strange to be believed at once, and when they are believed after all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.reconciliation.plausibility import (
    confirmation,
    implausible_balances,
    implausible_orders,
)

D = Decimal
GRACE = timedelta(seconds=30)
FIVE = {"ADA": D(1), "BNB": D("0.00000001"), "BTC": D(2), "DOT": D(3), "EUR": D(4)}
quick = settings(deadline=None, database=None)


def without(*assets: str) -> dict[str, Decimal]:
    return {asset: total for asset, total in FIVE.items() if asset not in assets}


# B07
@pytest.mark.parametrize("told", [{}, dict.fromkeys(FIVE, D(0))])
def test_emptied_balances_are_not_believed(told: dict[str, Decimal]) -> None:
    assert implausible_balances(FIVE, told) == (
        "5 of 5 assets are gone at once: ADA, BNB, BTC, DOT, EUR"
    )


def test_the_only_asset_gone_is_all_of_them_gone() -> None:
    assert implausible_balances({"EUR": D(4)}, {"BTC": D(1)}) == (
        "1 of 1 assets are gone at once: EUR"
    )


@pytest.mark.parametrize(
    ("gone", "is_strange"),
    [("", False), ("ADA", False), ("ADA BNB", False), ("ADA BNB BTC", True)],
)
def test_three_assets_that_are_half_of_all_are_too_many(gone: str, is_strange: bool) -> None:
    assert bool(implausible_balances(FIVE, without(*gone.split()))) is is_strange


def test_three_assets_that_are_less_than_half_of_all_may_go() -> None:
    seven = FIVE | {"SOL": D(1), "XRP": D(1)}

    assert implausible_balances(seven, {a: seven[a] for a in ("DOT", "EUR", "SOL", "XRP")}) == ""


def test_exactly_half_of_all_is_too_much() -> None:
    assert implausible_balances(FIVE | {"SOL": D(1)}, without("ADA", "BNB") | {"SOL": D(1)}) == ""
    assert implausible_balances(FIVE | {"SOL": D(1)}, without("ADA", "BNB", "BTC"))


def test_assets_that_were_zero_before_do_not_count() -> None:
    dust = dict.fromkeys(["SOL", "XRP", "LTC"], D(0))

    assert implausible_balances(FIVE | dust, FIVE) == ""


def test_an_account_that_never_held_anything_may_be_empty() -> None:
    assert implausible_balances({}, {}) == ""
    assert implausible_balances({"EUR": D(0)}, {}) == ""


# B08
def test_balances_that_were_withdrawn_are_believed_at_once() -> None:
    withdrawn = {asset: total.copy_negate() for asset, total in FIVE.items()}

    assert implausible_balances(FIVE, {}, withdrawn) == ""


@pytest.mark.parametrize("rest", ["-3.999999999999999999", "-4.000000000000000001", "0"])
def test_what_is_booked_must_explain_all_that_is_gone_to_the_last_digit(rest: str) -> None:
    withdrawn = {asset: total.copy_negate() for asset, total in FIVE.items()} | {"EUR": D(rest)}

    assert implausible_balances(FIVE, {}, withdrawn)


def test_what_only_became_less_is_no_matter_for_the_guard() -> None:
    assert implausible_balances(FIVE, dict.fromkeys(FIVE, D("0.00000001"))) == ""


@pytest.mark.parametrize(
    ("known_open", "listed", "is_strange"),
    [(0, 0, False), (2, 0, False), (3, 0, True), (30, 0, True), (30, 1, False)],
)
def test_an_empty_list_where_there_were_three_orders_is_not_believed(
    known_open: int, listed: int, is_strange: bool
) -> None:
    assert bool(implausible_orders(known_open, listed)) is is_strange


def looks(*gaps: int, equal: bool = True) -> tuple[int, bool]:
    """Look once, and again after each gap in seconds; the time starts anew with each look that counts."""
    times, is_confirmed, since = 1, False, timedelta()
    for gap in gaps:
        since += timedelta(seconds=gap)
        before = times
        times, is_confirmed = confirmation(times, equal, since, GRACE)
        since = since if times == before else timedelta()
    return times, is_confirmed


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((), (1, False)),
        ((30,), (2, False)),
        ((30, 30), (3, True)),
        ((29, 1, 30), (3, True)),
        ((10, 10), (1, False)),
        ((30, 29), (2, False)),
        ((30, 30, 1), (3, True)),
    ],
)
def test_two_further_equal_looks_a_grace_apart_confirm(
    gaps: tuple[int, ...], expected: tuple[int, bool]
) -> None:
    assert looks(*gaps) == expected


@quick
@given(st.lists(st.integers(1, 29), max_size=20))
def test_however_many_looks_within_one_grace_confirm_nothing(gaps: list[int]) -> None:
    within = [gap for number, gap in enumerate(gaps) if sum(gaps[: number + 1]) < 30]

    assert looks(*within) == (1, False)


@pytest.mark.parametrize("times_seen", [1, 2, 3])
def test_a_look_that_says_something_else_starts_anew(times_seen: int) -> None:
    assert confirmation(times_seen, digest_equal=False, since_last=GRACE, grace=GRACE) == (1, False)
