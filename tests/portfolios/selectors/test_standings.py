from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from portfolios.models import ExchangeAccount, MarketCredential, SyncRun
from portfolios.models.choices import AccountState, Severity
from portfolios.selectors.standings import Standing, standings
from portfolios.services.accounts import MOST_REJECTIONS
from tests.builders import (
    NOON,
    make_account,
    make_credential,
    make_discrepancy,
    make_incident,
    make_run,
)

Status = SyncRun.Status
Trigger = SyncRun.Trigger
pytestmark = pytest.mark.django_db


def keyed_account(**kwargs: Any) -> ExchangeAccount:
    account = make_account(**{"verified_at": NOON, "next_sync_at": NOON} | kwargs)
    MarketCredential.objects.create(account=account)
    return account


def only() -> Standing:
    [found] = standings(ExchangeAccount.objects.all(), NOON)
    return found


def test_a_good_run_that_judged_everything_is_agreement() -> None:
    make_run(keyed_account())

    assert only().state is AccountState.AGREES


def test_a_good_run_that_could_not_judge_everything_is_none() -> None:
    make_run(keyed_account(verified_at=None))

    assert only().state is AccountState.UNVERIFIED


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.ERROR, Severity.CRITICAL])
def test_an_open_discrepancy_is_no_agreement(severity: Severity) -> None:
    make_discrepancy(make_run(keyed_account()).account, severity=severity)

    assert only().state is AccountState.DIFFERS


@pytest.mark.parametrize(
    "discrepancy",
    [{"state": "SUSPECTED"}, {"state": "ACKNOWLEDGED"}, {"severity": Severity.NOTICE}],
)
def test_what_nobody_has_to_act_on_does_not_differ(discrepancy: dict[str, Any]) -> None:
    make_discrepancy(make_run(keyed_account()).account, **discrepancy)

    assert only().state is AccountState.AGREES


def test_an_account_without_a_key_needs_one() -> None:
    make_account()

    assert only().state is AccountState.CREDENTIALS


def test_an_account_of_backtests_needs_none() -> None:
    make_run(make_account())

    assert only().state is AccountState.UNVERIFIED


def test_a_key_that_was_rejected_again_and_again_is_to_be_replaced() -> None:
    make_run(keyed_account(rejections=MOST_REJECTIONS), status=Status.FAILED)

    assert only().state is AccountState.CREDENTIALS


def test_a_key_that_cannot_be_opened_is_to_be_entered_again() -> None:
    account = keyed_account()
    MarketCredential.objects.update(state=MarketCredential.State.LOCKED)
    make_run(account, status=Status.FAILED)

    assert only().state is AccountState.CREDENTIALS


def test_a_failure_comes_before_a_difference() -> None:
    make_discrepancy(make_run(keyed_account(), status=Status.FAILED).account)

    assert only().state is AccountState.FAILING


@pytest.mark.parametrize(("minutes", "state"), [(6, AccountState.AGREES), (6.1, AccountState.LATE)])
def test_late_begins_an_interval_and_a_minute_after_the_time(
    minutes: float, state: AccountState
) -> None:
    due = NOON - timedelta(minutes=minutes)
    make_run(keyed_account(interval_seconds=300, next_sync_at=due))

    assert only().state is state


def test_a_sync_under_way_hides_no_state() -> None:
    account = keyed_account()
    make_run(account, status=Status.FAILED)
    make_run(account, status=Status.RUNNING)

    assert (only().state, only().is_running) == (AccountState.FAILING, True)


def test_the_first_sync_of_an_account_is_its_state() -> None:
    make_run(keyed_account(verified_at=None), status=Status.RUNNING)

    assert only().state is AccountState.RUNNING


def test_an_account_that_was_never_synced_is_new() -> None:
    make_credential()

    assert only().state is AccountState.NEW


def test_an_exchange_that_answers_every_other_time_goes_on_failing() -> None:
    account = keyed_account()
    for status in (Status.FAILED, Status.SUCCEEDED):
        make_run(account, status=status)

        assert only().state is AccountState.FAILING


def test_the_second_good_run_in_a_row_ends_a_failure() -> None:
    account = keyed_account()
    make_run(account, status=Status.FAILED)
    make_run(account)
    make_run(account)

    assert only().state is AccountState.AGREES


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.API, Trigger.CLI])
def test_a_good_run_that_somebody_asked_for_ends_a_failure_at_once(trigger: Trigger) -> None:
    account = keyed_account()
    make_run(account, status=Status.FAILED)
    make_run(account, trigger=trigger)

    assert only().state is AccountState.AGREES


def test_a_worker_that_vanished_is_no_failure_of_the_exchange() -> None:
    account = keyed_account()
    make_run(account, status=Status.LOST)
    make_run(account)

    assert only().state is AccountState.AGREES


def test_a_thousand_accounts_are_asked_for_at_once(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _number in range(5):
        account = make_run(keyed_account()).account
        make_run(account, status=Status.RUNNING)
        make_discrepancy(account)
        make_incident(account)

    with django_assert_max_num_queries(4):
        found = standings(ExchangeAccount.objects.all(), NOON)

    assert [(row.state, row.failures) for row in found] == [(AccountState.DIFFERS, 1)] * 5
