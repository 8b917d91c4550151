"""The search against one that tries everything."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from portfolios.reconciliation.subset_sums import (
    Bounds,
    Budget,
    StepsUsedUp,
    Term,
    possible,
    smallest_sets,
    times_taken,
)

STEPS = 1_000_000


def all_times(bounds: Bounds, terms: list[Term]) -> list[tuple[int, ...]]:
    """Give every way of taking the terms that sums to between the bounds."""
    return [
        times
        for times in product(*(range(term.most + 1) for term in terms))
        if all(
            low <= sum(n * term.effect[at] for n, term in zip(times, terms, strict=True)) <= high
            for at, (low, high) in enumerate(bounds)
        )
    ]


def taken(times: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(number for number, n in enumerate(times) if n)


def smallest(bounds: Bounds, terms: list[Term]) -> list[tuple[int, ...]]:
    sets = {taken(times) for times in all_times(bounds, terms)}
    fewest = min((len(one) for one in sets), default=0)
    return sorted(one for one in sets if len(one) == fewest)


def drawn(seed: int) -> tuple[list[tuple[int, int]], list[Term]]:
    """Draw up to six terms in one to three dimensions, and bounds that some choice of them meets more often than not.

    The numbers are small, so that many sets sum to the same.
    """
    pick = Random(seed)  # noqa: S311 - no secret
    size = pick.randint(1, 3)
    terms = [
        Term(tuple(pick.randint(-4, 4) for _ in range(size)), pick.choice([1, 1, 2, 5]))
        for _ in range(pick.randint(1, 6))
    ]
    chosen = [pick.choice([0, pick.randint(0, term.most)]) for term in terms]
    bounds = []
    for at in range(size):
        total = sum(n * term.effect[at] for n, term in zip(chosen, terms, strict=True))
        total += pick.choice([0, 0, 0, 0, 0, 1])
        bounds.append((total - pick.choice([0, 0, 1]), total + pick.choice([0, 0, 0, 2])))
    return bounds, terms


@pytest.mark.parametrize("block", range(4))
def test_all_smallest_sets_are_found_and_no_others(block: int) -> None:
    for seed in range(block * 250, (block + 1) * 250):
        bounds, terms = drawn(seed)

        assert smallest_sets(bounds, terms, Budget(STEPS)) == smallest(bounds, terms), seed


def test_what_goes_as_impossible_is_part_of_no_solution() -> None:
    gone = 0
    for seed in range(500):
        bounds, terms = drawn(seed)
        impossible = set(range(len(terms))) - set(possible(bounds, terms))
        gone += len(impossible)

        assert all(impossible.isdisjoint(taken(times)) for times in all_times(bounds, terms)), seed
    assert gone > 100


def test_the_times_of_every_solution_are_among_those_told() -> None:
    checked = 0
    for seed in range(600):
        bounds, terms = drawn(seed)
        solutions = [times for times in all_times(bounds, terms) if all(times)]
        if not solutions or len(terms) > 3:
            continue
        checked += 1
        ranges = times_taken(bounds, terms, Budget(STEPS))

        assert all(
            n in told for times in solutions for n, told in zip(times, ranges, strict=True)
        ), seed
    assert checked > 50


def test_the_times_of_a_single_term_are_exact() -> None:
    assert times_taken([(7, 16)], [Term((3,), 9)], Budget(STEPS)) == [range(3, 6)]


def test_what_is_taken_is_taken_at_least_once() -> None:
    assert times_taken([(-5, 16)], [Term((3,), 9)], Budget(STEPS)) == [range(1, 6)]


def test_two_amounts_are_solved_for_together() -> None:
    """3 a + 5 b = 1_000_003 and a + b = 300_001: as an order's base and quote at two prices."""
    terms = [Term((3, 1), 10**9), Term((5, 1), 10**9)]

    assert times_taken([(1_000_003, 1_000_003), (300_001, 300_001)], terms, Budget(STEPS)) == [
        range(250_001, 250_002),
        range(50_000, 50_001),
    ]


def test_amounts_that_would_have_to_be_broken_are_no_solution() -> None:
    """With a + b = 5 and 3 a + 5 b = 20 both would be 2.5."""
    terms = [Term((1, 3), 10), Term((1, 5), 10)]

    assert smallest_sets([(5, 5), (20, 20)], terms, Budget(STEPS)) == []


def test_twenty_terms_that_explain_nothing_are_within_ten_thousand_steps() -> None:
    terms = [Term((2**number * 2,)) for number in range(20)]

    assert smallest_sets([(2**20 + 1, 2**20 + 1)], terms, Budget(10_000)) == []


def test_bounds_that_are_no_points_cost_little_more() -> None:
    terms = [Term((2**number * 8, 4**number * 8)) for number in range(20)]
    bounds = [(2**20 + 1, 2**20 + 7), (4**20 + 1, 4**20 + 7)]

    assert smallest_sets(bounds, terms, Budget(10_000)) == []


def test_more_work_than_allowed_is_said() -> None:
    terms = [Term((1,)) for _ in range(20)]

    with pytest.raises(StepsUsedUp):
        smallest_sets([(10, 10)], terms, Budget(2_000))
