"""When nothing is asked for a while: apart from `resilience`, whose library a page has no use for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Circuit(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """Keeps from asking what has failed again and again: longer each time, then one probe decides.

    Parameters
    ----------
    failures : int
        In a row, after which the circuit opens.
    first_pause, longest_pause : timedelta
        How long it stays open; each further failure doubles that.
    """

    failures: int
    first_pause: timedelta
    longest_pause: timedelta

    def pause(self, failures: int) -> timedelta | None:
        """How long nothing is asked after so many failures in a row; None while the circuit stays closed."""
        over = failures - self.failures
        if over < 0:
            return None
        # Beyond that the longest pause has long been reached.
        return min(self.first_pause * (1 << min(over, 20)), self.longest_pause)


def circuit(retry_at: datetime | None, now: datetime) -> Circuit:
    """Tell how a circuit stands that is tried again at `retry_at`; None if it never opened."""
    if retry_at is None:
        return Circuit.CLOSED
    return Circuit.OPEN if now < retry_at else Circuit.HALF_OPEN
