"""What a tick asks of the database and puts into the queue when there is much to do (row F41)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from portfolios import queue, tasks
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.tasks import dispatch_due
from tests.builders import make_account, make_run
from tests.portfolios.test_tasks import queued_runs

Status = SyncRun.Status
pytestmark = pytest.mark.django_db


def fill_the_queue(count: int, **row: Any) -> None:
    torn = {"key": "possync", "payload": "torn"}
    OrmQ.objects.bulk_create(OrmQ(**torn | row) for _row in range(count))


def queries_of_a_tick(accounts: int) -> int:
    OrmQ.objects.all().delete()
    for _account in range(accounts):
        make_account()
    with CaptureQueriesContext(connection) as asked:
        dispatch_due()
    # The queue takes its tasks one by one, each for many accounts.
    tasks_queued: int = OrmQ.objects.count()
    return len(asked) - tasks_queued


def test_a_tick_asks_the_database_as_often_for_many_due_accounts_as_for_few() -> None:
    dispatch_due()

    # As many as SQLite inserts at once.
    few, many = queries_of_a_tick(5), queries_of_a_tick(30)

    assert many == few
    assert SyncRun.objects.count() == 35


def test_a_tick_queues_no_flood_and_the_next_ones_queue_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue, "MOST_QUEUED", 4)
    long_ago = timezone.now() - timedelta(minutes=5)
    lost = [make_run(status=Status.QUEUED, attempts=1, queued_at=long_ago) for _run in range(5)]
    SyncRun.objects.update(queued_at=long_ago)
    later = timezone.now() + timedelta(hours=1)
    ExchangeAccount.objects.update(next_sync_at=later, interval_seconds=3600)

    ticks = []
    for _tick in range(3):
        dispatch_due()
        ticks.append(queued_runs())
        SyncRun.objects.filter(pk__in=[ids[0] for ids in queued_runs()]).update(
            status=Status.SUCCEEDED
        )
        OrmQ.objects.all().delete()

    assert ticks == [[[lost[0].pk], [lost[1].pk]], [[lost[2].pk], [lost[3].pk]], [[lost[4].pk]]]


def test_a_queue_that_is_half_a_flood_is_given_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_account()
    monkeypatch.setattr(queue, "MOST_QUEUED", 4)
    fill_the_queue(2, lock=timezone.now())

    dispatch_due()

    assert SyncRun.objects.get().status == Status.QUEUED
    assert OrmQ.objects.count() == 2


def test_a_tick_closes_so_many_lost_runs_that_it_ends_before_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "MOST_LOST_OF_A_TICK", 2)
    running = [make_run(status=Status.RUNNING, attempts=1) for _run in range(3)]

    dispatch_due()

    lost = SyncRun.objects.filter(status=Status.LOST).order_by("pk")
    assert list(lost) == running[:2]


NEVER_TAKEN: dict[str, dict[str, Any]] = {
    "that no worker may take": {"lock": None},
    "locked by a clock that was ahead": {"lock": timezone.now() + timedelta(days=1)},
    "of other workers": {"lock": timezone.now(), "key": "another"},
}
LEFT_BEHIND: dict[str, dict[str, Any]] = {
    "of workers that were killed": {"lock": timezone.now() + timedelta(minutes=10)}
}


def of_rows(rows: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows.values(), ids=rows)


@pytest.mark.parametrize("count", [1_500, 10_000])
@of_rows(NEVER_TAKEN | LEFT_BEHIND)
def test_tasks_left_in_the_queue_keep_no_due_account_waiting(
    row: dict[str, Any], count: int
) -> None:
    make_account()
    fill_the_queue(count, **row)

    tasks.wake_if_needed()
    dispatch_due()

    payloads = OrmQ.objects.exclude(payload="torn").values_list("payload", flat=True)
    assert "sync_accounts" in [SignedPackage.loads(payload)["name"] for payload in payloads]


@of_rows(NEVER_TAKEN)
def test_tasks_that_nobody_takes_are_thrown_away(row: dict[str, Any]) -> None:
    fill_the_queue(1, **row)

    dispatch_due()

    assert not OrmQ.objects.exists()


@of_rows(LEFT_BEHIND)
def test_a_task_that_was_taken_stays_until_it_is_given_to_another(row: dict[str, Any]) -> None:
    fill_the_queue(1, **row)

    dispatch_due()

    assert OrmQ.objects.count() == 1
