"""The border to django-q2: what goes into its queue, comes out of it and works it off. Nothing else knows it.

Payloads are JSON with ids only, and only the functions named here run: django-q2's own pickles would run whatever
somebody who can write to its table put there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Thread
from time import sleep
from typing import Any, Final, NoReturn

import structlog
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db import DatabaseError, connections
from django.utils import timezone
from django_q import signing
from django_q.brokers.orm import ORM
from django_q.cluster import Cluster
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ, Schedule
from django_q.status import Stat
from django_q.tasks import async_task

log = structlog.get_logger(__name__)
DISPATCHER: Final = "dispatch-due"
ALLOWED_TASKS: Final = frozenset(
    f"portfolios.tasks.{name}"
    for name in ("dispatch_due", "sync_accounts", "test_connection", "prune_old")
)
# Of these django-q2 needs to be told; whatever else it knows (hooks, chains, caches) could be used to run more.
ALLOWED_KEYS: Final = frozenset(
    {"id", "name", "func", "args", "kwargs", "started", "save", "ack_failure", "group", "cluster"}
)
MAX_PAYLOAD: Final = 20_000
# The schedule's only row: the primary key keeps it from being there twice.
SCHEDULE_ID: Final = 1
TICK: Final = timedelta(minutes=1)
# Tasks in the queue, beyond which it is no queue but a flood.
MOST_QUEUED: Final = 2_000
# Ends a task that outlives its deadlines; no Exception, so that nobody catches it by the way.
OutOfTime: Final = TimeoutException
_UNPACK: Final = signing.SignedPackage.loads


def put(name: str, *args: Any) -> None:
    """Queue the task of this name; the queue is a table, so that a transaction queues with the rest or not at all."""
    # save=False: no result rows, the run is the record. A constant name: task names show in the process list.
    async_task(f"portfolios.tasks.{name}", *args, task_name=name, save=False)


def is_empty() -> bool:
    """Whether nothing waits and nothing is being done."""
    return not OrmQ.objects.exists()


def is_waiting(now: datetime) -> bool:
    """Whether a worker could take something."""
    found: bool = OrmQ.objects.filter(lock__lte=now).exists()
    return found


def room(now: datetime) -> int:
    """Count the tasks that the queue takes yet, well before it is a flood; what is in it already is not lost.

    Those that were taken do not count: they are being done, or the worker that took them was killed.
    """
    queued: int = OrmQ.objects.filter(lock__lte=now).count()
    return max(0, MOST_QUEUED // 2 - queued)


def throw_away_what_nobody_takes(now: datetime) -> None:
    """Clear the queue of tasks of other workers, and of those locked by no clock that is right, or for ever."""
    longest = timedelta(seconds=2 * settings.Q_CLUSTER["retry"])
    takeable = {"key": settings.Q_CLUSTER["name"], "lock__lte": now + longest}
    thrown_away, _of_each = OrmQ.objects.exclude(**takeable).delete()
    if thrown_away:
        log.warning("queue_cleared", tasks=thrown_away)


def empty_a_flood() -> None:
    """Throw away more tasks than there can be use for: the runs in the database say what is to be done."""
    if OrmQ.objects.count() > MOST_QUEUED:
        log.error("queue_flooded", most=MOST_QUEUED)
        OrmQ.objects.all().delete()


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
    mine = Schedule.objects.filter(pk=SCHEDULE_ID)
    kept = mine if _can_be_read(mine) else Schedule.objects.none()
    Schedule.objects.exclude(pk__in=kept.values("pk")).delete()
    Schedule.objects.get_or_create(pk=SCHEDULE_ID, defaults={**wanted, "next_run": now})
    mine.update(**wanted)
    mine.filter(next_run__gt=now + TICK).update(next_run=now)


def _can_be_read(schedules: Any) -> bool:
    """Whether what stands there is of the kinds that a schedule is made of, above all its time."""
    try:
        return all(schedule.next_run is not None for schedule in schedules)
    except (ValueError, TypeError, DatabaseError):
        return False


def run_cluster(look: Callable[[], None], every: float) -> None:
    """Be the queue's workers until SIGTERM to this process alone, which lets them finish what they have begun.

    Parameters
    ----------
    look : Callable
        Called again and again, in a thread: it may have to wait for the database, and the signal must not.
    every : float
        Seconds between two looks.
    """
    connections.close_all()  # a fork must not share them
    cluster = Cluster()
    cluster.start()
    Thread(target=_look_again_and_again, args=(look, every), daemon=True).start()
    while cluster.sentinel.is_alive():
        cluster.sentinel.join()


def _look_again_and_again(look: Callable[[], None], every: float) -> NoReturn:
    while True:
        sleep(every)
        look()


class Broker(ORM):  # type: ignore[misc]  # django-q2 is untyped
    """django-q2's own, but that a task is taken unread: one whose lock is no time keeps no other waiting."""

    def dequeue(self) -> list[tuple[int, str]]:
        waiting = self.get_connection().filter(key=self.list_key, lock__lt=timezone.now())
        found = list(
            waiting.order_by("pk").values_list("pk", "payload")[: settings.Q_CLUSTER["bulk"]]
        )
        if not found:
            sleep(settings.Q_CLUSTER["poll"])
        # Of several workers that find it the first has it: to the others it waits no more.
        return [
            (pk, payload)
            for pk, payload in found
            if waiting.filter(pk=pk).update(lock=self.timeout(payload))
        ]


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
