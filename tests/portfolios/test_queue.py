"""The queue: what is taken from it, however damaged its rows are, and the one schedule (rows F41, F42)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from pytest_django.fixtures import Settings

from portfolios import queue
from portfolios.queue import Broker, ensure_schedule
from tests.damage import damage, no_times
from tests.portfolios.test_tasks import queued

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(settings: Settings) -> Broker:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "poll": 0}
    return Broker("possync")


# --- what is taken --------------------------------------------------------------------------------


def test_tasks_are_taken_one_by_one_oldest_first_and_once(broker: Broker) -> None:
    queue.put("sync_accounts", [7])
    queue.put("sync_accounts", [8])
    waiting = list(OrmQ.objects.order_by("pk").values_list("pk", "payload"))

    assert [broker.dequeue() for _look in range(3)] == [waiting[:1], waiting[1:], []]


def test_a_task_that_another_worker_has_taken_meanwhile_is_left_to_it(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.put("sync_accounts", [7])

    def timeout(_payload: str) -> object:
        OrmQ.objects.update(lock=timezone.now() + timedelta(minutes=12))
        return timezone.now()

    monkeypatch.setattr(broker, "timeout", timeout)

    assert broker.dequeue() == []


@no_times
def test_a_task_whose_lock_is_no_time_keeps_no_other_waiting(broker: Broker, no_time: str) -> None:
    queue.put("sync_accounts", [7])
    damage("django_q_ormq", "lock", no_time)
    queue.put("sync_accounts", [8])

    assert [len(broker.dequeue()) for _look in range(2)] == [1, 1]


def test_the_queue_is_cleared_of_locks_that_never_end() -> None:
    queue.put("sync_accounts", [7])
    damage("django_q_ormq", "lock", {"sqlite": "zz", "postgresql": "infinity"}[connection.vendor])

    queue.throw_away_what_nobody_takes(timezone.now())

    assert queue.is_empty()


# --- the one schedule -----------------------------------------------------------------------------


def test_there_is_exactly_one_schedule_however_often_workers_start() -> None:
    for _start in range(3):
        ensure_schedule()

    schedule = Schedule.objects.get()
    assert (schedule.func, schedule.minutes) == ("portfolios.tasks.dispatch_due", 1)
    assert (schedule.schedule_type, schedule.repeats) == (Schedule.MINUTES, -1)


@pytest.mark.parametrize("seconds", [-3600, -1, 30])
def test_a_restart_does_not_set_the_next_tick_anew(seconds: int) -> None:
    ensure_schedule()
    due = timezone.now() + timedelta(seconds=seconds)
    Schedule.objects.update(next_run=due)

    ensure_schedule()

    assert Schedule.objects.get().next_run == due


def test_a_tick_that_was_put_off_too_far_is_brought_back() -> None:
    ensure_schedule()
    Schedule.objects.update(next_run=timezone.now() + timedelta(days=365))

    ensure_schedule()

    assert Schedule.objects.get().next_run <= timezone.now()


def test_a_schedule_that_somebody_changed_is_mended() -> None:
    ensure_schedule()
    Schedule.objects.update(func="os.system", args="'true'", repeats=0, hook="os.system")

    ensure_schedule()

    schedule = Schedule.objects.get()
    assert (schedule.func, schedule.args, schedule.repeats, schedule.hook) == (
        "portfolios.tasks.dispatch_due",
        None,
        -1,
        None,
    )


def test_schedules_of_others_are_removed() -> None:
    Schedule.objects.create(pk=1, func="os.system", args="'true'")
    Schedule.objects.create(pk=9, func="os.system", args="'true'")

    ensure_schedule()

    assert [schedule.func for schedule in Schedule.objects.all()] == [
        "portfolios.tasks.dispatch_due"
    ]


# The scheduler closes its connection, which would end the transaction of a common test.
@pytest.mark.django_db(transaction=True)
def test_the_queues_own_scheduler_queues_our_tick() -> None:
    ensure_schedule()
    Schedule.objects.update(next_run=timezone.now() - timedelta(seconds=1))

    scheduler(Broker("possync"))

    assert [task["func"] for task in queued()] == ["portfolios.tasks.dispatch_due"]
    assert Schedule.objects.get().next_run > timezone.now()


@pytest.mark.django_db(transaction=True)
def test_a_schedule_of_somebody_elses_function_queues_nothing() -> None:
    Schedule.objects.create(
        func="os.system", args="'true'", next_run=timezone.now() - timedelta(seconds=1)
    )

    scheduler(Broker("possync"))

    assert not OrmQ.objects.exists()


# --- django-q2's own tables -----------------------------------------------------------------------


@no_times
def test_a_schedule_of_no_time_is_made_anew(no_time: str) -> None:
    ensure_schedule()
    damage("django_q_schedule", "next_run", no_time)

    ensure_schedule()

    assert Schedule.objects.get().next_run <= timezone.now()


@pytest.mark.parametrize("model", ["schedule", "ormq", "success", "failure", "task"])
def test_the_admin_has_no_page_for_the_queues_tables(model: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:django_q_{model}_changelist")


def test_the_admin_has_no_section_for_the_queue(admin_client: Client) -> None:
    assert admin_client.get("/admin/django_q/").status_code == 404
