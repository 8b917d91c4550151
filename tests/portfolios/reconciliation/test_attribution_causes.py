"""1,000 injected causes against a search that tries everything, and what must hold whatever the cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import combinations, product
from random import Random

import pytest

from portfolios.amounts import exact
from portfolios.reconciliation.attribution import (
    Attribution,
    Candidate,
    CandidateKind,
    Explanation,
    Holding,
    Outcome,
    Residual,
    attribute,
)
from portfolios.reconciliation.verdicts import Interval

D = Decimal
CASES = 1_000
USDT, BNB = ("spot", "USDT"), ("spot", "BNB")
FUNDING = ("funding", "USDT")


def candidate(
    key: str,
    vector: dict[Holding, str],
    kind: CandidateKind,
    most: str | None = None,
    step: str = "0.001",
) -> Candidate:
    changes = {holding: D(number) for holding, number in vector.items()}
    return Candidate(key, kind, changes, most=None if most is None else D(most), step=D(step))


@dataclass(frozen=True)
class Case:
    """Residuals that the candidates named `cause` have made, each in an amount of its own."""

    residuals: dict[Holding, Residual]
    candidates: list[Candidate]
    cause: tuple[str, ...]


def amounts(one: Candidate) -> list[Fraction]:
    if one.most is None:
        return [Fraction(1)]
    steps = Fraction(one.most) / Fraction(one.step)
    return [n * Fraction(one.step) for n in range(1, int(steps) + 1)]


def change(taken: Sequence[tuple[Candidate, Fraction]]) -> dict[Holding, Fraction]:
    sums: dict[Holding, Fraction] = {}
    for one, units in taken:
        for holding, number in one.vector.items():
            sums[holding] = sums.get(holding, Fraction(0)) + units * Fraction(number)
    return sums


def exact_ratio(number: Fraction) -> Decimal:
    with exact():
        return D(number.numerator) / D(number.denominator)


def is_met(residuals: dict[Holding, Residual], sums: dict[Holding, Fraction]) -> bool:
    for holding in {*residuals, *sums}:
        residual = residuals.get(holding, D(0))
        got = sums.get(holding, Fraction(0))
        if isinstance(residual, Interval):
            if not Fraction(residual.low) <= got <= Fraction(residual.high):
                return False
        elif residual is not None and got != Fraction(residual):
            return False
    return True


def brute_force(case: Case, sizes: int) -> list[tuple[str, ...]]:
    """Find the smallest explanations of at most `sizes` candidates by trying every amount of every set."""
    for size in range(sizes + 1):
        found = [
            tuple(sorted(one.key for one in some))
            for some in combinations(case.candidates, size)
            if any(
                is_met(case.residuals, change(list(zip(some, units, strict=True))))
                for units in product(*(amounts(one) for one in some))
            )
        ]
        if found:
            return sorted(found)
    return []


def drawn_candidate(pick: Random, key: str) -> Candidate:
    """Draw one of the six causes. Its numbers are round, as people's are, so that some coincide."""
    asset, price = pick.choice([("BTC", 50000), ("BTC", 50100), ("ETH", 3000), ("SOL", 150)])
    base = ("spot", asset)
    side = pick.choice([1, -1])
    fee = f"-0.000{pick.randint(1, 9)}"
    kind = pick.choice(["fill", "fee", "flow", "transfer", "external", "lapsed"])
    if kind == "fill":
        amount = D(side * pick.randint(1, 9)) / 1000
        vector = {base: str(amount), USDT: str(-amount * price), BNB: fee}
        return candidate(key, vector, CandidateKind.COVERAGE_GAP)
    if kind == "fee":
        return candidate(key, {BNB: fee}, CandidateKind.FEE)
    if kind == "flow":
        number = pick.choice([100, 200, 250, 300, 500, -101, -201, -501])
        return candidate(key, {USDT: str(number)}, CandidateKind.FLOW)
    if kind == "transfer":
        vector = {USDT: str(side), FUNDING: str(-side)}
        return candidate(key, vector, CandidateKind.TRANSFER, most="60", step="10")
    vector = {base: str(side), USDT: str(-side * price)}
    if kind == "external":
        vector[BNB] = "-0.1"
        return candidate(key, vector, CandidateKind.EXTERNAL_ORDER, most="0.005")
    return candidate(key, vector, CandidateKind.ORDER, most=f"0.00{pick.randint(1, 8)}")


def drawn(seed: int) -> Case:
    """Draw one or two causes among six to ten candidates, now and then with a twin, now and then not quite narrow."""
    pick = Random(seed)  # noqa: S311 - no secret
    candidates = [drawn_candidate(pick, f"c{number}") for number in range(pick.randint(6, 10))]
    causes = pick.sample(candidates, pick.choice([1, 1, 1, 2]))
    moved = change([(one, pick.choice(amounts(one))) for one in causes])
    residuals: dict[Holding, Residual] = {
        holding: exact_ratio(number) for holding, number in moved.items()
    }
    if pick.random() < 0.2:
        point = residuals[holding := pick.choice(sorted(residuals))]
        assert isinstance(point, Decimal)
        residuals[holding] = Interval(point - D("0.00005"), point + D("0.00002"), point)
    if pick.random() < 0.1:
        twin = causes[0]
        candidates.append(Candidate("twin", twin.kind, twin.vector, most=twin.most, step=twin.step))
    pick.shuffle(candidates)
    return Case(residuals, candidates, tuple(sorted(one.key for one in causes)))


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
    for seed in range(300):
        case = drawn(seed)
        rest = [one for one in case.candidates if one.key not in case.cause][:4]
        withheld = Case(case.residuals, rest, case.cause)
        truth = brute_force(withheld, len(rest))
        found = attribute(withheld.residuals, rest)
        unexplained += found.outcome is Outcome.UNEXPLAINED

        assert sets(found) == truth, seed
    assert unexplained > 200


def unrounded(pick: Random, one: Candidate) -> Candidate:
    """Give `one` numbers as exchanges have them: prices and amounts with their last digits."""
    vector = {
        holding: number
        if abs(number) == 1
        else number * (1 + D(pick.randint(1, 10**8)).scaleb(-10))
        for holding, number in one.vector.items()
    }
    return replace(one, vector=vector)


def test_numbers_with_all_their_digits_explain_nothing_by_coincidence() -> None:
    """The cause is no candidate: whatever is proposed would be wrong."""
    proposed = 0
    for seed in range(1_000):
        pick = Random(seed)  # noqa: S311 - no secret
        cause, *others = (
            unrounded(pick, drawn_candidate(pick, f"c{number}")) for number in range(9)
        )
        if cause.kind is CandidateKind.TRANSFER:  # any amount of it is as good as any other's
            continue
        moved = change([(cause, pick.choice(amounts(cause)))])
        residuals: dict[Holding, Residual] = {
            holding: exact_ratio(number) for holding, number in moved.items()
        }
        proposed += attribute(residuals, others).outcome is not Outcome.UNEXPLAINED

    assert proposed == 0


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
