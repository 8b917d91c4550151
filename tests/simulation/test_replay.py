from __future__ import annotations

from functools import cache

import pytest

from providers.sandbox.faults import ALL_KINDS
from tests.simulation.history import History, Outcome
from tests.simulation.trouble import KINDS, Mishap


@cache
def played(seed: int) -> Outcome:
    return History(seed).run()


@pytest.mark.parametrize("seed", [7, 1207])
def test_one_seed_twice_gives_the_same_history_and_the_same_books(
    seed: int, books_in_memory: None
) -> None:
    first, again = played(seed), History(seed).run()

    assert (again.trace, again.digest) == (first.trace, first.digest)


def test_another_seed_gives_another_history(books_in_memory: None) -> None:
    assert played(7).trace != played(1207).trace


def test_a_failure_names_the_command_that_replays_it(books_in_memory: None) -> None:
    assert str(played(7)).startswith("python -m tests.simulation 7\n")


def test_at_least_thirty_kinds_of_trouble_are_drawn() -> None:
    assert len(KINDS) >= 30
    assert set(KINDS) <= {*ALL_KINDS, *Mishap}
