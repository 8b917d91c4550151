"""What may have caused the differences that no record of the exchange explains.

Everything that may have happened unseen is a candidate: a vector of changes over wallets and assets. An explanation is
a set of candidates whose changes sum to every residual at once, what agrees included; that an order must move its base,
its quote and its fee together refutes nearly all false ones. The search is exact, in whole numbers of the smallest part
that occurs. What it finds is a proposal: nothing here says that anything happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import lcm
from typing import Final

from portfolios.amounts import exact_mul
from portfolios.reconciliation.subset_sums import (
    Budget,
    StepsUsedUp,
    Term,
    possible,
    remaining,
    smallest_sets,
    times_taken,
)
from portfolios.reconciliation.verdicts import Interval

Holding = tuple[str, str]
"""Wallet and asset."""
Residual = Decimal | Interval | None
"""total - expected, units of the asset; None where it could not be judged, which refutes nothing."""

SHOWN: Final = 10
ONE: Final = Decimal(1)
ZERO: Final = Decimal(0)
# The books keep no smaller part of anything.
_SMALLEST: Final = Decimal("1e-18")


class CandidateKind(StrEnum):
    ORDER = "order"
    EXTERNAL_ORDER = "external_order"
    FEE = "fee"
    FILL = "fill"
    FLOW = "flow"
    COVERAGE_GAP = "coverage_gap"
    TRANSFER = "transfer"
    ALIAS = "alias"
    ROUNDING = "rounding"


class Outcome(StrEnum):
    EXPLAINED = "explained"
    AMBIGUOUS = "ambiguous"
    UNEXPLAINED = "unexplained"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that may have happened unseen, in all that it would have changed.

    Parameters
    ----------
    vector : Mapping of Holding to Decimal
        Signed changes, units of the asset; of each unit taken if `most` is given.
    evidence : tuple of str
        What speaks for it, such as the ids of rows.
    most : Decimal or None
        How many units it may have taken: any multiple of `step` up to it. What remains of an order is one candidate
        with a range, not a second one for the whole of it. None: it happened whole or not at all.
    step : Decimal
        The market's amount step.
    """

    key: str
    kind: CandidateKind
    vector: Mapping[Holding, Decimal]
    evidence: tuple[str, ...] = ()
    most: Decimal | None = None
    step: Decimal = _SMALLEST


@dataclass(frozen=True, slots=True)
class Part:
    """A candidate of an explanation, and the units it took: no fewer than `low`, no more than `high`.

    They are equal wherever the residuals leave one amount only, and 1 for what has no range.
    """

    candidate: Candidate
    low: Decimal = ONE
    high: Decimal = ONE


@dataclass(frozen=True, slots=True)
class Explanation:
    """`unchecked` are the holdings that its parts would have changed and nobody could judge."""

    parts: tuple[Part, ...]
    unchecked: tuple[Holding, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(part.candidate.key for part in self.parts)


@dataclass(frozen=True, slots=True)
class Attribution:
    """`count` explanations of the fewest parts; at most `SHOWN` of them are listed, by the keys of their parts.

    `EXPLAINED` has one: no part at all if the residuals may all be zero. `TOO_MANY` has none: the search was not made,
    or not ended, which proves nothing either way.
    """

    outcome: Outcome
    explanations: tuple[Explanation, ...] = ()
    count: int = 0


def attribute(
    residuals: Mapping[Holding, Residual],
    candidates: Iterable[Candidate],
    *,
    limit: int = 20,
    steps: int = 250_000,
) -> Attribution:
    """Find the fewest candidates that explain all `residuals` together.

    Parameters
    ----------
    residuals : Mapping of Holding to Residual
        Of everything judged: a holding that is not named agrees exactly.
    limit : int
        How many candidates are searched; those that can be no part of any explanation do not count.
    steps : int
        How much work is done before giving up, in sums and comparisons: the same on every machine.

    Raises
    ------
    ValueError
        If two candidates have one key, or an interval ends before it begins.
    """
    parts = independent(residuals, candidates)
    if not parts:
        return Attribution(Outcome.EXPLAINED, (Explanation(()),), 1)
    joint = {holding: residual for some, _ in parts for holding, residual in some.items()}
    system = _system(joint, [candidate for _, some in parts for candidate in some])
    if len(system.terms) > limit:
        return Attribution(Outcome.TOO_MANY)
    budget = Budget(steps)
    try:
        found = smallest_sets(system.bounds, system.terms, budget)
        shown = tuple(_explanation(system, numbers, budget) for numbers in found[:SHOWN])
    except StepsUsedUp:
        return Attribution(Outcome.TOO_MANY)
    return Attribution(_outcome(len(found)), shown, len(found))


def _outcome(count: int) -> Outcome:
    if not count:
        return Outcome.UNEXPLAINED
    return Outcome.EXPLAINED if count == 1 else Outcome.AMBIGUOUS


def independent(
    residuals: Mapping[Holding, Residual], candidates: Iterable[Candidate]
) -> list[tuple[dict[Holding, Residual], list[Candidate]]]:
    """Split into parts that share no holding, each to be attributed by itself.

    Candidates that can be no part of any explanation are left out, and so is what needs none.
    """
    system = _system(residuals, candidates)
    kept = possible(system.bounds, system.terms)
    parts = []
    for group in _groups(len(system.holdings), [system.terms[number] for number in kept]):
        if all(low <= 0 <= high for low, high in (system.bounds[at] for at in group)):
            continue
        some: dict[Holding, Residual] = dict.fromkeys(system.unknown)
        some |= {system.holdings[at]: residuals.get(system.holdings[at], ZERO) for at in group}
        touching = [
            number for number in kept if any(system.terms[number].effect[at] for at in group)
        ]
        parts.append((some, [system.candidates[number] for number in touching]))
    return parts


def _groups(size: int, terms: Iterable[Term]) -> list[list[int]]:
    """Group the dimensions that terms connect, in their order."""
    groups = [{at} for at in range(size)]
    for term in terms:
        touched = {at for at, once in enumerate(term.effect) if once}
        joined = touched.union(*(group for group in groups if group & touched))
        groups = [group for group in groups if not group & touched] + [joined]
    return sorted(sorted(group) for group in groups)


@dataclass(frozen=True, slots=True)
class _System:
    """The same in whole numbers of one smallest part; `terms` are the candidates', in the order of their keys."""

    holdings: tuple[Holding, ...]
    bounds: tuple[tuple[int, int], ...]
    unknown: tuple[Holding, ...]
    candidates: tuple[Candidate, ...]
    terms: tuple[Term, ...]


def _system(residuals: Mapping[Holding, Residual], candidates: Iterable[Candidate]) -> _System:
    """Bring everything to whole numbers, in an order that does not depend on how it was given."""
    ordered = sorted(candidates, key=lambda candidate: candidate.key)
    if len({candidate.key for candidate in ordered}) < len(ordered):
        raise ValueError("Expected one candidate a key.")
    touched = {holding for candidate in ordered for holding in candidate.vector}
    unknown = {holding for holding, residual in residuals.items() if residual is None}
    holdings = tuple(sorted((touched | set(residuals)) - unknown))
    bounds = [_bounds(residuals.get(holding, ZERO)) for holding in holdings]
    effects = [_effect(candidate, holdings) for candidate in ordered]
    scale = lcm(*(number.denominator for row in (*bounds, *effects) for number in row))
    terms = [
        Term(tuple(int(number * scale) for number in effect), _most(candidate))
        for candidate, effect in zip(ordered, effects, strict=True)
    ]
    useful = [at for at, term in enumerate(terms) if term.most > 0 and any(term.effect)]
    return _System(
        holdings,
        tuple((int(low * scale), int(high * scale)) for low, high in bounds),
        tuple(sorted(unknown)),
        tuple(ordered[at] for at in useful),
        tuple(terms[at] for at in useful),
    )


def _bounds(residual: Residual) -> tuple[Fraction, Fraction]:
    if isinstance(residual, Interval):
        if residual.low > residual.high:
            raise ValueError(f"Expected an interval, was {residual.low} to {residual.high}.")
        return Fraction(residual.low), Fraction(residual.high)
    return Fraction(residual or ZERO), Fraction(residual or ZERO)


def _effect(candidate: Candidate, holdings: Sequence[Holding]) -> list[Fraction]:
    """Tell what one step of `candidate` changes."""
    step = Fraction(ONE if candidate.most is None else candidate.step)
    return [step * Fraction(candidate.vector.get(holding, ZERO)) for holding in holdings]


def _most(candidate: Candidate) -> int:
    return 1 if candidate.most is None else Fraction(candidate.most) // Fraction(candidate.step)


def _explanation(system: _System, numbers: Sequence[int], budget: Budget) -> Explanation:
    single = [system.terms[number] for number in numbers if system.terms[number].most == 1]
    repeated = [number for number in numbers if system.terms[number].most > 1]
    left = remaining(system.bounds, single)
    ranges = times_taken(left, [system.terms[number] for number in repeated], budget)
    times = dict.fromkeys(numbers, range(1, 2)) | dict(zip(repeated, ranges, strict=True))
    parts = tuple(_part(system.candidates[number], times[number]) for number in numbers)
    touched = {holding for part in parts for holding in part.candidate.vector}
    return Explanation(parts, tuple(sorted(touched & set(system.unknown))))


def _part(candidate: Candidate, times: range) -> Part:
    if candidate.most is None:
        return Part(candidate)
    low, high = Decimal(times[0]), Decimal(times[-1])
    return Part(candidate, exact_mul(low, candidate.step), exact_mul(high, candidate.step))
