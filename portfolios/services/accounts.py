from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from portfolios.models import CircuitBreaker, ExchangeAccount, MarketCredential, SyncRun
from portfolios.models.choices import Health
from portfolios.services.audit import Actor, Kind, record
from portfolios.services.damaged_rows import readable
from portfolios.services.schedules import (
    Schedule,
    Scheduled,
    checked_cron,
    checked_zone,
    first_due,
    next_due,
    schedule_of,
)
from portfolios.services.shared_clock import CLOCKS_APART

# Rejections of a key after which the schedule leaves it alone.
MOST_REJECTIONS: Final = 3
# What the queue may take to begin what is due.
SCHEDULING: Final = timedelta(minutes=1)
# Between two that count, however fast an account is judged otherwise: an exchange that rejects keys for some minutes,
# as some do in trouble, has not revoked them.
BETWEEN_REJECTIONS: Final = timedelta(minutes=15)
# What an exchange asks for beyond that is taken as that.
LONGEST_STAY_AWAY: Final = timedelta(days=1)


class Watched(Scheduled, Protocol):
    """What of an account its health is told by: a list of a thousand reads no more than this."""

    @property
    def paused(self) -> bool: ...
    @property
    def rejections(self) -> int: ...
    @property
    def next_sync_at(self) -> datetime | None: ...


class Ended(Protocol):
    """What of its last run."""

    @property
    def status(self) -> str: ...
    @property
    def balances_read(self) -> bool: ...


def lag(account: ExchangeAccount) -> timedelta:
    """By how much the exchange's reads may trail its trades."""
    seconds = account.lag_seconds
    return timedelta(seconds=settings.POSSYNC_LAG_SECONDS if seconds is None else seconds)


def grace(account: ExchangeAccount) -> timedelta:
    """Return what must at least lie between two looks at a difference."""
    seconds = account.grace_seconds
    return timedelta(seconds=settings.POSSYNC_GRACE_SECONDS if seconds is None else seconds)


def account_health(account: ExchangeAccount, latest_run: Ended | None, now: datetime) -> Health:
    """Name the account's state in one word; `latest_run` is its last finished run, None if there is none yet."""
    return health_of(account, latest_run, now, is_locked=_is_locked(account))


def health_of(
    account: Watched, latest_run: Ended | None, now: datetime, *, is_locked: bool
) -> Health:
    """Name it of an account whose credential was looked at."""
    if account.paused:
        return Health.PAUSED
    if latest_run is None:
        return Health.NEW
    if account.rejections >= MOST_REJECTIONS:
        return Health.SUSPENDED
    if is_locked:
        return Health.LOCKED
    is_blind = latest_run.status == SyncRun.Status.PARTIAL and not latest_run.balances_read
    if is_blind or latest_run.status in (SyncRun.Status.FAILED, SyncRun.Status.LOST):
        return Health.FAILING
    return Health.LATE if is_late(account, now) else Health.OK


def is_late(account: Watched, now: datetime) -> bool:
    """Whether a whole further time of its schedule has gone by: not merely waiting for the next tick."""
    due = account.next_sync_at
    if due is None or due + SCHEDULING > now:
        return False
    return next_due(schedule_of(account), due, due) + SCHEDULING < now


def _is_locked(account: ExchangeAccount) -> bool:
    credential = getattr(account, "credential", None)
    return credential is not None and credential.state == MarketCredential.State.LOCKED


@transaction.atomic
def pause(account: ExchangeAccount, *, by: Actor = None) -> None:
    """Keep the schedule from syncing `account`; a run that is under way ends as usual."""
    ExchangeAccount.objects.filter(pk=account.pk).update(paused=True)
    record(Kind.PAUSE, by=by, account=account)


@transaction.atomic
def resume(account: ExchangeAccount, *, by: Actor = None) -> None:
    """Let the schedule sync `account` again, also one that was left alone because it failed or its key was rejected."""
    CircuitBreaker.objects.filter(account=account).delete()
    ExchangeAccount.objects.filter(pk=account.pk).update(
        paused=False, rejections=0, rejected_at=None, next_sync_at=timezone.now()
    )
    record(Kind.RESUME, by=by, account=account)


@transaction.atomic
def change_schedule(
    account: ExchangeAccount, schedule: Schedule, now: datetime, *, by: Actor = None
) -> None:
    """Sync `account` by `schedule` from now on, and not before the exchange wants to be read again.

    Raises
    ------
    ScheduleRefused
        If its cron is none.
    """
    before = schedule_of(account)
    cron = schedule.cron
    if cron:
        cron = checked_cron(cron, schedule.time_zone, now)
    account.interval_seconds = schedule.interval_seconds
    account.cron, account.time_zone = cron, checked_zone(schedule.time_zone)
    keep_to_schedule(account, now)
    account.save(update_fields=["interval_seconds", "cron", "time_zone", "next_sync_at"])
    if schedule_of(account) != before:
        detail = f"{schedule_text(before)} → {schedule_text(schedule_of(account))}"
        record(Kind.SCHEDULE, by=by, account=account, detail=detail)


def keep_to_schedule(account: ExchangeAccount, now: datetime) -> None:
    """Set the next sync of an account, whose schedule has changed, without saving it."""
    if account.next_sync_at is None:
        return
    due = first_due(schedule_of(account), account.next_sync_at, now)
    account.next_sync_at = max(due, account.stay_away_until or due)


def schedule_text(schedule: Schedule) -> str:
    """Write a schedule for the audit trail: ``300 s``, or ``0 8 * * 1-5 Europe/Berlin``."""
    if schedule.cron:
        return f"{schedule.cron} {schedule.time_zone}"
    return f"{schedule.interval_seconds} s"


def note_rejection(account: ExchangeAccount, now: datetime) -> None:
    """Count a run whose key was rejected; runs in quick succession count once."""
    if account.rejected_at is None or now - account.rejected_at >= BETWEEN_REJECTIONS:
        account.rejections = min(account.rejections + 1, MOST_REJECTIONS)
        account.rejected_at = now
        account.save(update_fields=["rejections", "rejected_at"])


def disturb(accounts: Iterable[int]) -> None:
    """Make the next sync of these accounts look at everything again: something was changed by hand."""
    changed = ExchangeAccount.objects.filter(pk__in=list(accounts))
    changed.update(quiet_run=None, disturbed_at=timezone.now())


def forget_rejections(account: ExchangeAccount) -> None:
    if account.rejections:
        account.rejections, account.rejected_at = 0, None
        account.save(update_fields=["rejections", "rejected_at"])


def due_accounts(now: datetime) -> list[ExchangeAccount]:
    """Accounts whose time has come, oldest first; one that was never scheduled is due at once.

    One whose key was rejected again and again is left alone, before the exchange locks it.
    """
    is_due = Q(next_sync_at=None) | Q(next_sync_at__lte=now)
    oldest_first = F("next_sync_at").asc(nulls_first=True)
    accounts = ExchangeAccount.objects.filter(is_due, paused=False, rejections__lt=MOST_REJECTIONS)
    return readable(accounts.order_by(oldest_first, "pk"))


def bring_back(now: datetime) -> None:
    """Make due what a clock that was ahead has put off: beyond the schedule, and beyond what anything else asks for."""
    latest = now + CLOCKS_APART
    ahead = ExchangeAccount.objects
    ahead.filter(stay_away_until__gt=latest + LONGEST_STAY_AWAY).update(stay_away_until=None)
    ahead.filter(rejected_at__gt=latest).update(rejected_at=now)
    ahead.filter(full_read_at__gt=latest).update(full_read_at=None, seldom_read_at=None)
    # What the queue reads of them and no more: there may be a thousand.
    # One that failed is put off by its breaker, as long as that says.
    put_off = ahead.filter(next_sync_at__gt=latest).exclude(breaker__retry_at__gt=now)
    rows = put_off.values_list(
        *("pk", "next_sync_at", "stay_away_until", "interval_seconds", "cron", "time_zone")
    )
    planned: dict[Schedule, datetime] = {}
    for pk, due, stay_away_until, *schedule in rows:
        by = Schedule(*schedule)
        by_schedule = planned.setdefault(by, next_due(by, now, now))
        if due > max(by_schedule, stay_away_until or now) + CLOCKS_APART:
            ahead.filter(pk=pk).update(next_sync_at=by_schedule if by.cron else now)


def schedule_next(account: ExchangeAccount, now: datetime, *, stay_away: float = 0) -> None:
    """Set the next sync by the account's own schedule: a slow run, or one ahead of its time, does not shift it.

    Parameters
    ----------
    stay_away : float
        Seconds from `now` for which the exchange asked not to be read; more than a day is taken as a day.
    """
    set_next(account, now, stay_away=stay_away)
    account.save(update_fields=["next_sync_at", "stay_away_until"])


def set_next(account: ExchangeAccount, now: datetime, *, stay_away: float = 0) -> None:
    """As `schedule_next`, for a caller that saves the account."""
    slot = next_due(schedule_of(account), account.next_sync_at or now, now)
    asked = now + min(LONGEST_STAY_AWAY, _seconds(stay_away))
    account.next_sync_at = max(slot, asked)
    account.stay_away_until = asked if stay_away > 0 else None


def _seconds(value: float) -> timedelta:
    try:
        return timedelta(seconds=value)
    except (OverflowError, ValueError):  # what an exchange sends may be any number
        return timedelta.max
