from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from portfolios.models import ExchangeAccount, MarketCredential, SyncRun
from portfolios.models.choices import Health
from portfolios.services.accounts import (
    account_health,
    due_accounts,
    grace,
    lag,
    note_rejection,
    pause,
    resume,
    schedule_next,
)
from portfolios.services.schedules import next_slot
from tests.builders import make_account, make_credential, make_run

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
Status = SyncRun.Status


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


@pytest.mark.parametrize(
    ("ended", "following"),
    [
        pytest.param(minutes(1), minutes(5), id="in time"),
        pytest.param(minutes(5), minutes(10), id="exactly at the next slot"),
        pytest.param(minutes(12), minutes(15), id="slow, so that slots were missed"),
        pytest.param(-minutes(2), minutes(0), id="ahead of its time, by hand"),
        pytest.param(-minutes(21), -minutes(20), id="after the interval was shortened"),
    ],
)
@pytest.mark.django_db
def test_the_next_sync_stays_on_the_accounts_grid(ended: timedelta, following: timedelta) -> None:
    account = make_account(interval_seconds=300, next_sync_at=NOON)

    schedule_next(account, NOON + ended)

    account.refresh_from_db()
    assert account.next_sync_at == NOON + following


@pytest.mark.django_db
def test_the_first_sync_begins_the_grid() -> None:
    account = make_account(interval_seconds=300)

    schedule_next(account, NOON)

    assert account.next_sync_at == NOON + minutes(5)


@hypothesis_settings(deadline=None, database=None)
@given(st.integers(10, 100_000), st.integers(-(10**6), 10**6))
def test_the_next_slot_is_within_one_interval_and_on_the_grid(interval: int, late: int) -> None:
    now = NOON + timedelta(seconds=late)

    slot = next_slot(NOON, now, timedelta(seconds=interval))

    assert now < slot <= now + timedelta(seconds=interval)
    assert (slot - NOON) % timedelta(seconds=interval) == timedelta(0)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(1000, 1000), (10, 300), (-5, 300), (1e12, 86_400), (float("inf"), 86_400)],
)
@pytest.mark.django_db
def test_an_exchange_that_asks_to_be_left_alone_is_for_at_most_a_day(
    asked: float, seconds: int
) -> None:
    account = make_account(interval_seconds=300)

    schedule_next(account, NOON, stay_away=asked)

    assert account.next_sync_at == NOON + timedelta(seconds=seconds)


@pytest.mark.django_db
def test_accounts_are_due_that_never_were_scheduled_or_whose_time_has_come() -> None:
    late = make_account(next_sync_at=NOON - minutes(9))
    now = make_account(next_sync_at=NOON)
    new = make_account()
    make_account(next_sync_at=NOON + minutes(1))

    assert due_accounts(NOON) == [new, late, now]


@pytest.mark.django_db
def test_a_paused_account_is_never_due() -> None:
    account = make_account()

    pause(account)

    assert due_accounts(NOON) == []


@pytest.mark.django_db
def test_a_resumed_account_is_due_at_once() -> None:
    account = make_account(paused=True, next_sync_at=NOON + timedelta(days=3650))

    resume(account)

    account.refresh_from_db()
    assert not account.paused
    assert account.next_sync_at is not None
    assert due_accounts(account.next_sync_at) == [account]


def test_lag_and_grace_are_the_accounts_own_where_it_has_them(
    settings: Settings,
) -> None:
    settings.POSSYNC_LAG_SECONDS = 60
    settings.POSSYNC_GRACE_SECONDS = 30

    assert [lag(ExchangeAccount()), grace(ExchangeAccount())] == [minutes(1), minutes(0.5)]
    assert lag(ExchangeAccount(lag_seconds=0)) == minutes(0)
    assert grace(ExchangeAccount(grace_seconds=5)) == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("status", "health"),
    [
        (Status.SUCCEEDED, Health.OK),
        (Status.PARTIAL, Health.OK),
        (Status.FAILED, Health.FAILING),
        (Status.LOST, Health.FAILING),
    ],
)
@pytest.mark.django_db
def test_health_follows_the_last_finished_run(status: Status, health: Health) -> None:
    account = make_account(next_sync_at=NOON)
    run = make_run(account, status=status, balances_read=True)

    assert account_health(account, run, NOON) == health


@pytest.mark.django_db
def test_an_account_whose_balances_cannot_be_read_is_failing() -> None:
    account = make_account(next_sync_at=NOON)
    run = make_run(account, status=Status.PARTIAL, balances_read=False)

    assert account_health(account, run, NOON) == Health.FAILING


@pytest.mark.django_db
def test_an_account_is_new_until_a_run_has_finished() -> None:
    assert account_health(make_account(), None, NOON) == Health.NEW


@pytest.mark.django_db
def test_an_account_is_late_a_whole_interval_after_its_time() -> None:
    account = make_account(interval_seconds=300, next_sync_at=NOON)
    run = make_run(account)

    assert account_health(account, run, NOON + minutes(6)) == Health.OK
    assert account_health(account, run, NOON + minutes(6.1)) == Health.LATE


@pytest.mark.django_db
def test_a_credential_that_cannot_be_opened_is_told_before_the_failing_run() -> None:
    credential = make_credential()
    credential.state = MarketCredential.State.LOCKED
    credential.save()
    run = make_run(credential.account, status=Status.FAILED)
    account = ExchangeAccount.objects.get()

    assert account_health(account, run, NOON) == Health.LOCKED


@pytest.mark.django_db
def test_a_paused_account_is_paused_whatever_else_it_is() -> None:
    account = make_account(paused=True)

    assert account_health(account, make_run(account, status=Status.FAILED), NOON) == Health.PAUSED


@pytest.mark.django_db
def test_a_key_that_is_rejected_for_a_quarter_of_an_hour_is_not_given_up() -> None:
    account = make_account(grace_seconds=0)

    for passed in range(16):
        note_rejection(account, NOON + minutes(passed))

    assert account.rejections == 2


@pytest.mark.django_db
def test_a_key_that_is_rejected_for_half_an_hour_is_left_alone_by_the_schedule() -> None:
    account = make_account(grace_seconds=30)

    for passed in (0, 15, 30):
        note_rejection(account, NOON + minutes(passed))

    assert due_accounts(NOON) == []
    assert account_health(account, make_run(account), NOON) == Health.SUSPENDED
