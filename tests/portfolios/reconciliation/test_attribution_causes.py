"""Injected causes against a search that tries everything, and what must hold whatever the cause.

A part of the thousand that `python -m tests.simulation.attribution` counts; all of them where proof is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from random import Random

import pytest

from portfolios.reconciliation.attribution import (
    Attribution,
    Candidate,
    CandidateKind,
    Explanation,
    Holding,
    Outcome,
    attribute,
)
from tests.hypothesis_profiles import IS_PROVE
from tests.portfolios.reconciliation.causes import (
    USDT,
    Case,
    brute_force,
    candidate,
    change,
    drawn,
    is_met,
    unlike,
    withheld,
)

CASES = 1_000 if IS_PROVE else 200
WITHHELD = 300 if IS_PROVE else 40


@cache
def compared() -> list[tuple[Case, list[tuple[str, ...]], Attribution]]:
    cases = [drawn(seed) for seed in range(CASES)]
    return [
        (case, brute_force(case, len(case.cause)), attribute(case.residuals, case.candidates))
        for case in cases
    ]


def sets(found: Attribution) -> list[tuple[str, ...]]:
    return [explanation.keys for explanation in found.explanations]


def test_every_cause_whose_smallest_explanation_is_unique_is_named() -> None:
    unique = [(truth, found) for _, truth, found in compared() if len(truth) == 1]
    named = [truth for truth, found in unique if sets(found) == truth]

    assert len(unique) > CASES // 2
    assert len(named) == len(unique)


def test_a_unique_proposal_is_what_was_injected_or_something_smaller() -> None:
    unique = [(case, found) for case, _, found in compared() if found.outcome is Outcome.EXPLAINED]

    assert [
        (case.cause, sets(found))
        for case, found in unique
        if case.cause != sets(found)[0] and len(sets(found)[0]) >= len(case.cause)
    ] == []


def test_it_is_ambiguous_exactly_where_brute_force_finds_two() -> None:
    several = [truth for _, truth, _ in compared() if len(truth) > 1]
    ambiguous = [found for _, _, found in compared() if found.outcome is Outcome.AMBIGUOUS]

    assert len(several) > CASES // 20
    assert [sets(found) for found in ambiguous] == several


def test_nothing_injected_is_called_unexplained() -> None:
    outcomes = {found.outcome for _, _, found in compared()}

    assert outcomes == {Outcome.EXPLAINED, Outcome.AMBIGUOUS}


def test_a_cause_that_is_no_candidate_is_not_invented() -> None:
    """Brute force may still find another way to sum to it; where it finds none, neither do we."""
    unexplained = 0
    for seed in range(WITHHELD):
        case = withheld(seed)
        found = attribute(case.residuals, case.candidates)
        unexplained += found.outcome is Outcome.UNEXPLAINED

        assert sets(found) == brute_force(case, len(case.candidates)), seed
    assert unexplained > WITHHELD // 2


def test_numbers_with_all_their_digits_explain_nothing_by_coincidence() -> None:
    cases = [case for case in map(unlike, range(CASES)) if case is not None]
    found = {attribute(case.residuals, case.candidates).outcome for case in cases}

    assert len(cases) > CASES // 2
    assert found == {Outcome.UNEXPLAINED}


def sums_of(explanation: Explanation) -> dict[Holding, Fraction]:
    return change([(part.candidate, Fraction(part.low)) for part in explanation.parts])


def test_what_explains_sums_exactly_to_the_residuals() -> None:
    settled = [
        (case, explanation)
        for case, _, found in compared()
        for explanation in found.explanations
        if all(part.low == part.high for part in explanation.parts)
    ]

    assert len(settled) > CASES // 2
    assert all(is_met(case.residuals, sums_of(explanation)) for case, explanation in settled)


@pytest.mark.parametrize("part", range(4))
def test_the_order_of_what_is_given_changes_nothing(part: int) -> None:
    for case, _, found in compared()[part::10]:
        pick = Random(part)  # noqa: S311 - no secret
        holdings = pick.sample(sorted(case.residuals), len(case.residuals))
        shuffled = pick.sample(case.candidates, len(case.candidates))

        again = attribute({holding: case.residuals[holding] for holding in holdings}, shuffled)
        assert again == found


def irrelevant() -> Iterator[Candidate]:
    """Give more candidates than the limit that move what agrees; the last two could undo each other."""
    for number in range(30):
        yield candidate(
            f"a{number}", {("spot", f"COIN{number}"): "1", USDT: "-7"}, CandidateKind.ORDER, "0.5"
        )
    yield candidate("there", {("spot", "DOGE"): "-5", ("earn", "DOGE"): "5"}, CandidateKind.ALIAS)
    yield candidate("back", {("spot", "DOGE"): "5", ("earn", "DOGE"): "-5"}, CandidateKind.ALIAS)


def test_a_candidate_that_has_nothing_to_do_with_it_changes_nothing() -> None:
    for case, _, found in compared()[::10]:
        assert attribute(case.residuals, [*irrelevant(), *case.candidates]) == found
