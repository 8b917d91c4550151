"""Claims, leases and fences: one worker at a time writes to an account, and none works on it for ever."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Max, Min
from django.utils import timezone
from pytest_django.fixtures import Settings

from portfolios.models import ExchangeAccount, Incident, SyncRun
from portfolios.selectors.progress import run_progress
from portfolios.services import runs
from portfolios.services.incidents import record_incident
from portfolios.services.leases import LeaseLost, lock_account, renew_leases
from portfolios.services.portfolio_sync import execute_runs
from portfolios.services.runs import (
    claim_run,
    close_run,
    heal_abandoned_runs,
    open_run,
    open_runs,
    show_progress,
)
from tests.builders import make_account, make_run
from tests.desk import Desk
from tests.portfolios.services.reads import begin, let_the_lease_lapse

Status = SyncRun.Status
Trigger = SyncRun.Trigger
pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ExchangeAccount:
    return make_account(interval_seconds=300)


def test_ten_clicks_open_one_run(account: ExchangeAccount) -> None:
    opened = [open_run(account, Trigger.MANUAL) for _click in range(10)]

    assert len({run.pk for run, _is_new in opened}) == 1
    assert [is_new for _run, is_new in opened] == [True] + [False] * 9


def test_runs_that_are_opened_together_join_those_that_are_open(account: ExchangeAccount) -> None:
    busy, calm = make_run(status=Status.RUNNING), make_run(account)

    opened = open_runs([busy.account_id, account.pk], Trigger.MANUAL)

    assert [(run.account_id, is_new) for run, is_new in opened] == [
        (busy.account_id, False),
        (account.pk, True),
    ]
    assert calm not in {run for run, _is_new in opened}
    assert not any(is_new for _run, is_new in open_runs([account.pk], Trigger.MANUAL))


def test_the_database_refuses_a_second_open_run_of_an_account(account: ExchangeAccount) -> None:
    make_run(account, status=Status.RUNNING)

    with pytest.raises(IntegrityError), transaction.atomic():
        make_run(account, status=Status.QUEUED)


def test_a_finished_run_does_not_stand_in_the_way_of_the_next(account: ExchangeAccount) -> None:
    make_run(account, status=Status.FAILED)

    _run, is_new = open_run(account, Trigger.MANUAL)

    assert is_new


def test_a_claim_counts_the_attempt_before_any_work(account: ExchangeAccount) -> None:
    begin(account)

    run = SyncRun.objects.get()
    assert (run.status, run.attempts, run.stage) == (Status.RUNNING, 1, "fetching")


def test_of_two_workers_one_gets_the_run(account: ExchangeAccount) -> None:
    run = begin(account)

    assert claim_run(run.pk) is None


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.LOST, Status.RUNNING])
def test_a_run_that_does_not_wait_is_not_claimed(account: ExchangeAccount, status: Status) -> None:
    assert claim_run(make_run(account, status=status).pk) is None


def test_a_run_that_is_gone_is_not_claimed() -> None:
    assert claim_run(424242) is None


def test_a_waiting_run_is_not_claimed_while_another_holds_the_account(
    account: ExchangeAccount,
) -> None:
    account.lease_expires_at = timezone.now() + timedelta(seconds=10)
    account.save()

    assert claim_run(open_run(account, Trigger.MANUAL)[0].pk) is None


def test_a_renewed_lease_is_held_longer(account: ExchangeAccount) -> None:
    run = begin(account)
    let_the_lease_lapse(run)

    renew_leases([run])

    assert heal_abandoned_runs() == []
    assert SyncRun.objects.get().status == Status.RUNNING


def test_a_lease_that_was_taken_away_is_not_renewed(account: ExchangeAccount) -> None:
    run = begin(account)
    let_the_lease_lapse(run)
    heal_abandoned_runs()

    renew_leases([run])

    account.refresh_from_db()
    assert account.lease_expires_at is None


def test_the_run_of_a_vanished_worker_is_lost_and_another_tries_again(
    account: ExchangeAccount,
) -> None:
    run = begin(account)
    let_the_lease_lapse(run)

    [again] = heal_abandoned_runs()

    assert (again.status, again.trigger, again.attempts) == (Status.QUEUED, run.trigger, 1)
    run.refresh_from_db()
    assert (run.status, run.message) == (
        Status.LOST,
        "The worker vanished while it synced this account.",
    )


def test_a_late_worker_may_not_write_once_its_run_is_lost(account: ExchangeAccount) -> None:
    late = begin(account)
    let_the_lease_lapse(late)
    heal_abandoned_runs()

    with pytest.raises(LeaseLost), transaction.atomic():
        lock_account(late)


def test_what_a_late_worker_writes_is_refused_and_the_new_ones_stands(
    account: ExchangeAccount,
) -> None:
    late = begin(account)
    let_the_lease_lapse(late)
    [again] = heal_abandoned_runs()
    new = claim_run(again.pk)
    assert new is not None

    with pytest.raises(LeaseLost):
        close_run(late, Status.FAILED, "too late")
    show_progress(late, SyncRun.Stage.APPLYING, 7, 9)
    close_run(new, Status.SUCCEEDED, "in time")

    lost, stored = SyncRun.objects.order_by("pk")
    assert (stored.status, stored.message, stored.attempts) == (Status.SUCCEEDED, "in time", 2)
    assert (lost.status, lost.progress_total) == (Status.LOST, 0)


def test_a_run_cannot_be_closed_twice(account: ExchangeAccount) -> None:
    run = begin(account)
    close_run(run, Status.SUCCEEDED)

    with pytest.raises(LeaseLost):
        close_run(run, Status.FAILED)


def test_a_closed_run_lets_go_of_its_account(account: ExchangeAccount) -> None:
    close_run(begin(account), Status.SUCCEEDED)

    assert begin(account).attempts == 1


def test_a_run_whose_worker_lives_is_left_alone(account: ExchangeAccount) -> None:
    begin(account)

    assert heal_abandoned_runs() == []
    assert SyncRun.objects.get().status == Status.RUNNING


def test_an_account_whose_workers_vanish_is_not_tried_for_ever(
    account: ExchangeAccount, settings: Settings
) -> None:
    settings.POSSYNC_MAX_ATTEMPTS = 2
    let_the_lease_lapse(begin(account))
    [again] = heal_abandoned_runs()
    second = claim_run(again.pk)
    assert second is not None
    let_the_lease_lapse(second)

    assert heal_abandoned_runs() == []
    assert [run.status for run in SyncRun.objects.all()] == [Status.LOST, Status.LOST]


def test_a_lost_run_is_an_incident(account: ExchangeAccount) -> None:
    run = begin(account)
    SyncRun.objects.update(attempts=3)
    let_the_lease_lapse(run)

    heal_abandoned_runs()

    incident = Incident.objects.get()
    assert (incident.account, incident.type, incident.category) == (
        account,
        "WorkerVanished",
        "bug",
    )
    assert incident.occurrences.get().run == run


def test_after_a_lost_run_the_account_waits_for_its_next_turn(account: ExchangeAccount) -> None:
    run = begin(account)
    SyncRun.objects.update(attempts=3)
    let_the_lease_lapse(run)

    heal_abandoned_runs()

    account.refresh_from_db()
    assert account.next_sync_at is not None
    assert account.next_sync_at > timezone.now() + timedelta(seconds=290)


def test_a_run_that_waited_longer_than_a_lease_is_queued_again(account: ExchangeAccount) -> None:
    waiting, _ = open_run(account, Trigger.MANUAL)
    SyncRun.objects.update(queued_at=timezone.now() - timedelta(minutes=1))
    open_run(make_account(), Trigger.MANUAL)

    assert heal_abandoned_runs() == [waiting]


def test_a_paused_account_is_not_tried_again(account: ExchangeAccount) -> None:
    let_the_lease_lapse(begin(account))
    ExchangeAccount.objects.update(paused=True)

    assert heal_abandoned_runs() == []


def test_a_run_that_cannot_be_healed_keeps_no_other_from_it(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick, other = begin(account), begin(make_account())
    for run in (sick, other):
        let_the_lease_lapse(run)

    def fail_for_the_sick(of: ExchangeAccount, *args: object, **kwargs: object) -> Incident:
        if of.pk == sick.account_id:
            raise OverflowError("date value out of range")
        return record_incident(of, *args, **kwargs)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(runs, "record_incident", fail_for_the_sick)

    assert [run.account_id for run in heal_abandoned_runs()] == [other.account_id]


def test_every_stage_notes_when_it_began(account: ExchangeAccount) -> None:
    began = timezone.now()
    with time_machine.travel(began, tick=False) as clock:
        run = begin(account)
        for stage in (SyncRun.Stage.APPLYING, SyncRun.Stage.JUDGING):
            clock.shift(timedelta(seconds=2))
            show_progress(run, stage)
        clock.shift(timedelta(seconds=2))
        close_run(run, Status.SUCCEEDED)

    run = SyncRun.objects.get()
    steps = run_progress(run, timezone.now()).steps[1:]
    assert [step.took for step in steps] == [timedelta(seconds=2)] * 3


def test_a_stage_goes_on_from_when_it_began(account: ExchangeAccount) -> None:
    run = begin(account)
    show_progress(run, SyncRun.Stage.APPLYING)
    began_at = run.applying_at

    show_progress(run, SyncRun.Stage.APPLYING, 1, 2)

    assert SyncRun.objects.get().applying_at == began_at


def test_who_asked_is_remembered_by_the_run_that_tries_again(account: ExchangeAccount) -> None:
    alice = User.objects.create_user("alice")
    run = claim_run(open_run(account, Trigger.MANUAL, alice)[0].pk)
    assert run is not None
    let_the_lease_lapse(run)

    [again] = heal_abandoned_runs()

    assert again.requested_by == alice


def test_a_failed_run_shows_how_far_it_came(account: ExchangeAccount) -> None:
    run = begin(account)

    close_run(run, Status.FAILED)

    assert [step.state for step in run_progress(run, timezone.now()).steps] == [
        "done",
        "failed",
        "next",
        "next",
    ]


# --- one key, several accounts --------------------------------------------------------------------


def of_one_key(desk: Desk, *labels: str) -> list[SyncRun]:
    desks = [desk, *(Desk(desk.server, label=label) for label in labels)]
    return [open_run(x.account, Trigger.CLI)[0] for x in desks]


def test_a_key_that_another_worker_uses_is_not_used(desk: Desk) -> None:
    one, other = of_one_key(desk, "other")
    assert claim_run(one.pk) is not None

    assert claim_run(other.pk) is None

    close_run(SyncRun.objects.select_related("account").get(pk=one.pk), Status.SUCCEEDED)
    assert claim_run(other.pk) is not None


def test_the_same_key_elsewhere_is_another_key(desk: Desk) -> None:
    elsewhere = Desk(desk.server, label="elsewhere", endpoint="http://127.0.0.1:1")
    runs = [open_run(x.account, Trigger.CLI)[0].pk for x in (desk, elsewhere)]

    assert None not in map(claim_run, runs)


def test_accounts_without_a_stored_key_share_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = (open_run(make_account(), Trigger.CLI)[0] for _account in range(2))
    monkeypatch.setenv("BINANCE_API_KEY", "practice-key")
    assert claim_run(one.pk) is not None

    assert claim_run(other.pk) is None


def test_one_worker_reads_accounts_of_one_key_one_after_the_other(desk: Desk) -> None:
    opened = of_one_key(desk, "other", "third")

    execute_runs([run.pk for run in opened])

    assert [run.status for run in SyncRun.objects.all()] == [Status.SUCCEEDED] * 3
    read = [run.legs.aggregate(Min("requested_at"), Max("responded_at")) for run in opened]
    spans = sorted(tuple(x.values()) for x in read)
    assert all(end <= begun for (_, end), (begun, _) in pairwise(spans))


@pytest.mark.parametrize(("within", "status"), [(124, Status.QUEUED), (130, Status.SUCCEEDED)])
def test_a_further_account_of_a_key_is_only_begun_if_it_is_over_before_the_task_must_be(
    desk: Desk, within: float, status: Status
) -> None:
    first, second = of_one_key(desk, "other")

    execute_runs([first.pk, second.pk], within=within)

    second.refresh_from_db()
    assert second.status == status
