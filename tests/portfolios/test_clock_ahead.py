"""A host's clock was ahead for a while, and what it wrote then lies in the future: the next tick brings it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from portfolios.models import CircuitBreaker, ExchangeAccount, SyncRun
from portfolios.services.accounts import note_rejection, schedule_next
from portfolios.services.breakers import note_failure, set_aside
from portfolios.services.runs import claim_run, open_run
from portfolios.tasks import dispatch_due, enqueue_sync
from providers.reports import LegError
from tests.builders import make_account
from tests.portfolios.test_tasks import queued_runs

pytestmark = pytest.mark.django_db
Status = SyncRun.Status
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AHEAD = timedelta(days=30)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GONE = LegError("transport", "ConnectionRefused", "No connection.")


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@contextmanager
def ahead(by: timedelta = AHEAD) -> Iterator[datetime]:
    with time_machine.travel(NOON + by, tick=False):
        yield NOON + by


def due_at(account: ExchangeAccount) -> datetime | None:
    account.refresh_from_db()
    return account.next_sync_at


def account_put_off(by: timedelta = AHEAD, **fields: Any) -> ExchangeAccount:
    account = make_account(**fields)
    with ahead(by) as then:
        schedule_next(account, then)
    return account


@pytest.mark.parametrize("by", [HOUR, AHEAD])
def test_an_account_that_it_put_off_is_synced_at_the_next_tick(by: timedelta) -> None:
    account = account_put_off(by, interval_seconds=60)

    dispatch_due()

    assert [run.account for run in SyncRun.objects.all()] == [account]


def test_an_account_with_a_cron_is_due_at_its_next_time() -> None:
    account = account_put_off(cron="0 8 * * *")

    dispatch_due()

    assert due_at(account) == NOON + 20 * HOUR


@pytest.mark.parametrize(
    "fields", [{"interval_seconds": 86_400}, {"cron": "0 12 1 1 *"}, {"interval_seconds": 60}]
)
def test_an_account_that_no_clock_put_off_stays_as_it_is(fields: dict[str, Any]) -> None:
    account = make_account(**fields)
    schedule_next(account, NOON)
    planned = account.next_sync_at

    dispatch_due()

    assert due_at(account) == planned


def test_what_an_exchange_or_a_breaker_asks_for_is_kept_to() -> None:
    banned, failing, poison = (make_account(interval_seconds=60) for _account in range(3))
    schedule_next(banned, NOON, stay_away=20 * 3600)
    schedule_next(failing, NOON)
    schedule_next(poison, NOON)
    for _failure in range(9):
        note_failure(failing, GONE)
    for _vanished in range(9):
        set_aside(poison, NOON)
    planned = [due_at(each) for each in (banned, failing, poison)]

    dispatch_due()

    assert [due_at(each) for each in (banned, failing, poison)] == planned
    assert all(due is not None and due > NOON + 14 * MINUTE for due in planned)


def test_an_account_that_it_took_for_failing_is_tried_again() -> None:
    account = make_account(interval_seconds=60)
    schedule_next(account, NOON)
    with ahead():
        for _failure in range(3):
            note_failure(account, GONE)

    dispatch_due()

    assert CircuitBreaker.objects.filter(retry_at__gt=NOON).count() == 0
    assert [run.account for run in SyncRun.objects.all()] == [account]


def test_a_run_that_was_begun_then_and_lost_is_begun_again() -> None:
    account = make_account(next_sync_at=NOON + HOUR)
    with ahead():
        lost = claim_run(open_run(account, SyncRun.Trigger.SCHEDULE)[0].pk)

    dispatch_due()

    assert lost is not None
    lost.refresh_from_db()
    again = SyncRun.objects.exclude(pk=lost.pk).get()
    assert (lost.status, queued_runs()) == (Status.LOST, [[again.pk]])


@pytest.mark.parametrize("press", [False, True])
def test_a_run_that_was_opened_then_finds_a_worker(press: bool) -> None:
    account = make_account(next_sync_at=NOON + HOUR)
    with ahead():
        run, _is_new = open_run(account, SyncRun.Trigger.MANUAL)

    if press:
        enqueue_sync(account, SyncRun.Trigger.MANUAL)
    else:
        dispatch_due()

    assert queued_runs() == [[run.pk]]


def test_a_key_that_it_saw_rejected_is_counted_again() -> None:
    account = make_account()
    with ahead() as then:
        note_rejection(account, then)
    dispatch_due()
    account.refresh_from_db()

    note_rejection(account, NOON + 15 * MINUTE)

    assert account.rejections == 2


def test_what_was_read_whole_in_times_to_come_was_not() -> None:
    account = make_account(full_read_at=NOON + DAY, seldom_read_at=NOON + DAY)

    dispatch_due()

    account.refresh_from_db()
    assert (account.full_read_at, account.seldom_read_at) == (None, None)
