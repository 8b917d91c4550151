"""The queue: it wakes, it decides nothing, and it runs nothing but our own tasks (rows F41, F42)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ, Task
from django_q.signing import SignedPackage
from pytest_django.fixtures import Settings

from portfolios import queue, tasks
from portfolios.models import ExchangeAccount, SyncRun, WorkerBeat
from portfolios.services.accounts import pause
from portfolios.services.breakers import note_failure, set_aside
from portfolios.services.runs import claim_run, open_run
from portfolios.tasks import dispatch_due, enqueue_sync, shares
from providers.reports import LegError
from tests.builders import make_account, make_run
from tests.desk import Desk

Trigger = SyncRun.Trigger
Status = SyncRun.Status
pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ExchangeAccount:
    return make_account()


def queued() -> list[dict[str, Any]]:
    return [SignedPackage.loads(row.payload) for row in OrmQ.objects.order_by("pk")]


def queued_runs() -> list[list[int]]:
    return [task["args"][0] for task in queued()]


def work_off_the_queue() -> None:
    """Do what pusher and worker do, in this process."""
    for row in OrmQ.objects.order_by("pk"):
        task = SignedPackage.loads(row.payload)
        getattr(tasks, task["func"].rpartition(".")[2])(*task["args"], **task["kwargs"])
        row.delete()


# --- Sync now -------------------------------------------------------------------------------------


def test_f42_sync_now_opens_a_run_and_queues_its_id(account: ExchangeAccount) -> None:
    run = enqueue_sync(account, Trigger.MANUAL)

    assert (run.status, run.trigger) == (Status.QUEUED, "manual")
    assert queued_runs() == [[run.pk]]


def test_f42_ten_clicks_queue_one_task(account: ExchangeAccount) -> None:
    joined = {enqueue_sync(account, Trigger.MANUAL).pk for _click in range(10)}

    assert len(joined) == len(queued()) == 1


def test_f42_a_click_joins_the_run_that_a_worker_is_busy_with(account: ExchangeAccount) -> None:
    busy = claim_run(open_run(account, Trigger.SCHEDULE)[0].pk)

    assert enqueue_sync(account, Trigger.MANUAL) == busy
    assert queued() == []


def test_run_and_task_are_committed_together_or_not_at_all(account: ExchangeAccount) -> None:
    with transaction.atomic():
        enqueue_sync(account, Trigger.MANUAL)
        transaction.set_rollback(True)

    assert (SyncRun.objects.count(), OrmQ.objects.count()) == (0, 0)


def test_a_queued_sync_is_carried_out_by_whoever_takes_it(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    run = enqueue_sync(desk.account, Trigger.MANUAL)

    work_off_the_queue()

    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED
    assert desk.unallocated() == 1000


def test_a_task_that_is_delivered_twice_syncs_once(desk: Desk) -> None:
    run = enqueue_sync(desk.account, Trigger.MANUAL)
    tasks.sync_accounts([run.pk])
    asked = len(desk.requests())

    tasks.sync_accounts([run.pk])

    assert len(desk.requests()) == asked
    assert SyncRun.objects.get().attempts == 1


# --- the tick -------------------------------------------------------------------------------------


def test_f41_a_tick_queues_the_accounts_whose_time_has_come() -> None:
    due = make_account(next_sync_at=timezone.now() - timedelta(seconds=1))
    make_account(next_sync_at=timezone.now() + timedelta(minutes=1))

    dispatch_due()

    run = SyncRun.objects.get()
    assert (run.account, run.trigger) == (due, "schedule")
    assert queued_runs() == [[run.pk]]


def test_f41_a_second_tick_queues_nothing_again(account: ExchangeAccount) -> None:
    dispatch_due()
    dispatch_due()

    assert (SyncRun.objects.count(), OrmQ.objects.count()) == (1, 1)


def test_f43_a_tick_leaves_paused_accounts_alone(account: ExchangeAccount) -> None:
    pause(account)

    dispatch_due()

    assert (SyncRun.objects.count(), OrmQ.objects.count()) == (0, 0)


def test_a_tick_heals_a_task_that_was_lost(account: ExchangeAccount) -> None:
    run = enqueue_sync(account, Trigger.MANUAL)
    OrmQ.objects.all().delete()
    SyncRun.objects.update(queued_at=timezone.now() - timedelta(minutes=1))

    dispatch_due()

    assert queued_runs() == [[run.pk]]


def test_a_tick_tries_again_what_a_vanished_worker_left(account: ExchangeAccount) -> None:
    run = claim_run(open_run(account, Trigger.SCHEDULE)[0].pk)
    assert run is not None
    past = timezone.now() - timedelta(minutes=1)
    ExchangeAccount.objects.update(lease_expires_at=past, next_sync_at=past)

    dispatch_due()

    again = SyncRun.objects.get(status=Status.QUEUED)
    assert queued_runs() == [[again.pk]]


def test_a_tick_is_a_sign_of_life() -> None:
    dispatch_due()

    assert timezone.now() - WorkerBeat.objects.get(name="dispatch-due").beat_at < timedelta(
        seconds=5
    )


def test_runs_are_spread_over_the_workers() -> None:
    assert shares([1, 2, 3, 4, 5], 2) == [[1, 3, 5], [2, 4]]


def test_with_fewer_runs_than_workers_nobody_gets_an_empty_task() -> None:
    assert shares([1], 2) == [[1]]
    assert shares([], 2) == []


def test_no_task_holds_more_runs_than_are_read_at_the_same_time() -> None:
    dealt = shares([*range(1001)], 2)

    assert max(map(len, dealt)) <= 20
    assert sorted(run for share in dealt for run in share) == [*range(1001)]


def test_thousands_of_due_accounts_fit_into_payloads_that_are_read_again() -> None:
    ExchangeAccount.objects.bulk_create(
        ExchangeAccount(label=f"account {number}", market="binance") for number in range(500)
    )

    dispatch_due()

    assert len([run for share in queued_runs() for run in share]) == 500


def test_an_error_of_a_task_is_kept_out_of_the_queues_own_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_off(_ids: list[int], *, within: float) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(tasks, "execute_runs", break_off)

    assert tasks.sync_accounts([1]) is None


def test_a_run_that_has_cost_a_worker_gets_a_task_of_its_own() -> None:
    runs = [make_run(status=Status.QUEUED) for _run in range(6)]
    runs[2].attempts = 1

    assert tasks.tasks_of(runs, 2)[-1] == [runs[2].pk]
    assert sorted(pk for ids in tasks.tasks_of(runs, 2) for pk in ids) == [run.pk for run in runs]


def test_an_account_that_was_set_aside_is_run_alone() -> None:
    runs = [make_run(status=Status.QUEUED) for _run in range(3)]
    set_aside(runs[0].account, timezone.now())

    assert tasks.tasks_of(runs, 1) == [[runs[1].pk, runs[2].pk], [runs[0].pk]]


def test_a_tick_sends_one_account_to_a_market_that_answered_nobody() -> None:
    accounts = [make_account(next_sync_at=None) for _account in range(4)]
    gone = LegError("transport", "ExchangeNotAvailable", "binance 503")
    for account in (*accounts, *accounts[:2]):
        note_failure(account, gone)

    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        dispatch_due()
        dispatch_due()

    assert [len(ids) for ids in queued_runs()] == [1]


def test_a_flooded_queue_is_emptied_and_the_runs_are_found_again(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MOST_QUEUED", 3)
    past = timezone.now() - timedelta(days=1)
    OrmQ.objects.bulk_create(OrmQ(key="possync", payload="torn", lock=past) for _row in range(4))

    tasks.wake_if_needed()

    assert [task["func"] for task in queued()] == ["portfolios.tasks.dispatch_due"]


def test_workers_that_were_quiet_are_given_something_to_do(
    settings: Settings, account: ExchangeAccount
) -> None:
    account.next_sync_at, account.interval_seconds = timezone.now() + timedelta(hours=1), 3600
    account.save()
    settings.POSSYNC_QUIET_SECONDS = 0

    tasks.wake_if_needed()

    assert [task["func"] for task in queued()] == ["portfolios.tasks.dispatch_due"]


def test_workers_that_were_not_quiet_are_left_alone(account: ExchangeAccount) -> None:
    account.next_sync_at, account.interval_seconds = timezone.now() + timedelta(hours=1), 3600
    account.save()
    dispatch_due()

    tasks.wake_if_needed()

    assert queued() == []


def test_a_sign_of_life_is_not_written_for_every_task() -> None:
    dispatch_due()

    with CaptureQueriesContext(connection) as queries:
        tasks.sync_accounts([])

    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]


# --- what is kept ---------------------------------------------------------------------------------


def test_the_queue_keeps_no_results(desk: Desk) -> None:
    enqueue_sync(desk.account, Trigger.MANUAL)
    tasks.enqueue_connection_test(desk.account)

    work_off_the_queue()

    assert not Task.objects.exists()


# --- pruning --------------------------------------------------------------------------------------


def test_once_a_day_what_is_old_is_taken_away(db: None) -> None:
    old = make_run(make_account())
    SyncRun.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(days=400))
    dispatch_due()
    assert "portfolios.tasks.prune_old" not in [task["func"] for task in queued()]

    with time_machine.travel(timezone.now() + timedelta(days=1, seconds=1)):
        dispatch_due()
        dispatch_due()

    funcs = [task["func"] for task in queued()]
    assert funcs.count("portfolios.tasks.prune_old") == 1
