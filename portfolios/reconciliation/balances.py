"""Whether the books agree with the exchange on one asset, and by what that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from portfolios.amounts import difference, exact_sum
from portfolios.reconciliation.verdicts import (
    NOT_SETTLED,
    Effect,
    Interval,
    Judgement,
    Verdict,
    Window,
    expected_interval,
    explained,
    judge,
    open_effects,
)

ZERO = Decimal(0)
NONE: Final = Interval(ZERO, ZERO, ZERO)
NEW_ASSET = "new asset"
VANISHED = "vanished"
DRIFT = "drift"
UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one asset of one read is judged by.

    Parameters
    ----------
    total : Decimal or None
        As the exchange tells it; None if it does not.
    expected : Decimal
        Sum of all that is booked, `effects` included.
    tolerance : Decimal
        Units by which amounts that we had to compute may be off.
    lag : timedelta
        How long the exchange may take at most until an effect shows in its balances.
    pending : Decimal
        What movements on their way make the total differ by: some exchanges count them sooner or later than the books.
    on_way : tuple of Decimal
        Where that is not known, each amount that it may be.
    doubt : Interval
        What may have to be added to the books while the baseline is not settled.
    corrections : tuple of Decimal
        The same, each amount that it may be.
    is_listed : bool
        Whether it is nothing or one of `corrections`, and no other amount within `doubt`.
    """

    total: Decimal | None
    expected: Decimal
    window: Window
    lag: timedelta
    effects: tuple[Effect, ...] = ()
    tolerance: Decimal = ZERO
    pending: Decimal = ZERO
    on_way: tuple[Decimal, ...] = ()
    doubt: Interval = field(default=NONE)
    corrections: tuple[Decimal, ...] = ()
    is_listed: bool = False

    @property
    def booked(self) -> Interval:
        """What the books expect of the read."""
        expected = exact_sum((self.expected, self.pending))
        return expected_interval(expected, self.effects, self.window, self.lag) + self.doubt

    def without_certain(self) -> Evidence:
        """Leave out the effects that are in every such read: they change nothing."""
        return replace(self, effects=tuple(open_effects(self.effects, self.window, self.lag)))


def judged(evidence: Evidence) -> Judgement:
    """Judge as if all that happened up to the read were known.

    It differs beyond doubt if it does whatever of the movements on their way the exchange has counted, and whatever of
    the trades about its time the baseline contains.
    """
    found = _judged_on_all_ways(evidence)
    if found.verdict is not Verdict.CONSISTENT or not evidence.is_listed:
        return found
    sure = replace(evidence, corrections=(), is_listed=False)
    baselines = [replace(sure, doubt=Interval.of(each)) for each in (ZERO, *evidence.corrections)]
    differs = all(map(_differs_on_all_ways, baselines))
    return replace(found, verdict=Verdict.DIFFERS) if differs else found


def _differs_on_all_ways(evidence: Evidence) -> bool:
    """Whether it does, whatever of the movements on their way is counted; what may make it up is not asked."""
    ways = (replace(evidence, pending=amount) for amount in evidence.on_way or (evidence.pending,))
    return all(_compared(way).verdict is Verdict.DIFFERS for way in ways)


def _judged_on_all_ways(evidence: Evidence) -> Judgement:
    if not evidence.on_way:
        return _judged(evidence)
    ways = [_judged(replace(evidence, pending=amount, on_way=())) for amount in evidence.on_way]
    if any(way.low is None or way.high is None for way in ways):
        return ways[0]
    differs = all(way.verdict is Verdict.DIFFERS for way in ways)
    return Judgement(
        Verdict.DIFFERS if differs else Verdict.CONSISTENT,
        low=min(way.low for way in ways if way.low is not None),
        high=max(way.high for way in ways if way.high is not None),
        residual=ways[0].residual,
        reason=next((way.reason for way in ways if way.reason), ""),
    )


def _compared(evidence: Evidence) -> Judgement:
    return judge(evidence.total, evidence.booked, evidence.tolerance, is_settled=True)


def _judged(evidence: Evidence) -> Judgement:
    return explained(
        _compared(evidence),
        evidence.effects,
        evidence.window,
        evidence.lag,
        evidence.tolerance,
        evidence.corrections,
    )


def provisional(judgement: Judgement) -> Judgement:
    """Take the word back that is said before all is known: the numbers stay."""
    if judgement.verdict is Verdict.NOT_VERIFIABLE:
        return judgement
    return replace(judgement, verdict=Verdict.PROVISIONAL, reason=NOT_SETTLED)


def expected_then(evidence: Evidence, judgement: Judgement) -> Decimal:
    """Tell what the books likely expect of the read: `total` less the residual."""
    if evidence.total is None or judgement.residual is None:
        return evidence.booked.point
    return difference(evidence.total, judgement.residual)


def balance_cause(
    total: Decimal | None,
    expected: Decimal,
    *,
    known_before: bool,
    agreed_by: Sequence[Decimal] = (),
) -> str:
    """Name the kind of difference, as far as the numbers tell.

    Parameters
    ----------
    known_before : bool
        Whether the asset has agreed at an earlier look.
    agreed_by : sequence of Decimal
        Residuals of the last looks within the tolerance, oldest first: steps of one sign have added up.
    """
    if not known_before and not expected:
        return NEW_ASSET
    if expected > 0 and not total:
        return VANISHED
    return DRIFT if _grows(agreed_by) else UNEXPLAINED


def _grows(residuals: Sequence[Decimal]) -> bool:
    """Whether the residuals go one way from nothing: each as far as the one before or farther, the last beyond it."""
    if len(residuals) < 2 or not residuals[-1]:
        return False
    sign = 1 if residuals[-1] > 0 else -1
    one_way = [residual * sign for residual in residuals]
    return one_way[0] >= 0 and one_way == sorted(one_way) and one_way[0] < one_way[-1]
