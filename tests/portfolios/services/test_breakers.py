from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import CircuitBreaker, ExchangeAccount, Incident, SyncRun
from portfolios.services.accounts import due_accounts, resume
from portfolios.services.breakers import (
    admitted,
    note_answer,
    note_failure,
    note_probes,
    set_aside,
    set_aside_ids,
)
from portfolios.services.runs import claim_run, heal_abandoned_runs, open_run
from providers.reports import LegError
from providers.sandbox.faults import Fault, FaultKind
from tests.builders import make_account
from tests.desk import Desk

NO_ANSWER = LegError("transport", "ExchangeNotAvailable", "binance 503")
MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.django_db


def fail(account: ExchangeAccount, times: int, error: LegError = NO_ANSWER) -> None:
    for _run in range(times):
        note_failure(account, error)


def two_accounts() -> list[ExchangeAccount]:
    past = timezone.now() - MINUTE
    return [make_account(next_sync_at=past), make_account(next_sync_at=past)]


def test_an_account_that_fails_three_times_in_a_row_is_tried_later() -> None:
    account = make_account(next_sync_at=timezone.now())

    fail(account, 2)
    assert due_accounts(timezone.now()) == [account]
    fail(account, 1)

    account.refresh_from_db()
    assert account.next_sync_at is not None
    assert MINUTE <= account.next_sync_at - timezone.now() + timedelta(seconds=1) <= 2 * MINUTE


def test_each_further_failure_doubles_the_pause_to_a_quarter_of_an_hour() -> None:
    account = make_account(next_sync_at=timezone.now())

    pauses = []
    for _run in range(10):
        fail(account, 1)
        retry_at = CircuitBreaker.objects.get(account=account).retry_at
        pauses.append(round((retry_at - timezone.now()) / MINUTE / 1.1) if retry_at else 0)

    assert pauses[:2] == [0, 0]
    assert pauses[:6] == sorted(pauses[:6])
    assert max(pauses) in (14, 15)


def test_an_answer_closes_the_circuit() -> None:
    account = make_account()
    fail(account, 5)

    note_answer(account)

    assert not CircuitBreaker.objects.exists()


def test_an_answer_of_a_healthy_account_costs_one_read_and_no_write() -> None:
    account = make_account()

    with CaptureQueriesContext(connection) as queries:
        note_answer(account)

    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]


@pytest.mark.parametrize(
    "error",
    [
        LegError("bug", "KeyError", "'x'"),
        LegError("unsupported", "NotSupported", "No."),
        LegError("rate", "RateLimited", "Slower.", retry_after=60),
    ],
    ids=lambda error: error.category,
)
def test_what_waiting_does_not_mend_or_is_waited_for_already_does_not_count(
    error: LegError,
) -> None:
    account = make_account()

    fail(account, 9, error)

    assert not CircuitBreaker.objects.exists()


def test_a_market_that_answers_nobody_is_tried_by_one_account() -> None:
    one, other = two_accounts()
    fail(one, 3)
    fail(other, 2)
    assert admitted([one, other], timezone.now()) == []

    with time_machine.travel(timezone.now() + 2 * MINUTE):
        assert admitted([one, other], timezone.now()) == [one]

        note_probes([one], timezone.now())
        assert admitted([one, other], timezone.now()) == []


def test_a_probe_that_never_came_back_is_followed_by_another() -> None:
    one, other = two_accounts()
    fail(one, 3)
    fail(other, 2)

    with time_machine.travel(timezone.now() + 2 * MINUTE) as clock:
        note_probes([one], timezone.now())
        clock.shift(4 * MINUTE)

        assert admitted([other], timezone.now()) == [other]


def test_one_accounts_trouble_is_not_its_markets() -> None:
    one, other = two_accounts()

    fail(one, 20)

    assert admitted([other], timezone.now()) == [other]


def test_a_market_that_refuses_a_key_is_there() -> None:
    one, other = two_accounts()
    fail(one, 3)
    fail(other, 2)

    note_failure(one, LegError("auth", "AuthenticationError", "Invalid key."))

    assert not CircuitBreaker.objects.exclude(place="").exists()


def test_another_market_is_read_as_usual() -> None:
    one, other = two_accounts()
    fail(one, 3)
    fail(other, 2)
    elsewhere = make_account(market="kraken")

    assert admitted([elsewhere], timezone.now()) == [elsewhere]


def test_resuming_forgets_the_failures() -> None:
    account = make_account()
    fail(account, 9)

    resume(account)

    assert due_accounts(timezone.now()) == [account]
    assert not CircuitBreaker.objects.filter(account=account).exists()


def test_who_presses_sync_now_asks_through_an_open_circuit(desk: Desk) -> None:
    desk.server.faults.append(Fault(FaultKind.EXPIRED_KEY))
    for _run in range(3):
        desk.sync()
    assert CircuitBreaker.objects.filter(account=desk.account).exclude(retry_at=None).exists()
    desk.server.faults.clear()

    assert desk.sync().status == SyncRun.Status.SUCCEEDED

    assert not CircuitBreaker.objects.exists()


# --- accounts whose runs end their workers --------------------------------------------------------


def kill_the_worker_of(account: ExchangeAccount) -> None:
    run = claim_run(open_run(account, SyncRun.Trigger.SCHEDULE)[0].pk)
    assert run is not None
    ExchangeAccount.objects.filter(pk=account.pk).update(lease_expires_at=timezone.now() - MINUTE)
    heal_abandoned_runs()


def test_an_account_that_ended_all_its_workers_is_set_aside_and_says_so() -> None:
    account = make_account(next_sync_at=timezone.now())
    for _attempt in range(3):
        kill_the_worker_of(account)

    incident = Incident.objects.get()
    assert (incident.type, incident.count) == ("WorkerVanished", 3)
    assert "set aside until" in incident.message
    assert due_accounts(timezone.now() + timedelta(minutes=59)) == []
    assert set_aside_ids([account.pk]) == {account.pk}


def test_then_it_has_one_attempt_and_a_longer_pause() -> None:
    account = make_account(next_sync_at=timezone.now())
    set_aside(account, timezone.now())
    with time_machine.travel(timezone.now() + timedelta(minutes=70)):
        kill_the_worker_of(account)

        assert not SyncRun.objects.filter(status=SyncRun.Status.QUEUED).exists()
        assert due_accounts(timezone.now() + timedelta(minutes=119)) == []


def test_a_run_that_ends_well_takes_it_back(desk: Desk) -> None:
    set_aside(desk.account, timezone.now())

    desk.sync()

    assert set_aside_ids([desk.account.pk]) == set()
