"""What was done last when, for whoever does it again and again: a row for each name, by this host's clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from portfolios.models import WorkerBeat
from portfolios.services.shared_clock import CLOCKS_APART


def is_time(name: str, now: datetime, *, every: timedelta) -> bool:
    """Whether so much time has passed since it last was; one of those who ask at the same time is told so.

    The first time begins it only. What stands there is not read: it may be no time at all.
    """
    beats = WorkerBeat.objects.filter(name=name)
    recent = {"beat_at__gt": now - every, "beat_at__lte": now + CLOCKS_APART}
    if beats.filter(**recent).exists():
        return False
    if beats.exclude(**recent).update(beat_at=now):
        return True
    first = [WorkerBeat(name=name, beat_at=now)]
    WorkerBeat.objects.bulk_create(first, ignore_conflicts=True)
    return False
