"""The tasks that workers carry out, and how they come into the queue.

The queue is a wake-up hint: the runs in the database say what is to be done, so a lost, doubled or poisoned task
changes nothing that the next tick does not heal.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Any, Final

import structlog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, close_old_connections, transaction
from django.utils import timezone

from portfolios import queue
from portfolios.models import ApiToken, ExchangeAccount, SyncRun
from portfolios.pulse import Pulse
from portfolios.services import accounts, breakers, budgets, leases
from portfolios.services.accounts import due_accounts
from portfolios.services.audit import Actor, Kind, record
from portfolios.services.beats import is_time
from portfolios.services.breakers import admitted, note_probes, set_aside_ids
from portfolios.services.connection_test import execute_connection_test, note_test_asked
from portfolios.services.portfolio_sync import execute_runs
from portfolios.services.pruning import prune
from portfolios.services.runs import (
    heal_abandoned_runs,
    open_run,
    open_runs,
    waiting_for_the_key_of,
)
from portfolios.services.shared_clock import CLOCKS_APART

log = structlog.get_logger(__name__)
PRUNER: Final = "prune-old"
PRUNED_EVERY: Final = timedelta(days=1)
# As many as are read at the same time: a task that all of them keep waiting still ends before the queue's timeout.
MOST_RUNS_OF_A_TASK: Final = 20
PATIENCE: Final = timedelta(seconds=5)
# A sign of life is written no more often than that.
BEAT: Final = timedelta(seconds=5)
# Runs that a tick closes as lost: one transaction each, and the tick ends before the next.
MOST_LOST_OF_A_TICK: Final = 500
# In memory that the workers share with the process which watches them.
PULSE: Final = Pulse()


def enqueue_sync(
    account: ExchangeAccount, trigger: SyncRun.Trigger, requested_by: AbstractBaseUser | None = None
) -> SyncRun:
    """Return the account's open sync run, whoever opened it."""
    return join_or_enqueue_sync(account, trigger, requested_by)[0]


def join_or_enqueue_sync(
    account: ExchangeAccount, trigger: SyncRun.Trigger, requested_by: AbstractBaseUser | None = None
) -> tuple[SyncRun, bool]:
    """Return the account's open sync run and whether it is new; queue a task if it is or seems to have lost its own.

    The queue is a table of the same database: run and task are committed together.
    """
    with transaction.atomic():
        run, is_new = open_run(account, trigger, requested_by)
        if is_new or _waits(run):
            queue.put("sync_accounts", [run.pk])
    return run, is_new


def enqueue_sync_of_token(account: ExchangeAccount, token: ApiToken) -> SyncRun:
    """Return the account's open sync run; note whose token opened it, if it is new."""
    with transaction.atomic():
        run, is_new = join_or_enqueue_sync(account, SyncRun.Trigger.API, token.made_by)
        if is_new:
            record(Kind.SYNC, by=token.made_by, account=account, detail=token.name)
    return run


def enqueue_syncs(
    accounts: Iterable[ExchangeAccount],
    trigger: SyncRun.Trigger,
    requested_by: AbstractBaseUser | None = None,
) -> None:
    """Open a run of each account that has none, and queue them by the task: few queries, however many they are."""
    keys = [account.pk for account in accounts]
    with transaction.atomic():
        opened = open_runs(keys, trigger, requested_by)
        waiting = [run for run, is_new in opened if is_new or _waits(run)]
        for ids in tasks_of(waiting, settings.Q_CLUSTER["workers"]):
            queue.put("sync_accounts", ids)


def _waits(run: SyncRun) -> bool:
    """Whether its task may be lost, as it has waited for a while, or for no time at all; two of them do no harm."""
    waited = timezone.now() - run.queued_at
    return run.status == SyncRun.Status.QUEUED and not -CLOCKS_APART <= waited <= PATIENCE


def enqueue_connection_test(account: ExchangeAccount, *, by: Actor = None) -> None:
    """Have a worker read the account once for `by`; the result appears on its credential."""
    with transaction.atomic():
        note_test_asked(account, by=by)
        queue.put("test_connection", account.pk)


def _contained(task: Callable[..., None]) -> Callable[..., None]:
    """Keep what a task raises out of django-q2's result rows: it is logged, redacted, and healed by the next tick."""

    @wraps(task)
    def run(*args: Any) -> None:
        try:
            with PULSE.working(settings.Q_CLUSTER["timeout"]):
                # A task that begins has come all the way from the queue to a worker.
                is_time(queue.DISPATCHER, timezone.now(), every=BEAT)
                task(*args)
        except (Exception, queue.OutOfTime):
            log.exception("task_failed", task=task.__name__)

    return run


@_contained
def dispatch_due() -> None:
    """Queue every account whose time has come, and every run that lost its worker or its task.

    The one schedule of the queue; runs every minute.
    """
    now = timezone.now()
    _bring_back(now)
    queue.throw_away_what_nobody_takes(now)
    waiting = [*heal_abandoned_runs(most=MOST_LOST_OF_A_TICK), *_open_due(now)]
    dealt = tasks_of(waiting, settings.Q_CLUSTER["workers"])
    # Oldest first; a run that finds no room is found again by a later tick, as one that has lost its task.
    for ids in sorted(dealt, key=min)[: queue.room(now)]:
        queue.put("sync_accounts", ids)
    if is_time(PRUNER, now, every=PRUNED_EVERY):
        queue.put("prune_old")


def _bring_back(now: datetime) -> None:
    """Undo what a clock that was ahead has put off, once it is right again: nothing else would come back to it."""
    for name, bring_back in (
        ("breakers", partial(breakers.bring_back, now)),
        ("accounts", partial(accounts.bring_back, now)),
        ("budgets", budgets.bring_back),
        ("leases", leases.bring_back),
    ):
        try:
            bring_back()
        except Exception:  # what is due is done all the same
            log.exception("not_brought_back", what=name)


def _open_due(now: datetime) -> list[SyncRun]:
    """Open a run of each account whose time has come and that has none; few queries, however many they are."""
    due = {account.pk: account for account in admitted(due_accounts(now), now)}
    opened = [run for run, is_new in open_runs(due, SyncRun.Trigger.SCHEDULE) if is_new]
    note_probes([due[run.account_id] for run in opened], now)
    return opened


@_contained
def prune_old() -> None:
    # The last account that is begun in time ends before the queue ends the task.
    prune(
        timezone.now(),
        days=settings.POSSYNC_KEEP_DAYS,
        within=settings.Q_CLUSTER["timeout"] * 2 / 3,
    )


@_contained
def sync_accounts(run_ids: list[int]) -> None:
    execute_runs(run_ids, within=settings.Q_CLUSTER["timeout"])
    # What clients leave behind in circles goes before the next grows on top of it. All that a worker has loaded is
    # frozen, so there is little to look through.
    gc.collect()


@_contained
def test_connection(account_id: int) -> None:
    execute_connection_test(account_id)
    # A sync that came meanwhile found the key in use, and would wait for the next tick.
    if waiting := waiting_for_the_key_of(account_id):
        queue.put("sync_accounts", waiting)


def wake() -> None:
    """Have a worker find out what is to be done."""
    queue.put("dispatch_due")


def prepare() -> None:
    """Have a worker that starts find the schedule as it should be, and something to do at once."""
    try:
        queue.ensure_schedule()
        wake()
    except DatabaseError:  # the workers wait for it, too
        log.exception("not_prepared")


def look() -> None:
    """Wake the workers for what is due: the queue looks at its schedule every 30 s only."""
    try:
        close_old_connections()
        wake_if_needed()
    except Exception:  # whatever it is, the workers go on
        log.exception("look_failed")
        PULSE.forgive()  # without a database nobody can give a sign of life
    PULSE.look()


def wake_if_needed() -> None:
    """Queue a tick if something is due, or if the workers were quiet for so long that they should show they live."""
    queue.empty_a_flood()
    now = timezone.now()
    # With something in the queue the workers are busy: one more task would not be sooner.
    is_due = queue.is_empty() and bool(admitted(due_accounts(now), now))
    is_waiting = queue.is_waiting(now)
    is_quiet = not is_waiting and PULSE.is_quiet(settings.POSSYNC_QUIET_SECONDS)
    if is_due or is_quiet:
        wake()
    if is_due or is_quiet or is_waiting:
        PULSE.ask()


def tasks_of(waiting: Iterable[SyncRun], workers: int) -> list[list[int]]:
    """Deal runs out to tasks; one that has cost a worker before gets a task of its own, and hurts nobody else."""
    runs = list(waiting)
    apart = set_aside_ids(run.account_id for run in runs)
    alone = [run.pk for run in runs if run.attempts or run.account_id in apart]
    together = [run.pk for run in runs if run.pk not in set(alone)]
    return [*shares(together, workers), *([pk] for pk in alone)]


def shares(run_ids: list[int], workers: int) -> list[list[int]]:
    """Spread runs over tasks: one for each worker, more where that would be more than a task may hold."""
    tasks = max(workers, math.ceil(len(run_ids) / MOST_RUNS_OF_A_TASK))
    dealt = (run_ids[start::tasks] for start in range(tasks))
    return [share for share in dealt if share]
