"""Geometry of small charts over time: what a template draws as SVG. Knows no page and no database.

Amounts become pixels here and nowhere else, to a tenth of one. What is drawn holds until the next sample: a line is a
staircase. A chart is `WIDTH` x `HEIGHT`; stretch it sideways with ``preserveAspectRatio="none"`` and write words beside
it, not into it.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from portfolios.amounts import difference, exact_sum

WIDTH: Final = 600
HEIGHT: Final = 160
# Thinner bands have no room for a letter.
MIN_LABEL: Final = 12
ZERO: Final = Decimal(0)
_TENTH: Final = Decimal("0.1")
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """What something was from `at` on; None if that is not known, where a line has a gap."""

    at: datetime
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class StepChart:
    """Lines that share their axes.

    Parameters
    ----------
    lines : tuple of str
        One SVG path each; empty where nothing of it is known.
    low, high : Decimal
        The lowest and highest of all values, drawn at the bottom and at the top.
    """

    lines: tuple[str, ...]
    low: Decimal
    high: Decimal
    start: datetime
    end: datetime
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Band:
    """One part of a whole over time.

    Parameters
    ----------
    path : str
        An SVG path to be filled.
    letter : str
        Names the band where there is no room for a word.
    middle : Decimal or None
        Where its letter stands at the right end; None if it is too thin there.
    """

    name: str
    path: str
    letter: str
    middle: Decimal | None


@dataclass(frozen=True, slots=True)
class ShareChart:
    """Parts that always make up the whole, the first one at the top."""

    bands: tuple[Band, ...]
    start: datetime
    end: datetime
    width: int = WIDTH
    height: int = HEIGHT


def step_chart(series: Sequence[Sequence[Sample]], end: datetime) -> StepChart | None:
    """Draw each of `series`, the samples of which are in order, until `end`; None if there is nothing to draw."""
    known = [sample.value for samples in series for sample in samples if sample.value is not None]
    start = min((samples[0].at for samples in series if samples), default=end)
    if not known or start >= end:
        return None
    low, high = min(known), max(known)
    lines = tuple(
        " ".join(
            _stairs([(_x(sample.at, start, end), _y(sample.value, low, high)) for sample in run])
            for run in _runs(samples, end)
        )
        for samples in series
    )
    return StepChart(lines, low, high, start, end)


def share_chart(
    columns: Sequence[tuple[datetime, Mapping[str, Decimal]]],
    names: Sequence[str],
    end: datetime,
) -> ShareChart | None:
    """Draw which share each of `names` has from each moment on; None if there is nothing to draw.

    What is below zero has no share, and where nothing has one is a gap.
    """
    stacks = [
        (at, _edges([max(parts.get(name, ZERO), ZERO) for name in names])) for at, parts in columns
    ]
    if not columns or columns[0][0] >= end or not any(edges for _at, edges in stacks):
        return None
    start = columns[0][0]
    last = stacks[-1][1]
    bands = tuple(
        Band(name, _band(stacks, place, start, end), letter(place), _middle(last, place))
        for place, name in enumerate(names)
    )
    return ShareChart(bands, start, end)


def letter(place: int) -> str:
    return chr(ord("A") + place)


def thinned(keys: Sequence[int], most: int) -> list[int]:
    """Leave at most `most` of `keys`, evenly, the first and the last among them."""
    if len(keys) <= most:
        return list(keys)
    return [keys[place * (len(keys) - 1) // (most - 1)] for place in range(most)]


def _runs(samples: Sequence[Sample], end: datetime) -> Iterable[list[Sample]]:
    """Split at the gaps; each run ends with its last value at the moment when that stops to hold."""
    run: list[Sample] = []
    for sample, following in pairwise([*samples, Sample(end, None)]):
        if sample.value is None:
            continue
        run.append(sample)
        if following.value is None:
            yield [*run, Sample(following.at, sample.value)]
            run = []


def _stairs(points: Sequence[tuple[Decimal, Decimal]]) -> str:
    (x, y), *others = points
    steps = [f"M{x} {y}"]
    for next_x, next_y in others:
        steps.append(f"H{next_x}" if next_y == y else f"H{next_x}V{next_y}")
        y = next_y
    return "".join(steps)


def _edges(parts: Sequence[Decimal]) -> list[Decimal]:
    """Give the lines between the parts from the top down, one more than there are parts; empty if all are zero."""
    whole = exact_sum(parts)
    if not whole:
        return []
    sums = (exact_sum(parts[:place]) for place in range(len(parts) + 1))
    return [_pixels(part, whole, HEIGHT) for part in sums]


def _band(
    stacks: Sequence[tuple[datetime, list[Decimal]]], place: int, start: datetime, end: datetime
) -> str:
    upper = [Sample(at, edges[place] if edges else None) for at, edges in stacks]
    lower = [Sample(at, edges[place + 1] if edges else None) for at, edges in stacks]
    paths = []
    for top, bottom in zip(_runs(upper, end), _runs(lower, end), strict=True):
        there = _stairs([(_x(each.at, start, end), each.value or ZERO) for each in top])
        back = _back([(_x(each.at, start, end), each.value or ZERO) for each in bottom])
        paths.append(f"{there}{back}Z")
    return " ".join(paths)


def _back(points: Sequence[tuple[Decimal, Decimal]]) -> str:
    """Go the stairs back, from right to left."""
    steps = [f"V{points[-1][1]}"]
    for (x, y), (_next_x, next_y) in reversed(list(pairwise(points))):
        steps.append(f"H{x}" if y == next_y else f"V{y}H{x}")
    return "".join(steps)


def _middle(edges: Sequence[Decimal], place: int) -> Decimal | None:
    if not edges or edges[place + 1] - edges[place] < MIN_LABEL:
        return None
    return ((edges[place] + edges[place + 1]) / 2).quantize(_TENTH)


def _x(at: datetime, start: datetime, end: datetime) -> Decimal:
    return _pixels(
        Decimal((at - start) // _MICROSECOND), Decimal((end - start) // _MICROSECOND), WIDTH
    )


def _y(value: Decimal | None, low: Decimal, high: Decimal) -> Decimal:
    if value is None or low == high:
        return Decimal(HEIGHT) / 2
    return _pixels(difference(high, value), difference(high, low), HEIGHT)


def _pixels(part: Decimal, whole: Decimal, size: int) -> Decimal:
    # Not the thread's context: a third has no last digit, and that may be told to raise.
    with decimal.localcontext(decimal.Context(prec=30)):
        pixels = (part / whole * size).quantize(_TENTH)
    return pixels.to_integral_value() if pixels == pixels.to_integral_value() else pixels
