"""The gate's share of the bars; `python -m tests.simulation.judging 20000` tries them on ten times as many runs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulation.judging.bars import ONE_FILL_SHARE, clean, compared, faulty
from tests.simulation.judging.order_trials import order_trials
from tests.simulation.judging.tally import Fault, Tally
from tests.simulation.judging.trials import OURS, RATES, RULES

# Judged runs at each rate: 2,000 in all. Faults of each kind at each rate.
RUNS = 500
FAULTS = 25
AT_EVERY_RATE = pytest.mark.parametrize("rate", RATES)


def struck(rate: float, fault: Fault, count: int = FAULTS) -> Tally:
    return faulty(rate, fault, count)[OURS]


@AT_EVERY_RATE
def test_books_that_are_right_raise_no_alarm_and_are_not_changed(rate: float) -> None:
    tally = clean(rate, RUNS)[OURS]

    assert tally.clean_looks >= RUNS
    assert (tally.false_alarms, tally.wrong_actions) == (0, 0)


@AT_EVERY_RATE
def test_what_is_wider_than_the_interval_is_suspected_at_the_first_look_and_open_at_the_second(
    rate: float,
) -> None:
    told = struck(rate, Fault.LARGE).told[Fault.LARGE]

    assert len(told) > FAULTS / 2
    assert {(one.suspected, one.opened) for one in told} == {(1, 2)}


@AT_EVERY_RATE
def test_one_missed_fill_is_open_by_the_sixth_look(rate: float) -> None:
    tally = struck(rate, Fault.ONE_FILL)

    assert tally.missed(Fault.ONE_FILL) <= (1 - ONE_FILL_SHARE) * FAULTS
    assert tally.wrong_actions == 0


@AT_EVERY_RATE
def test_one_unit_of_a_quiet_account_is_always_told(rate: float) -> None:
    tally = struck(rate, Fault.ONE_UNIT)

    assert [one.opened for one in tally.told[Fault.ONE_UNIT]] == [2] * FAULTS
    assert tally.wrong_actions == 0


def test_orders_are_told_lost_by_the_third_look_and_none_ends_that_lives() -> None:
    tally = order_trials(50, (OURS,))[OURS]

    assert {one.opened for one in tally.told[Fault.LOST_ORDER]} == {3}
    assert (tally.false_alarms, tally.wrong_actions) == (0, 0)


@pytest.fixture(scope="module")
def side_by_side() -> dict[str, Tally]:
    return compared(400)


@pytest.mark.parametrize("rival", [name for name in RULES if name != OURS])
def test_no_rule_of_another_product_is_better_in_any_column_but_the_time_to_tell(
    rival: str, side_by_side: dict[str, Tally]
) -> None:
    ours, other = side_by_side[OURS], side_by_side[rival]

    for fault in Fault:
        assert ours.missed(fault) <= other.missed(fault)
    assert _share(ours) <= _share(other)
    assert ours.wrong_actions < other.wrong_actions


def _share(tally: Tally) -> Decimal:
    return Decimal(tally.false_alarms) / tally.clean_looks
