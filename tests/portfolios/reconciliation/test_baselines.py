from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given

from portfolios.amounts import exact_sum
from portfolios.reconciliation.baselines import (
    Trade,
    are_all_listed,
    are_booked,
    baseline_corrections,
    baseline_interval,
    leading_baseline,
    settled_baseline,
)
from portfolios.reconciliation.verdicts import Effect
from tests.portfolios.reconciliation.test_verdicts import (
    LAG,
    NOON,
    SECOND,
    WINDOW,
    between,
    effects_of,
    fill,
    seeds,
    shown,
)

D = Decimal


@pytest.mark.parametrize(
    ("seconds", "corrections"), [(-61, (-7, -7)), (-30, (-7, 0)), (1, (-7, 0)), (2, (0, 0))]
)
def test_a_trade_that_was_booked_may_have_been_in_the_baseline(
    seconds: float, corrections: tuple[int, int]
) -> None:
    found = baseline_interval([fill(seconds, 7)], WINDOW, LAG, assumed=D(0))

    assert (found.low, found.high) == between(*corrections)
    assert found.point == 0


@pytest.mark.parametrize("seconds", [-61, -30, 1, 2])
def test_a_trade_that_was_not_booked_may_have_been_missing_from_the_baseline(
    seconds: float,
) -> None:
    found = baseline_interval([fill(seconds, 7)], WINDOW, LAG, assumed=D(7))

    assert found.low == (7 if seconds == 2 else 0)
    assert found.high == (0 if seconds == -61 else 7)


@given(effects_of("fills", "flows"), seeds)
def test_the_books_and_a_correction_of_the_baseline_come_to_what_is_there(
    effects: list[Effect], seed: int
) -> None:
    # Which effects the books take as having been in the baseline, rightly or wrongly.
    first = seed % (len(effects) + 1)
    assumed = exact_sum(effect.amount for effect in effects[:first])
    baseline = exact_sum([D(1000), *shown(effects, LAG, seed)])

    correction = baseline_interval(effects, WINDOW, LAG, assumed)

    there = exact_sum([D(1000), *(effect.amount for effect in effects)])
    expected = exact_sum([baseline, *(effect.amount for effect in effects[first:])])
    assert expected + correction.low <= there <= expected + correction.high


@pytest.mark.parametrize(
    ("booked", "found"),
    [
        ("0", [False, False, False]),
        ("-7", [True, False, False]),
        ("-14", [True, True, False]),
        # A rebate: less was booked than of the newest two.
        ("-13", [True, True, True]),
        ("1", [False, False, True]),
    ],
)
def test_what_was_booked_together_is_known_although_a_rebate_is_among_fees(
    booked: str, found: list[bool]
) -> None:
    assert are_booked([D(-7), D(-7), D(1)], D(booked)) == found


def test_what_does_not_make_up_what_was_booked_is_taken_as_far_as_that_goes() -> None:
    assert are_booked([D(-7), D(-5), D(-2)], D(-6)) == [False, True, False]


def trade(seconds: float, *, in_baseline: bool, **changes: str) -> Trade:
    amounts_by_asset = {asset: D(amount) for asset, amount in changes.items()}
    return Trade(NOON + seconds * SECOND, amounts_by_asset, in_baseline)


# Bought twice about the time of the baseline: the first is taken as having been in it, the second is booked.
FIRST = trade(-30, in_baseline=True, BTC="1", USDT="-100", BNB="-0.1")
SECOND_ONE = trade(-10, in_baseline=False, BTC="2", USDT="-210")
CHAIN = baseline_corrections([SECOND_ONE, FIRST], WINDOW, LAG)


def test_of_trades_within_a_second_the_baseline_may_hold_the_later_alone() -> None:
    trades = [trade(-9, in_baseline=False, BTC="3"), trade(-8.5, in_baseline=False, BTC="5")]

    corrections = baseline_corrections(trades, WINDOW, LAG)

    assert {each.get("BTC", D(0)) for each in corrections} == {D(0), D(-3), D(-5), D(-8)}


@pytest.mark.parametrize(("count", "is_listed"), [(6, True), (7, False)])
def test_of_many_trades_within_a_second_not_every_mixture_is_listed(
    count: int, *, is_listed: bool
) -> None:
    trades = [trade(-9 + n / 10, in_baseline=False, BTC="3") for n in range(count)]

    assert are_all_listed(trades, WINDOW, LAG) is is_listed


def test_each_number_of_trades_in_the_baseline_has_its_correction() -> None:
    assert (
        {"BTC": D(1), "USDT": D(-100), "BNB": D("-0.1")},
        {},
        {"BTC": D(-2), "USDT": D(210)},
    ) == CHAIN


def test_trades_that_are_certain_are_corrected_whatever_else_was_in_the_baseline() -> None:
    early, late = (
        trade(-70, in_baseline=False, BTC="4"),
        trade(5, in_baseline=True, BTC="8"),
    )

    found = baseline_corrections([late, FIRST, early], WINDOW, LAG)

    assert [correction["BTC"] for correction in found] == [D(5), D(4)]


@pytest.mark.parametrize(
    ("residuals", "k"),
    [
        ({"BTC": "1", "USDT": "-100"}, 0),
        ({"BTC": "0", "USDT": "0"}, 1),
        ({"BTC": "-2", "USDT": "210", "BNB": "0"}, 2),
        ({"USDT": "210", "DOGE": "0"}, 2),
        ({"BTC": "-2", "USDT": "209"}, None),
        ({"BTC": "-2", "USDT": "210", "BNB": "0.1"}, None),
        ({"BTC": "7"}, None),
        ({}, None),
    ],
)
def test_what_was_in_the_baseline_is_proved_by_residuals_that_fit_in_every_asset(
    residuals: dict[str, str], k: int | None
) -> None:
    assert settled_baseline({a: D(r) for a, r in residuals.items()}, CHAIN) == k


def test_a_number_that_another_one_fits_as_well_is_not_proved() -> None:
    assert settled_baseline({"BNB": D(0)}, CHAIN) is None


def test_numbers_that_come_to_the_same_are_as_good_as_one() -> None:
    there_and_back = [
        trade(-30, in_baseline=False, BTC="1"),
        trade(-20, in_baseline=False, BTC="-1"),
    ]
    chain = baseline_corrections(there_and_back, WINDOW, LAG)

    assert settled_baseline({"BTC": D(0)}, chain) == 0


def test_residuals_of_computed_amounts_fit_within_the_tolerance() -> None:
    residuals = {"BTC": D(-2), "USDT": D("210.01")}

    assert settled_baseline(residuals, CHAIN, {"USDT": D("0.01")}) == 2
    assert settled_baseline(residuals, CHAIN, {"USDT": D("0.009")}) is None


@pytest.mark.parametrize(
    ("residuals", "k"),
    [
        ({"BTC": "-2", "USDT": "209", "BNB": "0"}, 2),
        ({"BTC": "1", "USDT": "7"}, 0),
        # Each explains one asset, or none explains any.
        ({"BTC": "-2", "USDT": "0"}, None),
        ({"BTC": "7", "USDT": "7"}, None),
        ({"BNB": "0"}, None),
        ({}, None),
    ],
)
def test_what_explains_more_of_what_differs_than_all_else_is_ahead(
    residuals: dict[str, str], k: int | None
) -> None:
    assert leading_baseline({a: D(r) for a, r in residuals.items()}, CHAIN) == k


def test_where_too_much_is_possible_nothing_is_ahead() -> None:
    assert leading_baseline({"BTC": D(0)}, []) is None
