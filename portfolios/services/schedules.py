"""When an account is due: every so many seconds, or by a cron expression in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError
from django.utils.translation import gettext as _

CRON_FIELDS: Final = 5
MOST_CRON_CHARACTERS: Final = 100
# A week of a daily one, so that a weekend is seen.
_TIMES_THAT_TELL: Final = 9
# Zones by the name of a place; the rest are old names of the same ones.
_AREAS: Final = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)


class ScheduleRefused(ValueError):
    """A cron expression or a time zone that means nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often an account is synced.

    Parameters
    ----------
    cron : str
        Five fields; empty for every `interval_seconds`.
    time_zone : str
        IANA name of the zone by whose clocks the cron is meant.
    """

    interval_seconds: int
    cron: str = ""
    time_zone: str = "UTC"

    @property
    def interval(self) -> timedelta:
        """At least a second, whatever hands have written: a run that cannot tell the next time cannot end."""
        return timedelta(seconds=max(self.interval_seconds, 1))


class Scheduled(Protocol):
    """Where the schedule of an account stands: in its row, or in a part of that."""

    @property
    def interval_seconds(self) -> int: ...
    @property
    def cron(self) -> str: ...
    @property
    def time_zone(self) -> str: ...


def schedule_of(account: Scheduled) -> Schedule:
    return Schedule(account.interval_seconds, account.cron, account.time_zone)


@cache
def time_zones() -> tuple[str, ...]:
    """IANA names of places, UTC first."""
    return ("UTC", *sorted(x for x in available_timezones() if x.partition("/")[0] in _AREAS))


def checked_zone(name: str) -> str:
    """Return the name of a time zone that there is.

    Raises
    ------
    ScheduleRefused
        If there is none of this name.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleRefused(_("There is no time zone of this name.")) from None
    return name


def checked_cron(text: str, time_zone: str, now: datetime) -> str:
    """Return a cron expression with single blanks.

    Raises
    ------
    ScheduleRefused
        If it is none, or never comes.
    """
    fields = text.split()
    if len(fields) != CRON_FIELDS:
        raise ScheduleRefused(
            _("Expected five fields: minute, hour, day of the month, month, day of the week.")
        )
    cron = " ".join(fields)
    if len(cron) > MOST_CRON_CHARACTERS:
        raise ScheduleRefused(_("This is longer than a cron expression needs to be."))
    _by_cron(cron, time_zone, now)
    return cron


def next_due(schedule: Schedule, slot: datetime, now: datetime) -> datetime:
    """Return the first time after `now`: by the cron, or whole intervals from `slot`.

    A cron or a zone that is no longer known must not end the syncs: it goes by the interval then.
    """
    if schedule.cron:
        with suppress(ScheduleRefused):
            return _by_cron(schedule.cron, schedule.time_zone, now)
    return next_slot(slot, now, schedule.interval)


def first_due(schedule: Schedule, planned: datetime | None, now: datetime) -> datetime:
    """Return when an account is due next that gets this schedule now; one that is due stays so.

    Parameters
    ----------
    planned : datetime or None
        When it would have been due by its former schedule; None if it was never synced.
    """
    if planned is None or planned <= now:
        return now
    if schedule.cron:
        return next_due(schedule, planned, now)
    # A day's interval made a minute must not wait for the day to end.
    return min(planned, now + schedule.interval)


def upcoming(
    schedule: Schedule, planned: datetime | None, now: datetime, count: int
) -> list[datetime]:
    """List the next times, as `first_due` and `next_due` tell them."""

    def times() -> Iterator[datetime]:
        slot = first_due(schedule, planned, now)
        while True:
            yield slot
            slot = next_due(schedule, slot, slot)

    return list(islice(times(), count))


def longest_gap(schedule: Schedule, now: datetime) -> timedelta:
    """Tell how far apart the coming times are at most, as far as the next few show."""
    if not schedule.cron:
        return schedule.interval
    times = upcoming(schedule, None, now, _TIMES_THAT_TELL)[1:]
    return max(later - earlier for earlier, later in pairwise(times))


def next_slot(slot: datetime, now: datetime, interval: timedelta) -> datetime:
    """Return the first time after `now` that is whole intervals from `slot`, which may be past or to come."""
    return slot + interval * ((now - slot) // interval + 1)


def _by_cron(cron: str, time_zone: str, now: datetime) -> datetime:
    """Return the first time after `now`.

    As Debian's cron does: a time of day that is skipped comes as soon as the clocks are set forward, one that comes
    twice counts once; what repeats within hours goes by real time.
    """
    zone = ZoneInfo(checked_zone(time_zone))
    try:
        for moment in CronSim(cron, now.astimezone(zone)):
            # The first of two equal times of day may be past already in the second.
            if (at := moment.astimezone(UTC)) > now:
                return at
    except CronSimError as e:
        raise ScheduleRefused(
            _("This is no cron expression: %(reason)s.") % {"reason": str(e).lower()}
        ) from None
    except OverflowError:  # beyond the year 9999
        pass
    raise ScheduleRefused(_("This time never comes."))
