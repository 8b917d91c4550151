"""The border to django-q2: nothing else knows it.

The queue is a wake-up hint: the runs in the database say what is to be done, so a lost, doubled or poisoned task
changes nothing that the next tick does not heal. Payloads are JSON with ids only, and only the functions named here
run: django-q2's own pickles would run whatever somebody who can write to its table put there.
"""

from __future__ import annotations

import gc
import json
import math
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Final

import structlog
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.db import close_old_connections, connections, transaction
from django.utils import timezone
from django_q import signing
from django_q.cluster import Cluster
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ, Schedule
from django_q.status import Stat
from django_q.tasks import async_task

from portfolios.models import ApiToken, ExchangeAccount, SyncRun, WorkerBeat
from portfolios.pulse import Pulse
from portfolios.services.accounts import due_accounts
from portfolios.services.audit import Actor, Kind, record
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

log = structlog.get_logger(__name__)
DISPATCHER: Final = "dispatch-due"
PRUNER: Final = "prune-old"
PRUNED_EVERY: Final = timedelta(days=1)
ALLOWED_TASKS: Final = frozenset(
    f"portfolios.tasks.{name}"
    for name in ("dispatch_due", "sync_accounts", "test_connection", "prune_old")
)
# Of these django-q2 needs to be told; whatever else it knows (hooks, chains, caches) could be used to run more.
ALLOWED_KEYS: Final = frozenset(
    {"id", "name", "func", "args", "kwargs", "started", "save", "ack_failure", "group", "cluster"}
)
MAX_PAYLOAD: Final = 20_000
# As many as are read at the same time: a task that all of them keep waiting still ends before the queue's timeout.
MOST_RUNS_OF_A_TASK: Final = 20
# The schedule's only row: the primary key keeps it from being there twice.
SCHEDULE_ID: Final = 1
TICK: Final = timedelta(minutes=1)
PATIENCE: Final = timedelta(seconds=5)
# A sign of life is written no more often than that.
BEAT: Final = timedelta(seconds=5)
# Tasks in the queue, beyond which it is no queue but a flood.
MOST_QUEUED: Final = 2_000
# Runs that a tick closes as lost: one transaction each, and the tick ends before the next.
MOST_LOST_OF_A_TICK: Final = 500
# In memory that the workers share with the process which watches them.
PULSE: Final = Pulse()
_UNPACK: Final = signing.SignedPackage.loads


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
            _queue("sync_accounts", [run.pk])
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
            _queue("sync_accounts", ids)


def _waits(run: SyncRun) -> bool:
    """Whether its task may be lost, as it has waited for a while; two of them do no harm."""
    return run.status == SyncRun.Status.QUEUED and timezone.now() - run.queued_at > PATIENCE


def enqueue_connection_test(account: ExchangeAccount, *, by: Actor = None) -> None:
    """Have a worker read the account once for `by`; the result appears on its credential."""
    with transaction.atomic():
        note_test_asked(account, by=by)
        _queue("test_connection", account.pk)


def _contained(task: Callable[..., None]) -> Callable[..., None]:
    """Keep what a task raises out of django-q2's result rows: it is logged, redacted, and healed by the next tick."""

    @wraps(task)
    def run(*args: Any) -> None:
        try:
            with PULSE.working(settings.Q_CLUSTER["timeout"]):
                _beat()
                task(*args)
        except (Exception, TimeoutException):  # the latter ends a task that outlives its deadlines
            log.exception("task_failed", task=task.__name__)

    return run


def _beat() -> None:
    """Leave a sign of life: a task that begins has come all the way from the queue to a worker."""
    now = timezone.now()
    told = WorkerBeat.objects.filter(name=DISPATCHER, beat_at__gt=now - BEAT)
    if not told.exists():
        WorkerBeat.objects.update_or_create(name=DISPATCHER, defaults={"beat_at": now})


@_contained
def dispatch_due() -> None:
    """Queue every account whose time has come, and every run that lost its worker or its task.

    The one schedule of the queue; runs every minute.
    """
    now = timezone.now()
    _throw_away_what_nobody_takes(now)
    waiting = [*heal_abandoned_runs(most=MOST_LOST_OF_A_TICK), *_open_due(now)]
    dealt = tasks_of(waiting, settings.Q_CLUSTER["workers"])
    # Oldest first; a run that finds no room is found again by a later tick, as one that has lost its task.
    for ids in sorted(dealt, key=min)[: _room(now)]:
        _queue("sync_accounts", ids)
    if _is_pruning_due(now):
        _queue("prune_old")


def _open_due(now: datetime) -> list[SyncRun]:
    """Open a run of each account whose time has come and that has none; few queries, however many they are."""
    due = {account.pk: account for account in admitted(due_accounts(now), now)}
    opened = [run for run, is_new in open_runs(due, SyncRun.Trigger.SCHEDULE) if is_new]
    note_probes([due[run.account_id] for run in opened], now)
    return opened


def _room(now: datetime) -> int:
    """Count the tasks that the queue takes yet, well before it is a flood; what is in it already is not lost.

    Those that were taken do not count: they are being done, or the worker that took them was killed.
    """
    queued: int = OrmQ.objects.filter(lock__lte=now).count()
    return max(0, MOST_QUEUED // 2 - queued)


def _throw_away_what_nobody_takes(now: datetime) -> None:
    """Clear the queue of tasks of other workers, and of those locked by no clock that is right, or for ever."""
    longest = timedelta(seconds=2 * settings.Q_CLUSTER["retry"])
    takeable = {"key": settings.Q_CLUSTER["name"], "lock__lte": now + longest}
    OrmQ.objects.exclude(**takeable).delete()


def _is_pruning_due(now: datetime) -> bool:
    """Whether a day has passed since it last was; one of those who ask at the same time is told so."""
    last, is_first = WorkerBeat.objects.get_or_create(name=PRUNER, defaults={"beat_at": now})
    if is_first or now - last.beat_at < PRUNED_EVERY:
        return False
    mine = WorkerBeat.objects.filter(name=PRUNER, beat_at=last.beat_at)
    return bool(mine.update(beat_at=now))


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
        _queue("sync_accounts", waiting)


def ensure_schedule() -> None:
    """Make sure that the one schedule exists, once and as it should be; one that is runs on as if nothing had been."""
    now = timezone.now()
    wanted = {
        "name": DISPATCHER,
        "func": "portfolios.tasks.dispatch_due",
        "schedule_type": Schedule.MINUTES,
        "minutes": 1,
        "repeats": -1,
        "args": None,
        "kwargs": None,
        "hook": None,
        "cron": None,
        "cluster": None,
        "intended_date_kwarg": None,
    }
    Schedule.objects.exclude(pk=SCHEDULE_ID).delete()
    Schedule.objects.get_or_create(pk=SCHEDULE_ID, defaults={**wanted, "next_run": now})
    mine = Schedule.objects.filter(pk=SCHEDULE_ID)
    mine.update(**wanted)
    mine.filter(next_run__gt=now + TICK).update(next_run=now)


def run_cluster() -> None:
    """Be the queue's workers until SIGTERM to this process alone, which lets them finish what they have begun."""
    connections.close_all()  # a fork must not share them
    cluster = Cluster()
    cluster.start()
    while cluster.sentinel.is_alive():
        cluster.sentinel.join()


def wake() -> None:
    """Have a worker find out what is to be done."""
    _queue("dispatch_due")


def look() -> None:
    """Wake the workers for what is due: the queue looks at its schedule every 30 s only."""
    try:
        close_old_connections()
        wake_if_needed()
    except Exception:  # whatever it is, the workers go on
        log.exception("look_failed")
        PULSE.forgive()  # without a database nobody can give a sign of life


def wake_if_needed() -> None:
    """Queue a tick if something is due, or if the workers were quiet for so long that they should show they live."""
    _empty_a_flooded_queue()
    now = timezone.now()
    # With something in the queue the workers are busy: one more task would not be sooner.
    is_due = not OrmQ.objects.exists() and bool(admitted(due_accounts(now), now))
    is_waiting = OrmQ.objects.filter(lock__lte=now).exists()
    is_quiet = not is_waiting and PULSE.is_quiet(settings.POSSYNC_QUIET_SECONDS)
    if is_due or is_quiet:
        wake()
    if is_due or is_quiet or is_waiting:
        PULSE.ask()


def _empty_a_flooded_queue() -> None:
    """Throw away more tasks than there can be use for: the runs in the database say what is to be done."""
    if OrmQ.objects.count() > MOST_QUEUED:
        log.error("queue_flooded", most=MOST_QUEUED)
        OrmQ.objects.all().delete()


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


def _queue(name: str, *args: Any) -> None:
    # save=False: no result rows, the run is the record. A constant name: task names show in the process list.
    async_task(f"portfolios.tasks.{name}", *args, task_name=name, save=False)


class JsonSerializer:
    """What goes into the queue and comes out of it; everything else is a bad signature and is thrown away."""

    @staticmethod
    def dumps(task: dict[str, Any]) -> bytes:
        unknown = task.keys() - ALLOWED_KEYS
        if unknown or task["kwargs"] or task["func"] not in ALLOWED_TASKS:
            raise ValueError(f"Refused to queue {task.get('func')} with {sorted(unknown)}.")
        return json.dumps(task, default=_iso).encode()

    @staticmethod
    def loads(data: bytes) -> dict[str, Any]:
        try:
            task: dict[str, Any] = json.loads(data[:MAX_PAYLOAD])
            is_ours = _is_ours(task)
            task["args"] = tuple(task["args"])
            task["started"] = datetime.fromisoformat(task["started"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            is_ours = False
        if not is_ours:
            raise signing.BadSignature("The queue holds something that is no task of ours.")
        return task


def _is_ours(task: dict[str, Any]) -> bool:
    """Whether it is a task of ours, with ids for arguments; one that wants its result kept is not."""
    return (
        not task.keys() - ALLOWED_KEYS
        and task["func"] in ALLOWED_TASKS
        and task["kwargs"] == {}
        and not task.get("save")
        and isinstance(task["id"], str)
        and isinstance(task["name"], str)
        and all(map(_is_ids, task["args"]))
    )


def _is_ids(value: Any) -> bool:
    ids = value if isinstance(value, list) else [value]
    return all(type(id_) is int for id_ in ids)


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"Refused to queue a {type(value).__name__}.")


def _unpacked(payload: str) -> dict[str, Any]:
    """Read a payload; one that is signed but cannot even be unpacked would end the pusher, again and again."""
    try:
        task: dict[str, Any] = _UNPACK(payload)
    except (ValueError, zlib.error):
        raise signing.BadSignature("The queue holds what cannot be unpacked.") from None
    return task


def use_json_payloads() -> None:
    """Put our serializer in django-q2's place, and its raw tables out of the admin."""
    signing.PickleSerializer = JsonSerializer
    signing.SignedPackage.loads = staticmethod(_unpacked)
    # The cluster's own status is a pickle in the cache; nothing here reads it, `WorkerBeat` tells of the workers.
    Stat.save = lambda _stat: None
    for model in apps.get_app_config("django_q").get_models(include_auto_created=True):
        if admin.site.is_registered(model):
            admin.site.unregister(model)
