"""Open scenarios L01 and L02, and the other turns in the life of a discrepancy."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import Decision, Discrepancy, DiscrepancyEvent, ExchangeAccount
from portfolios.models.choices import Severity
from portfolios.services.discrepancies import Finding, record_findings
from portfolios.services.discrepancy_decisions import acknowledge, dismiss, reopen
from providers.sandbox.faults import Fault, FaultKind
from tests.builders import make_account
from tests.desk import KEY, Desk

D = Decimal
State = Discrepancy.State


def the_only_one() -> Discrepancy:
    return Discrepancy.objects.get()


def states() -> list[tuple[int, str]]:
    return list(DiscrepancyEvent.objects.values_list("episode", "after"))


def by_a_person(kind: Decision.Kind = Decision.Kind.DISMISS) -> Decision:
    account = ExchangeAccount.objects.get()
    return Decision.objects.create(account=account, kind=kind, subject="EUR", reason="known")


@pytest.fixture
def loser(trader: Desk) -> Desk:
    """Take 5 EUR away that nobody tells of, and look until that is proved."""
    trader.take_away("EUR", "5")
    trader.sync()
    trader.sync()
    assert the_only_one().state == State.OPEN
    return trader


def give_back(desk: Desk, amount: str) -> None:
    desk.engine.adjust(KEY, "EUR", amount)


def test_l01_what_comes_back_is_the_next_episode_of_the_same_row(loser: Desk) -> None:
    give_back(loser, "5")
    loser.sync()
    loser.take_away("EUR", "7")
    loser.sync()
    loser.sync()

    found = the_only_one()
    assert (found.state, found.episode, found.difference) == (State.OPEN, 2, D(-7))
    assert states() == [
        (1, State.SUSPECTED),
        (1, State.OPEN),
        (1, State.RESOLVED),
        (2, State.SUSPECTED),
        (2, State.OPEN),
    ]


def test_l02_what_a_person_dismissed_stays_so_sync_after_sync(loser: Desk) -> None:
    dismiss(the_only_one(), by_a_person())

    for _again in range(3):
        loser.sync()

    found = the_only_one()
    assert (found.state, found.episode, found.difference) == (State.DISMISSED, 1, D(-5))


def test_l02_found_a_hundred_times_it_stays_dismissed() -> None:
    account = make_account(lag_seconds=0, grace_seconds=0)
    code, severity = Discrepancy.Code.FLOW_UNCLASSIFIED, Severity.NOTICE
    same = Finding(key="flow:1", code=code, severity=severity, difference=D(-5))
    began = timezone.now()
    record_findings(account, [same], {"flow:1"}, began)
    dismiss(the_only_one(), by_a_person())

    for minutes in range(100):
        # Every other time it is not there: what comes back is still the same.
        found = [same] if minutes % 2 else []
        record_findings(account, found, {"flow:1"}, began + timedelta(minutes=minutes))

    assert (the_only_one().state, the_only_one().times_seen) == (State.DISMISSED, 51)
    assert states() == [(1, State.SUSPECTED), (1, State.DISMISSED)]


def test_another_amount_than_was_dismissed_is_told(loser: Desk) -> None:
    dismiss(the_only_one(), by_a_person())
    loser.take_away("EUR", "2")
    loser.sync()
    loser.sync()

    found = the_only_one()
    assert (found.state, found.episode, found.difference) == (State.OPEN, 2, D(-7))


def test_what_was_dismissed_is_open_at_once_when_a_person_says_so(loser: Desk) -> None:
    dismiss(the_only_one(), by_a_person())
    reopen(the_only_one(), by_a_person(Decision.Kind.REOPEN))
    loser.sync()

    assert (the_only_one().state, the_only_one().episode) == (State.OPEN, 1)


@pytest.mark.parametrize(
    ("lost", "state"), [("0", State.ACKNOWLEDGED), ("-2", State.ACKNOWLEDGED), ("2", State.OPEN)]
)
def test_what_is_acknowledged_is_told_again_when_it_grows(
    loser: Desk, lost: str, state: State
) -> None:
    acknowledge(the_only_one(), by_a_person(Decision.Kind.ACKNOWLEDGE), None)
    give_back(loser, str(-D(lost)))
    loser.sync()

    assert (the_only_one().state, the_only_one().episode) == (state, 1)


def test_what_is_acknowledged_is_told_again_when_its_time_is_over(loser: Desk) -> None:
    acknowledge(the_only_one(), by_a_person(Decision.Kind.ACKNOWLEDGE), timezone.now())

    loser.sync()

    assert the_only_one().state == State.OPEN


def test_what_is_acknowledged_is_resolved_when_it_is_gone(loser: Desk) -> None:
    acknowledge(the_only_one(), by_a_person(Decision.Kind.ACKNOWLEDGE), None)
    give_back(loser, "5")
    loser.sync()

    assert (the_only_one().state, the_only_one().is_transient) == (State.RESOLVED, False)


def test_a_suspicion_that_clears_was_a_transient(trader: Desk) -> None:
    trader.take_away("EUR", "5")
    trader.sync()
    give_back(trader, "5")
    trader.sync()

    assert the_only_one().is_transient


def test_a_check_that_became_impossible_resolves_nothing(loser: Desk) -> None:
    give_back(loser, "5")
    loser.server.faults.append(Fault(FaultKind.EXPIRED_KEY))
    before = Discrepancy.objects.values().get()

    loser.sync()

    assert Discrepancy.objects.values().get() == before
