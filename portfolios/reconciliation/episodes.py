"""The life of a discrepancy from one look to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from portfolios.amounts import difference
from portfolios.reconciliation.verdicts import STALE, STALE_AT_MOST, Judgement, Verdict

REPEATED = "repeated"
_JUDGED: Final = (Verdict.VERIFIED, Verdict.CONSISTENT, Verdict.DIFFERS)
# As often among the last looks is no accident.
_OFTEN: Final = 4
LAST_LOOKS: Final = 6


class Step(StrEnum):
    """`BEGIN` and `RESOLVE` are of balances only."""

    STAY = "stay"
    BEGIN = "begin"
    OPEN = "open"
    RESTART = "restart"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Episode:
    is_suspected: bool
    difference: Decimal | None
    first_seen: datetime


def next_step(
    episode: Episode, difference: Decimal | None, seen_at: datetime, settle: timedelta
) -> Step:
    """Decide what seeing the discrepancy again means.

    A suspicion opens when the same difference is found again at least `settle` later; one of another size is a new
    suspicion, since something was still moving. An open one stays open whatever its size.
    """
    if not episode.is_suspected:
        return Step.STAY
    if difference != episode.difference:
        return Step.RESTART
    return Step.OPEN if seen_at - episode.first_seen >= settle else Step.STAY


@dataclass(frozen=True, slots=True)
class Look:
    """One judged look at one asset; `seen_at` is when its balance was read, by our clock."""

    seen_at: datetime
    judged: Judgement


@dataclass(frozen=True, slots=True)
class BalanceEpisode:
    """One asset of which the books and the exchange differ.

    Parameters
    ----------
    low, high : Decimal
        The difference lies between these: what all looks so far leave of it.
    stale_since : datetime or None
        Since when every look could be of an old balance; while that may be, the episode does not open.
    confidence : str
        `REPEATED` if it opened because it was seen often, though no amount was proved twice.
    """

    is_open: bool
    low: Decimal
    high: Decimal
    first_seen: datetime
    stale_since: datetime | None = None
    confidence: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a look means, and the episode after it; None if there is none.

    On `BEGIN` the episode is new, on `RESTART` it takes the place of one that has ended: suspected or open as it says.
    On `OPEN` it is the one there was, or a new one if there was none.
    """

    step: Step
    episode: BalanceEpisode | None


def next_turn(
    episode: BalanceEpisode | None,
    looks: Sequence[Look],
    *,
    grace: timedelta,
    tolerance: Decimal,
) -> Turn:
    """Decide what the last of `looks` means for the asset.

    It opens when two looks at least `grace` apart leave no doubt and their difference may be the same one. A look that
    fits the books only perhaps neither opens nor resolves, unless look after look no moment of the read explains it.

    Parameters
    ----------
    looks : sequence of Look
        The last six, oldest first, this one at the end; more do no harm. Those that could not be judged, or are not
        settled, do not count.
    """
    now = looks[-1]
    if now.judged.verdict is Verdict.VERIFIED:
        return Turn(Step.STAY if episode is None else Step.RESOLVE, None)
    seen = _episode_of(now)
    if seen is None:
        return Turn(Step.STAY, episode)
    repeated = _repeated(looks, grace, tolerance)
    if now.judged.verdict is Verdict.CONSISTENT:
        return _perhaps(episode, repeated, tolerance)
    if episode is None:
        return Turn(Step.OPEN, _opened(repeated)) if repeated else Turn(Step.BEGIN, seen)
    seen = _stale_as_long(episode, seen)
    same = _narrowed(episode, seen, tolerance)
    if same is None:
        # An asset that differs look after look does so beyond doubt, though never by the same amount.
        return Turn(Step.RESTART, _opened(seen) if repeated or _is_overdue(seen) else seen)
    return _differs_again(same, seen, grace, is_repeated=repeated is not None)


def _perhaps(
    episode: BalanceEpisode | None, repeated: BalanceEpisode | None, tolerance: Decimal
) -> Turn:
    if episode is None:
        return Turn(Step.OPEN, _opened(repeated)) if repeated else Turn(Step.STAY, None)
    # An exchange that shows no older balance than it may has caught up.
    episode = replace(episode, stale_since=None)
    if episode.is_open or repeated is None:
        return Turn(Step.STAY, episode)
    same = _narrowed(episode, repeated, tolerance)
    if same is None:
        return Turn(Step.RESTART, _opened(repeated))
    return Turn(Step.OPEN, _opened(same))


def _differs_again(
    same: BalanceEpisode, seen: BalanceEpisode, grace: timedelta, *, is_repeated: bool
) -> Turn:
    if same.is_open:
        return Turn(Step.STAY, same)
    is_held = same.stale_since is not None and not _is_overdue(seen)
    if seen.first_seen - same.first_seen >= grace and not is_held:
        return Turn(Step.OPEN, replace(same, is_open=True))
    return Turn(Step.OPEN, _opened(same)) if is_repeated else Turn(Step.STAY, same)


def _episode_of(look: Look) -> BalanceEpisode | None:
    """Give the episode that would begin with `look`; None if it could not be judged."""
    judged = look.judged
    if judged.verdict not in _JUDGED or judged.low is None or judged.high is None:
        return None
    return BalanceEpisode(
        is_open=False,
        low=judged.low,
        high=judged.high,
        first_seen=look.seen_at,
        stale_since=look.seen_at if judged.reason == STALE else None,
    )


def _opened(episode: BalanceEpisode) -> BalanceEpisode:
    return replace(episode, is_open=True, confidence=REPEATED)


def _stale_as_long(episode: BalanceEpisode, seen: BalanceEpisode) -> BalanceEpisode:
    if seen.stale_since is None or episode.stale_since is None:
        return seen
    return replace(seen, stale_since=episode.stale_since)


def _is_overdue(seen: BalanceEpisode) -> bool:
    return seen.stale_since is not None and seen.first_seen - seen.stale_since >= STALE_AT_MOST


def _narrowed(
    episode: BalanceEpisode, seen: BalanceEpisode, tolerance: Decimal
) -> BalanceEpisode | None:
    """Leave of the difference what both allow; None if it cannot be the same one.

    Where they meet only by the tolerance the older stays, so that small steps do not add up unseen.
    """
    if difference(seen.low, episode.high) > tolerance:
        return None
    if difference(episode.low, seen.high) > tolerance:
        return None
    low, high = max(episode.low, seen.low), min(episode.high, seen.high)
    if low > high:
        low, high = episode.low, episode.high
    return replace(episode, low=low, high=high, stale_since=seen.stale_since)


def _repeated(looks: Sequence[Look], grace: timedelta, tolerance: Decimal) -> BalanceEpisode | None:
    """Give the difference that the four latest looks share which no moment of reading explains.

    They are of the last six that were judged, and of the time since the asset last agreed. Four that leave no doubt on
    the same side share it by that, whatever the amounts: the last one's is given.
    """
    recent = [look for look in looks if look.judged.verdict in _JUDGED][-LAST_LOOKS:]
    same = [look for look in _since_agreement(recent) if not look.judged.reason][-_OFTEN:]
    if len(same) < _OFTEN or same[-1] is not looks[-1]:
        return None
    if same[-1].seen_at - same[0].seen_at < grace:
        return None
    first, *others = [_episode_of(look) for look in same]
    shared = first
    for other in others:
        shared = shared and other and _narrowed(shared, other, tolerance)
    if shared is None and first is not None and others[-1] is not None and _on_one_side(same):
        return replace(others[-1], first_seen=first.first_seen)
    return shared


def _since_agreement(looks: Sequence[Look]) -> Sequence[Look]:
    agreed = [n for n, look in enumerate(looks) if look.judged.verdict is Verdict.VERIFIED]
    return looks[agreed[-1] + 1 :] if agreed else looks


def _on_one_side(looks: Sequence[Look]) -> bool:
    if any(look.judged.verdict is not Verdict.DIFFERS for look in looks):
        return False
    return len({(look.judged.residual or 0) < 0 for look in looks}) == 1
