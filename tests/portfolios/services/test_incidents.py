from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User

from portfolios.models import ExchangeAccount, Incident
from portfolios.services.incidents import (
    alike,
    mute_incidents,
    record_incident,
    resolve_incidents,
    unmute_incidents,
)
from providers.credentials import Credentials
from providers.errors import ExchangeUnavailable
from providers.redaction import leg_error, secrets_in_use
from providers.reports import LegError
from tests.builders import NOON, make_account, make_run

State = Incident.State
ERROR = LegError("transport", "RequestTimeout", "binance did not answer order 123.")
pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ExchangeAccount:
    return make_account()


def record(
    account: ExchangeAccount, error: LegError = ERROR, operation: str = "fetch.order"
) -> Incident:
    return record_incident(account, error, operation, run=None, subject="123")


def test_the_same_error_again_is_one_more_occurrence_of_one_group(
    account: ExchangeAccount,
) -> None:
    for _time in range(3):
        record(account)

    incident = Incident.objects.get()
    assert (incident.count, incident.occurrences.count()) == (3, 3)
    assert incident.first_seen < incident.last_seen


def test_an_incident_keeps_class_category_message_and_run(account: ExchangeAccount) -> None:
    run = make_run(account)

    incident = record_incident(account, ERROR, "fetch.order", run=run, subject="123")

    assert (incident.type, incident.category, incident.operation) == (
        "RequestTimeout",
        "transport",
        "fetch.order",
    )
    occurrence = incident.occurrences.get()
    assert (occurrence.run, occurrence.subject, occurrence.message) == (run, "123", ERROR.message)


@pytest.mark.parametrize(
    "other",
    [
        LegError("transport", "NetworkError", ERROR.message),
        LegError("maintenance", "RequestTimeout", ERROR.message),
    ],
)
def test_another_class_or_category_is_another_group(
    account: ExchangeAccount, other: LegError
) -> None:
    assert record(account) != record(account, other)


def test_another_operation_is_another_group(account: ExchangeAccount) -> None:
    assert record(account) != record(account, operation="fetch.balances")


def test_another_place_in_our_code_is_another_group(account: ExchangeAccount) -> None:
    def raised_by(function: str) -> LegError:
        trace = f'  File "providers/mapping.py", line 7, in {function}\n    pass\nValueError: x'
        return LegError("bug", "ValueError", "x", trace=trace)

    assert record(account, raised_by("order_report")) == record(account, raised_by("order_report"))
    assert record(account, raised_by("order_report")) != record(account, raised_by("fill_report"))


def test_another_message_alone_is_no_other_group(account: ExchangeAccount) -> None:
    first = record(account)

    second = record(account, LegError("transport", "RequestTimeout", "Another order."))

    assert second == first
    assert second.message == "Another order."


def test_the_same_error_of_another_account_is_another_group(account: ExchangeAccount) -> None:
    assert record(account) != record(make_account())


def test_a_resolved_group_that_occurs_again_has_regressed(account: ExchangeAccount) -> None:
    record(account)
    resolve_incidents(Incident.objects.all(), None)

    assert record(account).state == State.REGRESSED
    assert record(account).state == State.REGRESSED


def test_an_unresolved_group_stays_unresolved(account: ExchangeAccount) -> None:
    record(account)

    assert record(account).state == State.UNRESOLVED


def test_a_secret_in_a_message_is_not_stored(account: ExchangeAccount) -> None:
    with secrets_in_use(Credentials({"secret": "s3cret-canary"})):
        record(account, leg_error(ExchangeUnavailable("refused s3cret-canary")))

    incident = Incident.objects.get()
    assert incident.message == "refused ***"
    assert "canary" not in incident.occurrences.get().trace


def test_what_a_provider_calls_its_error_may_have_any_length(account: ExchangeAccount) -> None:
    error = LegError("category " * 10, "Kind" * 100, "message " * 1000)

    record_incident(account, error, "fetch.order", run=None, subject="9" * 500)

    incident = Incident.objects.get()
    assert [len(incident.category), len(incident.type), len(incident.message)] == [20, 100, 500]
    assert len(incident.occurrences.get().subject) == 128


def muted(account: ExchangeAccount, until: datetime | None) -> None:
    record(account)
    mute_incidents(Incident.objects.all(), until, None)


def test_a_muted_group_counts_on_and_stays_muted(account: ExchangeAccount) -> None:
    muted(account, None)

    incident = record(account)

    assert (incident.state, incident.count) == (State.MUTED, 2)


def test_a_group_whose_time_of_being_muted_is_over_alarms_again(account: ExchangeAccount) -> None:
    with time_machine.travel(NOON, tick=False):
        muted(account, NOON + timedelta(hours=1))
    with time_machine.travel(NOON + timedelta(minutes=59), tick=False):
        assert record(account).state == State.MUTED

    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        incident = record(account)

    assert (incident.state, incident.muted_until) == (State.UNRESOLVED, None)


def test_an_unmuted_group_alarms_again(account: ExchangeAccount) -> None:
    muted(account, None)

    unmute_incidents(Incident.objects.all(), None)

    assert Incident.objects.get().state == State.UNRESOLVED


def test_what_is_resolved_is_not_muted(account: ExchangeAccount) -> None:
    record(account)
    resolve_incidents(Incident.objects.all(), None)

    mute_incidents(Incident.objects.all(), None, None)

    assert Incident.objects.get().state == State.RESOLVED


def test_a_muted_group_that_is_resolved_regresses_when_it_occurs_again(
    account: ExchangeAccount,
) -> None:
    muted(account, None)

    resolve_incidents(Incident.objects.all(), None)

    assert record(account).state == State.REGRESSED


def test_who_acted_last_is_noted(account: ExchangeAccount) -> None:
    record(account)

    with time_machine.travel(NOON, tick=False):
        resolve_incidents(Incident.objects.all(), User(username="alice"))

    incident = Incident.objects.get()
    assert (incident.acted_by, incident.acted_at) == ("alice", NOON)


def test_alike_is_the_same_exception_on_accounts_of_the_same_market(
    account: ExchangeAccount,
) -> None:
    here, there = record(account), record(make_account(market=account.market))
    record(make_account(market="kraken"))
    record(account, operation="fetch.balances")

    assert set(alike(here)) == {here, there}
