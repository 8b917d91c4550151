"""The life of a discrepancy from one look to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Step(StrEnum):
    STAY = "stay"
    OPEN = "open"
    RESTART = "restart"


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
