"""The simulation proves itself: here with the bugs that are found soonest, with all of them in `make prove`."""

from __future__ import annotations

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.sweep import play

# Of the gate's histories, which are all well without a bug.
SEEDS = range(20)


@pytest.mark.parametrize(
    "plant",
    [
        "fill_counts_twice",
        "filled_is_added",
        "ends_without_its_fills",
        "fee_is_booked_again",
        "withdrawal_fee_is_lost",
    ],
)
def test_a_planted_bug_is_found(plant: str, books_in_memory: None) -> None:
    assert any(play(seed, plant).wrong for seed in SEEDS)


def test_there_are_at_least_twelve_planted_bugs() -> None:
    assert len(BUGS) >= 12
