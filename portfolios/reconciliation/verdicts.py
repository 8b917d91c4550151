"""Whether the books agree with the exchange on one asset, although a read may not show what was just traded.

A read of balances shows the account as it was at some moment of the last `lag` before the answer. Instead of one
number the books therefore give an interval: all that they may expect of such a read. Times are by the exchange's
clock, amounts are signed and in units of the asset.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from portfolios.amounts import difference, exact, exact_mul, exact_sum

ZERO = Decimal(0)
NOT_REPORTED = "total not reported"
NOT_SETTLED = "what happened meanwhile is not all read yet"
STALE = "stale venue read"
TIMING = "may be the moment of the read"
# How long a venue may show an old balance before it counts as wrong.
STALE_AT_MOST: Final = timedelta(minutes=15)
# Closer than this, an exchange may post the later one first.
MAY_SWAP: Final = timedelta(seconds=1)
# More amounts than these that we had to compute ourselves, and a tolerance would hide faults.
_MOST_DERIVED: Final = 50
# More than these are not looked through.
_MOST_SUMS: Final = 2_000


class Verdict(StrEnum):
    """`CONSISTENT` is neither good nor bad: the read fits the books, and would also fit others close to them."""

    VERIFIED = "VERIFIED"
    CONSISTENT = "CONSISTENT"
    DIFFERS = "DIFFERS"
    PROVISIONAL = "PROVISIONAL"
    NOT_VERIFIABLE = "NOT_VERIFIABLE"


@dataclass(frozen=True, slots=True)
class Effect:
    """One booked change of one asset; a fill and its fee in the same asset are one.

    Parameters
    ----------
    at : datetime or None
        None if nobody knows: some time up to `until`.
    stream : str
        What the exchange posts in order of time, such as fills; of different streams nothing is known of the order.
    until : datetime or None
        Looked at only without `at`; None too, and the effect may be missing from every read.
    """

    at: datetime | None
    amount: Decimal
    stream: str
    until: datetime | None = None

    @property
    def latest(self) -> datetime | None:
        return self.until if self.at is None else self.at


@dataclass(frozen=True, slots=True)
class Window:
    """When balances were asked for and answered, widened by how well the exchange's clock is known.

    Where the exchange says of what moment its balance is, `low` and `high` are that moment, and the lag is zero.
    """

    low: datetime
    high: datetime

    @property
    def middle(self) -> datetime:
        return self.low + (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Interval:
    """All amounts from `low` to `high`; `point` is the likeliest of them."""

    low: Decimal
    high: Decimal
    point: Decimal

    def __add__(self, other: Interval) -> Interval:
        with exact():
            return Interval(self.low + other.low, self.high + other.high, self.point + other.point)

    def __neg__(self) -> Interval:
        return Interval(self.high.copy_negate(), self.low.copy_negate(), self.point.copy_negate())

    @classmethod
    def of(cls, amount: Decimal) -> Interval:
        return cls(amount, amount, amount)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look says of one asset.

    Parameters
    ----------
    low, high : Decimal or None
        Between these the residual lies, total - expected; None where nothing can be said.
    residual : Decimal or None
        The likeliest one.
    reason : str
        Why it could not be judged, or which accident of timing may make up exactly this residual.
    """

    verdict: Verdict
    low: Decimal | None = None
    high: Decimal | None = None
    residual: Decimal | None = None
    reason: str = ""


def expected_interval(
    expected: Decimal, effects: Iterable[Effect], window: Window, lag: timedelta
) -> Interval:
    """Tell what a read within `window` may show.

    Parameters
    ----------
    expected : Decimal
        Sum of all that is booked now, `effects` included.
    effects : iterable of Effect
        At least those later than `lag` before the window; older ones are in every read.
    lag : timedelta
        How long the exchange may take at most until an effect shows in its balances.
    """
    open_ = open_effects(effects, window, lag)
    base = difference(expected, exact_sum(effect.amount for effect in open_))
    middle = window.middle
    by_middle = (e.amount for e in open_ if e.latest is None or e.latest <= middle)
    interval = Interval(base, base, exact_sum((base, *by_middle)))
    streams: dict[str, list[tuple[datetime, Decimal]]] = {}
    for effect in open_:
        if effect.at is None:
            interval += _hull((ZERO, effect.amount))
        elif effect.at <= window.high:
            streams.setdefault(effect.stream, []).append((effect.at, effect.amount))
    for stream in streams.values():
        interval += _partly_shown(stream)
    return interval


def open_effects(effects: Iterable[Effect], window: Window, lag: timedelta) -> list[Effect]:
    """Give those that a read within `window` may not show."""
    shown = window.low - lag
    return [e for e in effects if (latest := e.latest) is None or latest > shown]


def _hull(amounts: Iterable[Decimal]) -> Interval:
    held = list(amounts)
    return Interval(min(held), max(held), ZERO)


def _partly_shown(stream: Iterable[tuple[datetime, Decimal]]) -> Interval:
    """Tell what a read may show of effects that are posted in order of time, up to any of them.

    With the last one that shows, all at least a second older show as well; of those between, any may.
    """
    low = high = shown = less = more = ZERO
    between: deque[tuple[datetime, Decimal]] = deque()
    with exact():
        for at, amount in sorted(stream):
            while between and at - between[0][0] >= MAY_SWAP:
                _, older = between.popleft()
                shown += older
                less, more = less - min(older, ZERO), more - max(older, ZERO)
            between.append((at, amount))
            less, more = less + min(amount, ZERO), more + max(amount, ZERO)
            low, high = min(low, shown + less), max(high, shown + more)
    return Interval(low, high, ZERO)


def judge(
    total: Decimal | None, interval: Interval, tolerance: Decimal, *, is_settled: bool
) -> Judgement:
    """Compare what a read shows with what the books may expect of it.

    Parameters
    ----------
    total : Decimal or None
        None if the exchange did not report it.
    tolerance : Decimal
        Units by which amounts that we had to compute may be off.
    is_settled : bool
        Whether fills and flows were read completely, late enough to show all that happened up to the read.
    """
    if total is None:
        return not_verifiable(NOT_REPORTED)
    residual = Interval.of(total) + -interval
    reason = "" if is_settled else NOT_SETTLED
    verdict = _verdict(residual, tolerance) if is_settled else Verdict.PROVISIONAL
    return Judgement(verdict, residual.low, residual.high, residual.point, reason)


def not_verifiable(reason: str) -> Judgement:
    return Judgement(Verdict.NOT_VERIFIABLE, reason=reason)


def _verdict(residual: Interval, tolerance: Decimal) -> Verdict:
    if residual.low > tolerance or residual.high < tolerance.copy_negate():
        return Verdict.DIFFERS
    if residual.low >= tolerance.copy_negate() and residual.high <= tolerance:
        return Verdict.VERIFIED
    return Verdict.CONSISTENT


def explained(
    judged: Judgement,
    effects: Iterable[Effect],
    window: Window,
    lag: timedelta,
    tolerance: Decimal,
    corrections: Iterable[Decimal] = (),
) -> Judgement:
    """Note in `reason` if the moment of the read alone may make up the residual, to the last digit.

    `TIMING` within the lag, `STALE` if the balance were older, at most by `STALE_AT_MOST`. What is neither speaks
    against the books even where the interval is too wide to tell.

    Parameters
    ----------
    effects : iterable of Effect
        Of the same asset, at least those of that time.
    corrections : iterable of Decimal
        What may have to be added to the books for this asset while the baseline is not settled.
    """
    if judged.residual is None or judged.verdict not in (Verdict.CONSISTENT, Verdict.DIFFERS):
        return judged
    with exact():
        targets = {judged.residual - correction for correction in (ZERO, *corrections)}
    known = list(effects)
    late = _lateness(known, window, lag)
    if late is None or _meets(late, targets, tolerance):
        return replace(judged, reason=TIMING)
    stale = _staleness(known, window)
    return replace(judged, reason=STALE) if _meets(stale, targets, tolerance) else judged


def _meets(sums: Iterable[Decimal], targets: Iterable[Decimal], tolerance: Decimal) -> bool:
    wanted = set(targets)
    if not tolerance:
        return not wanted.isdisjoint(sums)
    return any(difference(s, target).copy_abs() <= tolerance for s in sums for target in wanted)


def _lateness(effects: Iterable[Effect], window: Window, lag: timedelta) -> set[Decimal] | None:
    """Give all residuals that a read within the lag may leave; None if they are too many to tell."""
    open_ = open_effects(effects, window, lag)
    streams: dict[str, list[tuple[datetime, Decimal]]] = {}
    parts: list[set[Decimal]] = []
    for effect in open_:
        if effect.at is None:
            parts.append({ZERO, effect.amount})
        elif effect.at <= window.high:
            streams.setdefault(effect.stream, []).append((effect.at, effect.amount))
    by_middle = exact_sum(e.amount for e in open_ if e.latest is None or e.latest <= window.middle)
    sums = {by_middle.copy_negate()}
    for part in (*parts, *map(_shown_sums, streams.values())):
        if part is None or len(part) * len(sums) > _MOST_SUMS:
            return None
        sums = _plus(sums, part)
    return sums


def _shown_sums(stream: Iterable[tuple[datetime, Decimal]]) -> set[Decimal] | None:
    """Give the sums of all that may show of a stream, as `_partly_shown` gives the smallest and the largest."""
    found, shown = {ZERO}, ZERO
    between: deque[tuple[datetime, Decimal]] = deque()
    for at, amount in sorted(stream):
        while between and at - between[0][0] >= MAY_SWAP:
            shown = exact_sum((shown, between.popleft()[1]))
        sums = {exact_sum((shown, amount))}
        for _, other in between:
            sums |= _plus(sums, {other})
            if len(sums) > _MOST_SUMS:
                return None
        found |= sums
        between.append((at, amount))
    return found


def _plus(sums: Iterable[Decimal], part: Iterable[Decimal]) -> set[Decimal]:
    others = list(part)
    with exact():
        return {one + other for one in sums for other in others}


def _staleness(effects: Iterable[Effect], window: Window) -> set[Decimal]:
    """Give the residuals that a balance of an earlier moment leaves, if all streams stood still or only one."""
    oldest, middle = window.low - STALE_AT_MOST, window.middle
    known = [(e.latest, e.amount, e.stream) for e in effects if e.latest is not None]
    latest_first = sorted((e for e in known if oldest < e[0] <= middle), reverse=True)
    total, of_stream, sums = ZERO, defaultdict[str, Decimal](Decimal), set[Decimal]()
    with exact():
        for _, amount, stream in latest_first:
            total -= amount
            of_stream[stream] -= amount
            sums.update((total, of_stream[stream]))
    return sums


def tolerance(quantum: Decimal | None, derived_operations: int) -> Decimal:
    """Give how far the books may be off because they had to compute what the exchange did not report.

    Zero where everything is reported, and where the exchange's smallest unit is not known.

    Parameters
    ----------
    derived_operations : int
        Amounts among what is expected that were computed; more than 50 widen it no further.
    """
    if quantum is None:
        return ZERO
    return exact_mul(quantum, Decimal(min(derived_operations, _MOST_DERIVED)))


def quantum_of(values: Iterable[Decimal]) -> Decimal | None:
    """Find the smallest unit that an exchange writes of an asset; None if all `values` are whole numbers.

    Whole numbers do not tell it: two coins may be written as 2. The more values the better, and the step of the
    currency among them where the exchange tells it.
    """
    exponents = [value.as_tuple().exponent for value in values if value.is_finite()]
    smallest = min((exponent for exponent in exponents if isinstance(exponent, int)), default=0)
    return Decimal(1).scaleb(smallest) if smallest < 0 else None
