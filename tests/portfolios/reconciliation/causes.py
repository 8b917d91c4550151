"""Injected causes: what they leave as residuals, and a search that tries everything to tell what may explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, product
from random import Random

from portfolios.amounts import exact
from portfolios.reconciliation.attribution import Candidate, CandidateKind, Holding, Residual
from portfolios.reconciliation.verdicts import Interval

D = Decimal
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


def unrounded(pick: Random, one: Candidate) -> Candidate:
    """Give `one` numbers as exchanges have them: prices and amounts with their last digits."""
    vector = {
        holding: number
        if abs(number) == 1
        else number * (1 + D(pick.randint(1, 10**8)).scaleb(-10))
        for holding, number in one.vector.items()
    }
    return replace(one, vector=vector)


def withheld(seed: int) -> Case:
    """Draw a case whose causes are not among the candidates."""
    case = drawn(seed)
    rest = [one for one in case.candidates if one.key not in case.cause][:4]
    return Case(case.residuals, rest, case.cause)


def unlike(seed: int) -> Case | None:
    """Draw a cause with all its digits that is not among its candidates: whatever is proposed would be wrong.

    None of a transfer, of which any amount is as good as any other's.
    """
    pick = Random(seed)  # noqa: S311 - no secret
    cause, *others = (unrounded(pick, drawn_candidate(pick, f"c{number}")) for number in range(9))
    if cause.kind is CandidateKind.TRANSFER:
        return None
    moved = change([(cause, pick.choice(amounts(cause)))])
    residuals: dict[Holding, Residual] = {
        holding: exact_ratio(number) for holding, number in moved.items()
    }
    return Case(residuals, others, (cause.key,))
