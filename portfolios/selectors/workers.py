from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from portfolios.models import WorkerBeat
from portfolios.services.shared_clock import CLOCKS_APART

# The beat comes with the schedule, once a minute; two may be missed before it is news.
SILENT_AFTER = timedelta(seconds=150)


@dataclass(frozen=True, slots=True)
class Workers:
    """Whether anybody works on the queue.

    Parameters
    ----------
    beat_at : datetime or None
        Last sign of life; None if there has been none yet.
    """

    beat_at: datetime | None
    alive: bool

    @property
    def state(self) -> str:
        return "alive" if self.alive else "silent"


def workers(now: datetime) -> Workers:
    told = WorkerBeat.objects.filter(beat_at__lte=now + CLOCKS_APART)
    beat_at = told.order_by("-beat_at").values_list("beat_at", flat=True).first()
    return Workers(beat_at, beat_at is not None and now - beat_at < SILENT_AFTER)
