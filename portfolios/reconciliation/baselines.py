"""What an account's first read may have left out or held already, since it was a read like any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate, combinations
from types import MappingProxyType
from typing import Final

from portfolios.amounts import difference, exact, exact_sum
from portfolios.reconciliation.verdicts import (
    MAY_SWAP,
    Effect,
    Interval,
    Window,
    expected_interval,
)

ZERO = Decimal(0)
# More trades than these within a second are not mixed in every way.
_MOST_SWAPPED: Final = 5
_NOTHING: Final[Mapping[str, Decimal]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade about the time of the baseline.

    Parameters
    ----------
    amounts : Mapping of str to Decimal
        Signed changes by asset, fees included.
    is_in_baseline : bool
        Whether the books take it as having been in the baseline, and have booked nothing for it.
    """

    at: datetime
    amounts: Mapping[str, Decimal]
    is_in_baseline: bool


def are_booked(amounts: Sequence[Decimal], booked: Decimal) -> list[bool]:
    """Tell which movements make up what was booked of them together.

    The newest, if they come to just that: a rebate among fees makes the sum of some larger than that of all. Otherwise
    each that leaves no more booked than there was.

    Parameters
    ----------
    amounts : sequence of Decimal
        Signed, newest first.
    """
    left = [*accumulate(amounts, difference, initial=booked)]
    if ZERO in left:
        return [number < left.index(ZERO) for number in range(len(amounts))]
    found = []
    for amount in amounts:
        rest = difference(booked, amount)
        # One of another sign, or larger than what is left, leaves more.
        found.append(rest * amount >= 0)
        booked = rest if found[-1] else booked
    return found


def baseline_interval(
    effects: Iterable[Effect], window: Window, lag: timedelta, assumed: Decimal
) -> Interval:
    """Tell what may have to be added to all that the books expect, since the baseline was a read like any other.

    `point` is zero: the books as they are.

    Parameters
    ----------
    effects : iterable of Effect
        Those about the time of the baseline, whether booked or taken as having been in it.
    window, lag
        Of the read that became the baseline.
    assumed : Decimal
        Sum of those of `effects` that the books take as having been in it.
    """
    known = list(effects)
    shown = expected_interval(exact_sum(effect.amount for effect in known), known, window, lag)
    correction = Interval.of(assumed) + -shown
    return replace(correction, point=ZERO)


def baseline_corrections(
    trades: Iterable[Trade], window: Window, lag: timedelta
) -> tuple[Mapping[str, Decimal], ...]:
    """Give what has to be added to what the books expect, by asset, for all that the baseline may have held.

    It held the first few of the uncertain trades in order of time (of equal times, in the order given); of those less
    than a second older than the last of them, any may be missing, as in every read. There is always a first.
    """
    in_time = sorted(trades, key=lambda trade: trade.at)
    uncertain = [trade for trade in in_time if window.low - lag < trade.at <= window.high]
    earlier = [trade for trade in in_time if trade.at <= window.low - lag]
    later = [trade for trade in in_time if trade.at > window.high]
    found: dict[tuple[tuple[str, Decimal], ...], Mapping[str, Decimal]] = {}
    for k in range(len(uncertain) + 1):
        for gone in _swapped(uncertain[:k]):
            held = [trade for n, trade in enumerate(uncertain[:k]) if n not in gone]
            missing = [trade for n, trade in enumerate(uncertain) if n >= k or n in gone]
            correction = _correction([*earlier, *held], [*missing, *later])
            found.setdefault(tuple(sorted(correction.items())), correction)
    return tuple(found.values())


def are_all_listed(trades: Iterable[Trade], window: Window, lag: timedelta) -> bool:
    """Whether `baseline_corrections` leaves no mixture out; of many trades within a second it mixes only some."""
    times = sorted(trade.at for trade in trades if window.low - lag < trade.at <= window.high)
    return all(
        last - first >= MAY_SWAP
        for first, last in zip(times, times[_MOST_SWAPPED + 1 :], strict=False)
    )


def _swapped(shown: Sequence[Trade]) -> Iterator[tuple[int, ...]]:
    """List which of `shown` the exchange may have posted after the last of them."""
    last = len(shown) - 1
    near = [n for n in range(last) if shown[last].at - shown[n].at < MAY_SWAP][-_MOST_SWAPPED:]
    for count in range(len(near) + 1):
        yield from combinations(near, count)


def _correction(held: Iterable[Trade], missing: Iterable[Trade]) -> dict[str, Decimal]:
    """Take back what is booked of trades that the baseline held, and add the others that are not booked."""
    changes = [(trade.amounts, -1) for trade in held if not trade.is_in_baseline]
    changes += [(trade.amounts, 1) for trade in missing if trade.is_in_baseline]
    sums: dict[str, Decimal] = {}
    with exact():
        for amounts, sign in changes:
            for asset, amount in amounts.items():
                sums[asset] = sums.get(asset, ZERO) + sign * amount
    return {asset: amount for asset, amount in sums.items() if amount}


def settled_baseline(
    residuals: Mapping[str, Decimal],
    corrections: Sequence[Mapping[str, Decimal]],
    tolerances: Mapping[str, Decimal] = _NOTHING,
) -> int | None:
    """Find which of `corrections` is the true one; None if that is not proved.

    Parameters
    ----------
    residuals : Mapping of str to Decimal
        Of the assets that a later look could judge to the last digit. The first such look is to be taken: what is
        missed later may look like a trade of then.
    corrections : sequence of Mapping
        As `baseline_corrections` gives them.
    """
    fitting = [
        k
        for k, correction in enumerate(corrections)
        if all(
            difference(residual, correction.get(asset, ZERO)).copy_abs()
            <= tolerances.get(asset, ZERO)
            for asset, residual in residuals.items()
        )
    ]
    if not fitting or any(corrections[k] != corrections[fitting[0]] for k in fitting):
        return None
    return fitting[0]


def leading_baseline(
    residuals: Mapping[str, Decimal], corrections: Sequence[Mapping[str, Decimal]]
) -> int | None:
    """Find which of `corrections` explains all that any other one does, and more; None if none is ahead of all.

    For when no look proved one: what moved without a record hides some assets of a trade, not all of them. What differs
    then is what moved, and not the trade on top of it.

    Parameters
    ----------
    residuals, corrections
        As of `settled_baseline`.
    """
    agreed = [
        {asset for asset, residual in residuals.items() if residual == correction.get(asset, ZERO)}
        for correction in corrections
    ]
    most = max(range(len(corrections)), key=lambda k: len(agreed[k]), default=None)
    if most is None:
        return None
    others = (k for k in range(len(corrections)) if corrections[k] != corrections[most])
    return most if all(agreed[k] < agreed[most] for k in others) else None
