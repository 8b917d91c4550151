"""The simulation proves itself: a bug that is put into the product is found; by `make prove` within 500 seeds each."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.sweep import play

# An early one of the gate's histories that goes wrong with each bug; without a bug all of them are well.
FIRST_FOUND = {
    "failed_read_is_absence": 0,
    "amounts_are_floats": 0,
    "filled_is_added": 0,
    "fill_counts_twice": 0,
    "fee_is_booked_again": 0,
    "late_worker_writes": 0,
    "withdrawal_fee_is_lost": 1,
    "ends_without_its_fills": 3,
    "list_is_believed": 2,
    "surplus_is_a_deposit": 2,
    "unknown_word_is_an_end": 8,
    "stale_report_reopens": 60,
}
# What these lose, a difference mostly heals: its lists are read again from an hour before all agreed. The long proof
# alone looks for the histories that they still spoil.
RARELY_FOUND = {"cursor_before_rows", "cursor_past_a_failure"}
# Looked through as well, should another history be needed by now.
SEEDS = range(110)


@pytest.mark.parametrize(("plant", "first"), FIRST_FOUND.items())
def test_a_planted_bug_is_found(plant: str, first: int, books_in_memory: None) -> None:
    assert any(play(seed, plant).wrong for seed in chain([first], SEEDS))


def test_there_are_at_least_twelve_planted_bugs_and_each_is_found() -> None:
    assert len(FIRST_FOUND) >= 12
    assert {*FIRST_FOUND, *RARELY_FOUND} == set(BUGS)
