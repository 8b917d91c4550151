"""The smallest sets of vectors that sum to between given bounds, exactly: whole numbers only."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import gcd

Bounds = Sequence[tuple[int, int]]
"""By dimension: the least and the greatest sum allowed."""

# `coefficients . x <= bound`, the coefficients without common divisor.
_Rows = Mapping[tuple[int, ...], int]
# `low <= coefficients . x <= high`; None where nothing bounds it.
_Test = tuple[tuple[int, ...], int | None, int | None]


class StepsUsedUp(Exception):
    pass


class Budget:
    """How much work may be done, in sums and comparisons: the same on every machine."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise StepsUsedUp


@dataclass(frozen=True, slots=True)
class Term:
    """A vector that can be taken once, twice, ... up to `most` times."""

    effect: tuple[int, ...]
    most: int = 1

    def span(self, at: int) -> tuple[int, int]:
        """Tell the least and the greatest that it adds to dimension `at` where it is taken."""
        once, all_times = self.effect[at], self.effect[at] * self.most
        return min(once, all_times), max(once, all_times)


@dataclass(frozen=True, slots=True)
class _Subset:
    chosen: tuple[int, ...]
    sums: tuple[int, ...]


def possible(bounds: Bounds, terms: Sequence[Term]) -> list[int]:
    """Tell which terms are left when those go that no choice among the others could bring back between the bounds."""
    kept = list(range(len(terms)))
    while True:
        reach = _reach([terms[number] for number in kept], len(bounds))
        fitting = [number for number in kept if _fits(terms[number], reach, bounds)]
        if len(fitting) == len(kept):
            return kept
        kept = fitting


def _reach(terms: Iterable[Term], size: int) -> list[tuple[int, int]]:
    """Tell the least and the greatest that any choice of `terms` sums to in each dimension."""
    reach = [(0, 0)] * size
    for term in terms:
        for at, once in enumerate(term.effect):
            if once:
                low, high = term.span(at)
                reach[at] = (reach[at][0] + min(0, low), reach[at][1] + max(0, high))
    return reach


def _fits(term: Term, reach: Sequence[tuple[int, int]], bounds: Bounds) -> bool:
    """Whether `term` can be taken, as far as each dimension by itself tells; `reach` counts it among the choices."""
    for at, once in enumerate(term.effect):
        if once:
            low, high = term.span(at)
            least = reach[at][0] - min(0, low) + low
            greatest = reach[at][1] - max(0, high) + high
            if greatest < bounds[at][0] or least > bounds[at][1]:
                return False
    return True


def smallest_sets(bounds: Bounds, terms: Sequence[Term], budget: Budget) -> list[tuple[int, ...]]:
    """Find all smallest sets of terms that sum to between the bounds, as sorted numbers of terms.

    Every choice of those that can be taken more than once is tried by itself: what it leaves to the others is a set of
    inequalities over their sums, and those are met in the middle.

    Raises
    ------
    StepsUsedUp
        If the search did not end within the budget.
    """
    repeated = [number for number, term in enumerate(terms) if term.most > 1]
    single = [number for number, term in enumerate(terms) if term.most == 1]
    fewest = len(terms)
    found: list[tuple[int, ...]] = []
    for size in range(len(repeated) + 1):
        for taken in combinations(repeated, size):
            if size > fewest:
                break
            some = [terms[number] for number in taken]
            for others in _completions(bounds, some, [terms[n] for n in single], fewest, budget):
                found.append(tuple(sorted((*taken, *(single[number] for number in others)))))
                fewest = min(fewest, len(found[-1]))
    return sorted(numbers for numbers in found if len(numbers) == fewest)


def _completions(
    bounds: Bounds, taken: Sequence[Term], single: Sequence[Term], fewest: int, budget: Budget
) -> Iterator[tuple[int, ...]]:
    """Find what of `single` completes `taken`, each taken at least once, to a set of at most `fewest`."""
    budget.spend(1)
    reach = _reach(single, len(bounds))
    for at, (low, high) in enumerate(bounds):
        spans = [term.span(at) for term in taken]
        least = reach[at][0] + sum(span[0] for span in spans)
        if least > high or reach[at][1] + sum(span[1] for span in spans) < low:
            return
    rows = _rows(bounds, taken, with_sums=True)
    for _ in taken:
        rows = _without_last(rows, budget)
    for chosen in _meeting(_tests(rows), single, fewest - len(taken), budget):
        left = remaining(bounds, [single[number] for number in chosen])
        if _is_solvable(_rows(left, taken), len(taken), budget):
            yield chosen


def remaining(bounds: Bounds, terms: Sequence[Term]) -> Bounds:
    """Tell what is left between the bounds when each of `terms` is taken once."""
    sums = [sum(term.effect[at] for term in terms) for at in range(len(bounds))]
    return [(low - one, high - one) for (low, high), one in zip(bounds, sums, strict=True)]


def times_taken(bounds: Bounds, terms: Sequence[Term], budget: Budget) -> list[range]:
    """Tell how often each of `terms`, all taken, may have been taken: exact for one, for several perhaps wider."""
    ranges = []
    for number in range(len(terms)):
        first = [terms[number], *terms[:number], *terms[number + 1 :]]
        ranges.append(_values_of_first(_rows(bounds, first), len(terms), budget))
    return ranges


def _rows(bounds: Bounds, taken: Sequence[Term], *, with_sums: bool = False) -> _Rows:
    """Write what must hold: of the others' sums in each dimension, if `with_sums`, then of the times each is taken."""
    rows: list[tuple[tuple[int, ...], int]] = []
    size = len(bounds) if with_sums else 0
    for at, (low, high) in enumerate(bounds):
        sums = tuple(int(at == other) for other in range(size))
        row = sums + tuple(term.effect[at] for term in taken)
        rows += [(row, high), (_negative(row), -low)]
    for number, term in enumerate(taken):
        row = (0,) * size + tuple(int(number == other) for other in range(len(taken)))
        rows += [(row, term.most), (_negative(row), -1)]
    return _tightest(rows)


def _negative(row: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-number for number in row)


def _tightest(rows: Iterable[tuple[tuple[int, ...], int]]) -> _Rows:
    """Keep the tightest bound of each row. All unknowns are whole, so a bound may be rounded down."""
    tightest: dict[tuple[int, ...], int] = {}
    for row, bound in rows:
        divisor = gcd(*row) or 1
        key = tuple(number // divisor for number in row)
        tightest[key] = min(bound // divisor, tightest.get(key, bound // divisor))
    return tightest


def _without_last(rows: _Rows, budget: Budget) -> _Rows:
    """Say what `rows` demand of all unknowns but the last (Fourier-Motzkin): of whole numbers, at least that."""
    above = [row for row in rows if row[-1] > 0]
    below = [row for row in rows if row[-1] < 0]
    equal = next((row for row in above if rows.get(_negative(row)) == -rows[row]), None)
    if equal is None:
        budget.spend(len(above) * len(below))
        pairs = list(product(above, below))
    else:  # it says what the unknown is: put into every other row it demands as much as all pairs
        budget.spend(len(above) + len(below))
        pairs = [(equal, row) for row in below] + [(row, _negative(equal)) for row in above]
    kept = [(row[:-1], bound) for row, bound in rows.items() if not row[-1]]
    for high, low in pairs:
        times, by = -low[-1], high[-1]
        row = tuple(times * one + by * other for one, other in zip(high, low, strict=True))
        kept.append((row[:-1], times * rows[high] + by * rows[low]))
    return _tightest(kept)


def _tests(rows: _Rows) -> list[_Test]:
    """Join the two sides of each row."""
    tests: list[_Test] = []
    for row, bound in rows.items():
        opposite = _negative(row)
        if row == opposite or opposite not in rows:
            tests.append((row, None, bound))
        elif row > opposite:
            tests.append((row, -rows[opposite], bound))
    return tests


def _meeting(
    tests: Sequence[_Test], terms: Sequence[Term], most: int, budget: Budget
) -> Iterator[tuple[int, ...]]:
    """Find the sets of at most `most` terms whose sums pass all `tests`: meet in the middle."""
    values = [_values(tests, term) for term in terms]
    lefts = _subsets(range(0, len(terms), 2), values, len(tests), most, budget)
    rights = _subsets(range(1, len(terms), 2), values, len(tests), most, budget)
    exact = [at for at, (_, low, high) in enumerate(tests) if low == high]
    # Where the sums differ most, a cut through them leaves fewest to compare.
    cut = max(range(len(tests)), key=lambda at: len({right.sums[at] for right in rights}))
    index: dict[tuple[int, ...], list[_Subset]] = defaultdict(list)
    for right in sorted(rights, key=lambda right: right.sums[cut]):
        index[tuple(right.sums[at] for at in exact)].append(right)
    for left in lefts:
        gaps = [
            (low if low is None else low - one, high if high is None else high - one)
            for (_, low, high), one in zip(tests, left.sums, strict=True)
        ]
        bucket = index.get(tuple(gaps[at][0] or 0 for at in exact), [])
        for right in _between(bucket, cut, *gaps[cut]):
            budget.spend(1)
            if len(left.chosen) + len(right.chosen) <= most and _are_inside(right.sums, gaps):
                yield left.chosen + right.chosen


def _values(tests: Sequence[_Test], term: Term) -> tuple[int, ...]:
    return tuple(
        sum(one * other for one, other in zip(row, term.effect, strict=True)) for row, _, _ in tests
    )


def _subsets(
    numbers: Iterable[int],
    values: Sequence[tuple[int, ...]],
    size: int,
    most: int,
    budget: Budget,
) -> list[_Subset]:
    subsets = [_Subset((), (0,) * size)]
    for number in numbers:
        budget.spend(len(subsets))
        subsets += [
            _Subset(
                (*subset.chosen, number),
                tuple(a + b for a, b in zip(subset.sums, values[number], strict=True)),
            )
            for subset in subsets
            if len(subset.chosen) < most
        ]
    return subsets


def _between(
    subsets: Sequence[_Subset], at: int, low: int | None, high: int | None
) -> Sequence[_Subset]:
    """Cut out of `subsets`, sorted by their sum in dimension `at`, those from `low` to `high`."""
    first = 0 if low is None else bisect_left(subsets, low, key=lambda one: one.sums[at])
    last = (
        len(subsets) if high is None else bisect_right(subsets, high, key=lambda one: one.sums[at])
    )
    return subsets[first:last]


def _are_inside(sums: Sequence[int], gaps: Sequence[tuple[int | None, int | None]]) -> bool:
    return all(
        (low is None or low <= one) and (high is None or one <= high)
        for one, (low, high) in zip(sums, gaps, strict=True)
    )


def _is_solvable(rows: _Rows, unknowns: int, budget: Budget) -> bool:
    """Whether whole numbers fulfil `rows`: each value that the first may have is tried, then the rest."""
    if not unknowns:
        return all(bound >= 0 for bound in rows.values())
    for value in _values_of_first(rows, unknowns, budget):
        budget.spend(1)
        rest = _tightest((row[1:], bound - row[0] * value) for row, bound in rows.items())
        if _is_solvable(rest, unknowns - 1, budget):
            return True
    return False


def _values_of_first(rows: _Rows, unknowns: int, budget: Budget) -> range:
    """Give all values that the first unknown may have; of several unknowns perhaps more than that."""
    for _ in range(unknowns - 1):
        rows = _without_last(rows, budget)
    if rows.get((0,), 0) < 0:
        return range(0)
    return range(-rows[(-1,)], rows[(1,)] + 1)
