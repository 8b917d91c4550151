"""The life of a sync run: opened, claimed under a lease, renewed, closed or lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import F, Model, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services import leases
from portfolios.services.accounts import schedule_next, set_next
from portfolios.services.breakers import set_aside, set_aside_ids
from portfolios.services.credentials import accounts_of_the_keys, key_of
from portfolios.services.damaged_rows import readable
from portfolios.services.incidents import record_incident
from portfolios.services.shared_clock import CLOCKS_APART, shared_now
from providers.reports import LegError

log = structlog.get_logger(__name__)
Status = SyncRun.Status
# Where it is noted when a stage began; reading begins with the claim.
_BEGINS_AT: Final = {
    SyncRun.Stage.APPLYING: "applying_at",
    SyncRun.Stage.JUDGING: "judging_at",
}
OPEN_STATUSES = (Status.QUEUED, Status.RUNNING)


def open_run(
    account: ExchangeAccount, trigger: SyncRun.Trigger, requested_by: AbstractBaseUser | None = None
) -> tuple[SyncRun, bool]:
    """Return the account's open run, and whether it was opened here: there is at most one."""
    asker = requested_by.pk if requested_by is not None else None
    for _attempt in range(3):
        # In the order of the index that finds it: of all runs of the account none else is looked at.
        run = account.runs.filter(status__in=OPEN_STATUSES).order_by("status").first()
        if run is not None:
            return run, False
        try:
            with transaction.atomic():
                return SyncRun.objects.create(
                    account=account, trigger=trigger, requested_by_id=asker
                ), True
        except IntegrityError:
            continue  # somebody else opened it in between
    raise IntegrityError(f"No run could be opened for {account}.")


def open_runs(
    accounts: Collection[int],
    trigger: SyncRun.Trigger,
    requested_by: AbstractBaseUser | None = None,
) -> list[tuple[SyncRun, bool]]:
    """Return the open run of each account, and whether it was opened here; as many queries for a thousand as for two.

    One that somebody else closes in between may be left out: its account was synced.
    """
    asker = requested_by.pk if requested_by is not None else None
    there = SyncRun.objects.filter(account__in=accounts, status__in=OPEN_STATUSES).order_by("pk")
    found = {run.account_id: run for run in there}
    wanted = [
        SyncRun(account_id=account, trigger=trigger, requested_by_id=asker)
        # In one order, whoever opens them, so that nobody waits in a circle.
        for account in sorted(accounts)
        if account not in found
    ]
    if not wanted:
        return [(run, False) for run in found.values()]
    # Whoever opens one at the same time is first; then that one is found.
    SyncRun.objects.bulk_create(wanted, ignore_conflicts=True)
    return [(run, run.account_id not in found) for run in there.all()]


def claim_run(run_id: int) -> SyncRun | None:
    """Take the run and its account's lease; None if it is not waiting, or an account with the same key is held."""
    return next(iter(claim_runs([run_id])), None)


@transaction.atomic
def claim_runs(run_ids: Sequence[int]) -> list[SyncRun]:
    """Take those of the runs that wait, and their accounts' leases, in as many statements for one as for many.

    Left out is one whose account is held, or another account with the same key: those are read one after the other.
    The attempts are counted here, before any work: one that kills its worker counts as well.
    """
    now = shared_now()
    accounts = leases.lock_accounts_of_the_keys_of(ExchangeAccount.objects.filter(runs__in=run_ids))
    # Read only now: until the accounts were locked, another worker may have claimed and even closed one.
    rows = SyncRun.objects.filter(pk__in=run_ids, status=Status.QUEUED)
    waiting = {run.pk: run for run in rows}
    held = {key_of(account) for account in accounts.values() if leases.is_held(account, now)}
    claimed: list[SyncRun] = []
    for run in filter(None, map(waiting.get, dict.fromkeys(run_ids))):
        account = accounts.get(run.account_id)
        if account is not None and key_of(account) not in held:
            held.add(key_of(account))
            run.account = account
            claimed.append(run)
    if claimed:
        _take(claimed, now)
    return claimed


def _take(claimed: Sequence[SyncRun], now: datetime) -> None:
    """Write what `claim_runs` has chosen; the caller has locked the accounts."""
    leased: dict[str, Any] = {"lease_expires_at": now + leases.lease()}
    begun: dict[str, Any] = {
        "status": Status.RUNNING,
        "stage": SyncRun.Stage.FETCHING,
        "started_at": now,
        "progress_done": 0,
        "progress_total": 0,
    }
    for run in claimed:
        run.account.lease_fence += 1
        run.fence = run.account.lease_fence
        run.attempts += 1
        set_values(run.account, leased)
        set_values(run, begun)
    accounts = ExchangeAccount.objects.filter(pk__in=[run.account_id for run in claimed])
    accounts.update(lease_fence=F("lease_fence") + 1, **leased)
    fence = ExchangeAccount.objects.filter(pk=OuterRef("account")).values("lease_fence")
    SyncRun.objects.filter(pk__in=[run.pk for run in claimed]).update(
        attempts=F("attempts") + 1, fence=Subquery(fence), **begun
    )


def begun_at(run: SyncRun) -> datetime:
    """When the run was claimed, and the key read with which it asks."""
    return run.started_at or run.queued_at


def set_values(row: Model, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def waiting_for_the_key_of(account_id: int) -> list[int]:
    """Ids of the runs that nobody has begun, of the accounts that use this one's key."""
    account = ExchangeAccount.objects.select_related("credential").get(pk=account_id)
    key = key_of(account)
    accounts = accounts_of_the_keys([key]).select_related("credential")
    of_the_key = [each.pk for each in accounts if key_of(each) == key]
    waiting = SyncRun.objects.filter(account__in=of_the_key, status=Status.QUEUED)
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def show_progress(
    run: SyncRun, stage: SyncRun.Stage, done: int = 0, total: int = 0, *, of: str = ""
) -> None:
    """Write how far the run is, for the page that polls it; a run that was taken over is left alone.

    Parameters
    ----------
    of : str
        The kind of read that `done` and `total` count, if they count reads.
    """
    shown: dict[str, Any] = {
        "stage": stage,
        "progress_done": done,
        "progress_total": total,
        "progress_of": of,
    }
    if stage != run.stage and stage in _BEGINS_AT:
        shown[_BEGINS_AT[stage]] = timezone.now()
    for name, value in shown.items():
        setattr(run, name, value)
    SyncRun.objects.filter(pk=run.pk, fence=run.fence, status=Status.RUNNING).update(**shown)


@transaction.atomic
def close_run(
    run: SyncRun,
    status: SyncRun.Status,
    message: str = "",
    *,
    stay_away: float = 0,
    is_quiet: bool = False,
) -> None:
    """End the run, let go of its account and say when that is due again.

    Parameters
    ----------
    stay_away : float
        Seconds for which the exchange asked not to be read.
    is_quiet : bool
        Whether the next run that reads the same would find nothing to do.

    Raises
    ------
    LeaseLost
        If the account was taken from this run since; nothing is written then.
    """
    end_run(run, leases.lock_account(run), status, message, stay_away=stay_away, is_quiet=is_quiet)


def end_run(
    run: SyncRun,
    account: ExchangeAccount,
    status: SyncRun.Status,
    message: str = "",
    *,
    stay_away: float = 0,
    is_quiet: bool = False,
) -> None:
    """As `close_run`, for a caller that holds `lock_account` of the run."""
    now = timezone.now()
    run.status, run.message, run.finished_at = status, message[:500], now
    if status != Status.FAILED:  # a failed run shows how far it came
        run.stage = SyncRun.Stage.DONE
    run.save()
    account.lease_expires_at = None
    account.quiet_run = run if is_quiet else None
    set_next(account, now, stay_away=stay_away)
    account.save(update_fields=["lease_expires_at", "quiet_run", "next_sync_at", "stay_away_until"])


def heal_abandoned_runs(*, most: int | None = None) -> list[SyncRun]:
    """Close runs whose worker vanished as lost, oldest first, and return the runs that are to be queued.

    A run is abandoned if it is running without a live lease; another run tries again in its place, as often as is
    allowed. One that is queued for longer than a lease has probably lost its task; queueing it twice does no harm.

    Parameters
    ----------
    most : int or None
        Abandoned runs to close now; all of them if None.
    """
    now = shared_now()
    lapsed = Q(account__lease_expires_at=None) | Q(account__lease_expires_at__lte=now)
    abandoned = SyncRun.objects.filter(lapsed, status=Status.RUNNING).values_list("pk", flat=True)
    lost = abandoned.order_by("pk")[:most]
    tried_again = [run for run_id in lost if (run := _lose_apart(run_id, now)) is not None]
    waiting = SyncRun.objects.filter(_waits_for_long(now), status=Status.QUEUED)
    return [*readable(waiting.select_related("account").order_by("pk")), *tried_again]


def _waits_for_long(now: datetime) -> Q:
    """Whether a run that nobody has begun has probably lost its task; one of later than now was opened by no clock."""
    return Q(queued_at__lt=now - leases.lease()) | Q(queued_at__gt=now + CLOCKS_APART)


def _lose_apart(run_id: int, now: datetime) -> SyncRun | None:
    try:
        return _lose(run_id, now)
    except Exception:  # one account that cannot be healed keeps no other waiting
        log.exception("run_not_healed", run=run_id)
        return None


@transaction.atomic
def _lose(run_id: int, now: datetime) -> SyncRun | None:
    """Close an abandoned run, and open the one that tries again; None if it is not to be tried again."""
    account = _locked_account_of(run_id)
    run = SyncRun.objects.filter(pk=run_id, status=Status.RUNNING).first()
    if account is None or run is None or leases.is_held(account, now):
        return None
    # A worker that only slept must not write into the next attempt.
    account.lease_fence += 1
    account.lease_expires_at = None
    account.save(update_fields=["lease_fence", "lease_expires_at"])
    run.status, run.finished_at = Status.LOST, now
    is_poison = run.attempts >= settings.POSSYNC_MAX_ATTEMPTS or bool(set_aside_ids([account.pk]))
    run.message = _("The worker vanished while it synced this account.")
    if is_poison:
        run.message += " " + _set_aside(account, now)
    run.save()
    error = LegError(category="bug", kind="WorkerVanished", message=run.message)
    record_incident(account, error, "sync.run", run=run)
    if not is_poison and not account.paused:
        return SyncRun.objects.create(
            account=account,
            trigger=run.trigger,
            requested_by_id=run.requested_by_id,
            attempts=run.attempts,
        )
    if not is_poison:
        schedule_next(account, now)
    return None


def _set_aside(account: ExchangeAccount, now: datetime) -> str:
    """Keep an account that ends its workers from doing so again and again, and say so."""
    schedule_next(account, now)
    return _(
        "Every attempt did so: the account is set aside until %(time)s UTC, and then tried once, alone. The worker's "
        "log may say why; the usual reason is memory. Sync now tries at once."
    ) % {"time": f"{set_aside(account, now):%Y-%m-%d %H:%M}"}


def _locked_account_of(run_id: int) -> ExchangeAccount | None:
    accounts = ExchangeAccount.objects.select_for_update(of=("self",))
    return accounts.filter(runs=run_id).first()
