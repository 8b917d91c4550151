from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from portfolios.models import ExchangeAccount, MarketCredential, SyncRun
from portfolios.models.choices import Health

# Rejections of a key after which the schedule leaves it alone.
MOST_REJECTIONS: Final = 3


def lag(account: ExchangeAccount) -> timedelta:
    """By how much the exchange's reads may trail its trades."""
    seconds = account.lag_seconds
    return timedelta(seconds=settings.POSSYNC_LAG_SECONDS if seconds is None else seconds)


def grace(account: ExchangeAccount) -> timedelta:
    """Return what must at least lie between two looks at a difference."""
    seconds = account.grace_seconds
    return timedelta(seconds=settings.POSSYNC_GRACE_SECONDS if seconds is None else seconds)


def account_health(account: ExchangeAccount, latest_run: SyncRun | None, now: datetime) -> Health:
    """Name the account's state in one word; `latest_run` is its last finished run, None if there is none yet."""
    if account.paused:
        return Health.PAUSED
    if latest_run is None:
        return Health.NEW
    if account.rejections >= MOST_REJECTIONS:
        return Health.SUSPENDED
    if _is_locked(account):
        return Health.LOCKED
    is_blind = latest_run.status == SyncRun.Status.PARTIAL and not latest_run.balances_read
    if is_blind or latest_run.status in (SyncRun.Status.FAILED, SyncRun.Status.LOST):
        return Health.FAILING
    # One whole interval and a minute of scheduling beyond its time: late, not merely waiting for the next tick.
    overdue = timedelta(seconds=account.interval_seconds + 60)
    if account.next_sync_at is not None and account.next_sync_at + overdue < now:
        return Health.LATE
    return Health.OK


def _is_locked(account: ExchangeAccount) -> bool:
    credential = getattr(account, "credential", None)
    return credential is not None and credential.state == MarketCredential.State.LOCKED


def pause(account: ExchangeAccount) -> None:
    """Keep the schedule from syncing `account`; a run that is under way ends as usual."""
    ExchangeAccount.objects.filter(pk=account.pk).update(paused=True)


def resume(account: ExchangeAccount) -> None:
    """Let the schedule sync `account` again, also one whose key was rejected too often."""
    ExchangeAccount.objects.filter(pk=account.pk).update(
        paused=False, rejections=0, rejected_at=None, next_sync_at=timezone.now()
    )


def note_rejection(account: ExchangeAccount, now: datetime) -> None:
    """Count a run whose key was rejected; runs in quick succession count once."""
    if account.rejected_at is None or now - account.rejected_at >= grace(account):
        account.rejections = min(account.rejections + 1, MOST_REJECTIONS)
        account.rejected_at = now
        account.save(update_fields=["rejections", "rejected_at"])


def disturb(accounts: Iterable[int]) -> None:
    """Make the next sync of these accounts look at everything again: something was changed by hand."""
    quiet = ExchangeAccount.objects.filter(pk__in=list(accounts), quiet_run__isnull=False)
    quiet.update(quiet_run=None)


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
    return list(accounts.order_by(oldest_first, "pk"))


def schedule_next(account: ExchangeAccount, now: datetime, *, stay_away: float = 0) -> None:
    """Set the next sync on the account's own grid: a slow run, or one ahead of its time, does not shift it.

    Parameters
    ----------
    stay_away : float
        Seconds from `now` for which the exchange asked not to be read; more than a day is taken as a day.
    """
    interval = timedelta(seconds=account.interval_seconds)
    slot = next_slot(account.next_sync_at or now, now, interval)
    asked = now + min(timedelta(days=1), _seconds(stay_away))
    account.next_sync_at = max(slot, asked)
    account.stay_away_until = asked if stay_away > 0 else None
    account.save(update_fields=["next_sync_at", "stay_away_until"])


def next_slot(slot: datetime, now: datetime, interval: timedelta) -> datetime:
    """Return the first time after `now` that is whole intervals from `slot`, which may be past or to come."""
    return slot + interval * ((now - slot) // interval + 1)


def _seconds(value: float) -> timedelta:
    try:
        return timedelta(seconds=value)
    except (OverflowError, ValueError):  # what an exchange sends may be any number
        return timedelta.max
