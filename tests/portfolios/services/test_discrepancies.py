"""The life of a discrepancy from look to look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from portfolios.models import Discrepancy, DiscrepancyEvent, ExchangeAccount
from portfolios.models.choices import Severity
from portfolios.services.discrepancies import Finding, record_findings
from tests.builders import make_account, make_discrepancy, make_run

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = "balance:spot:BTC"
State = Discrepancy.State
Code = Discrepancy.Code
pytestmark = pytest.mark.django_db

SHORT = Finding(
    key=KEY,
    code=Code.BALANCE_SHORT,
    severity=Severity.ERROR,
    book=D(5),
    exchange=D(3),
    difference=D(-2),
    wallet="spot",
    asset="BTC",
)


@pytest.fixture
def account() -> ExchangeAccount:
    return make_account(lag_seconds=60, grace_seconds=30)


def look(account: ExchangeAccount, seconds: int, *findings: Finding, judged: str = KEY) -> None:
    record_findings(account, findings, {judged}, NOON + timedelta(seconds=seconds))


def test_the_first_look_only_suspects(account: ExchangeAccount) -> None:
    look(account, 0, SHORT)

    found = Discrepancy.objects.get()
    assert (found.state, found.times_seen, found.opened_at) == (State.SUSPECTED, 1, None)
    assert (found.book, found.exchange, found.difference) == (D(5), D(3), D(-2))


@pytest.mark.parametrize(("seconds", "state"), [(89, State.SUSPECTED), (90, State.OPEN)])
def test_the_same_difference_after_lag_and_grace_opens(
    account: ExchangeAccount, seconds: int, state: State
) -> None:
    look(account, 0, SHORT)
    look(account, seconds, SHORT)

    assert Discrepancy.objects.get().state == state


def test_first_and_last_seen_and_the_number_of_looks_are_kept(account: ExchangeAccount) -> None:
    for seconds in (0, 50, 100, 150):
        look(account, seconds, SHORT)

    found = Discrepancy.objects.get()
    assert (found.first_seen, found.last_seen) == (NOON, NOON + timedelta(seconds=150))
    assert (found.times_seen, found.opened_at) == (4, NOON + timedelta(seconds=100))


def test_another_size_while_suspected_starts_again(account: ExchangeAccount) -> None:
    look(account, 0, SHORT)
    look(account, 100, replace(SHORT, difference=D(-1), exchange=D(4)))

    found = Discrepancy.objects.get()
    assert (found.state, found.times_seen) == (State.SUSPECTED, 1)
    assert found.first_seen == NOON + timedelta(seconds=100)
    assert (found.difference, found.episode) == (D(-1), 2)


def test_another_size_while_open_stays_open_and_is_shown(account: ExchangeAccount) -> None:
    look(account, 0, SHORT)
    look(account, 90, SHORT)
    look(account, 200, replace(SHORT, difference=D(-1), exchange=D(4)))

    found = Discrepancy.objects.get()
    assert (found.state, found.difference, found.first_seen) == (State.OPEN, D(-1), NOON)


def test_an_asset_has_one_discrepancy_whatever_its_sign(account: ExchangeAccount) -> None:
    look(account, 0, SHORT)
    look(account, 90, SHORT)
    surplus = replace(
        SHORT, code=Code.BALANCE_SURPLUS, severity=Severity.WARNING, difference=D(2), exchange=D(7)
    )
    look(account, 200, surplus)

    found = Discrepancy.objects.get()
    assert (found.code, found.severity, found.state) == (
        Code.BALANCE_SURPLUS,
        Severity.WARNING,
        State.OPEN,
    )


@pytest.mark.parametrize("state", Discrepancy.LIVE)
def test_it_is_resolved_when_both_agree_again(account: ExchangeAccount, state: State) -> None:
    make_discrepancy(account, key=KEY, state=state)

    look(account, 300)

    found = Discrepancy.objects.get()
    assert (found.state, found.cause) == (State.RESOLVED, "agrees again")
    assert found.resolved_at == NOON + timedelta(seconds=300)


def test_a_look_that_could_not_judge_it_changes_nothing(account: ExchangeAccount) -> None:
    before = make_discrepancy(account, key=KEY)

    look(account, 300, judged="balance:spot:ETH")

    found = Discrepancy.objects.get()
    assert (found.state, found.times_seen) == (State.OPEN, before.times_seen)
    assert found.last_seen == before.last_seen


def test_what_comes_back_after_it_was_resolved_is_the_next_episode(
    account: ExchangeAccount,
) -> None:
    make_discrepancy(
        account,
        key=KEY,
        state=State.RESOLVED,
        opened_at=NOON,
        resolved_at=NOON,
        confidence="repeated",
        attribution={"outcome": "unique"},
        times_seen=7,
    )

    look(account, 600, SHORT)

    found = Discrepancy.objects.get()
    assert (found.state, found.episode, found.times_seen) == (State.SUSPECTED, 2, 1)
    assert found.first_seen == NOON + timedelta(seconds=600)
    assert (found.opened_at, found.resolved_at) == (None, None)
    assert (found.confidence, found.attribution) == ("", {})


def test_an_acknowledged_one_stays_acknowledged_while_it_lasts(account: ExchangeAccount) -> None:
    make_discrepancy(account, key=KEY, state=State.ACKNOWLEDGED)

    look(account, 300, SHORT)

    assert Discrepancy.objects.get().state == State.ACKNOWLEDGED


def test_what_is_no_matter_of_timing_opens_at_once(account: ExchangeAccount) -> None:
    look(account, 0, replace(SHORT, is_certain=True))

    found = Discrepancy.objects.get()
    assert (found.state, found.opened_at) == (State.OPEN, NOON)


def test_the_same_key_of_another_account_is_another_one(account: ExchangeAccount) -> None:
    make_discrepancy(make_account(), key=KEY)

    look(account, 0, SHORT)

    assert account.discrepancies.get().state == State.SUSPECTED
    assert Discrepancy.objects.count() == 2


def test_the_database_refuses_two_of_one_key(account: ExchangeAccount) -> None:
    make_discrepancy(account, key=KEY, state=State.RESOLVED)

    with pytest.raises(IntegrityError), transaction.atomic():
        make_discrepancy(account, key=KEY, state=State.SUSPECTED)


def turns() -> list[tuple[int, str, str, str]]:
    return list(DiscrepancyEvent.objects.values_list("episode", "before", "after", "reason"))


def test_every_turn_leaves_an_event_and_a_look_that_turns_nothing_none(
    account: ExchangeAccount,
) -> None:
    told = replace(SHORT, cause="unexplained")
    for seconds in (0, 50, 100, 150):
        look(account, seconds, told)
    look(account, 200)
    look(account, 300, told)

    assert turns() == [
        (1, "", State.SUSPECTED, "unexplained"),
        (1, State.SUSPECTED, State.OPEN, "found again"),
        (1, State.OPEN, State.RESOLVED, "agrees again"),
        (2, State.RESOLVED, State.SUSPECTED, "unexplained"),
    ]


def test_an_event_says_when_by_which_run_and_of_how_much(account: ExchangeAccount) -> None:
    run = make_run(account)

    record_findings(account, [SHORT], {KEY}, NOON, run)

    event = DiscrepancyEvent.objects.get()
    assert (event.at, event.run, event.decision) == (NOON, run, None)
    assert event.difference == D(-2)


def test_a_suspicion_that_changes_its_size_ends_one_episode_and_begins_the_next(
    account: ExchangeAccount,
) -> None:
    look(account, 0, SHORT)
    look(account, 100, replace(SHORT, difference=D(-1), cause="drift"))

    assert turns()[1:] == [
        (1, State.SUSPECTED, State.RESOLVED, "changed"),
        (2, State.RESOLVED, State.SUSPECTED, "drift"),
    ]


def test_a_suspicion_that_clears_was_a_transient(account: ExchangeAccount) -> None:
    look(account, 0, SHORT)
    look(account, 10)

    assert Discrepancy.objects.get().is_transient


@pytest.mark.parametrize("judged", [KEY, "another"])
def test_what_was_dismissed_stays_so_when_it_is_not_found(
    account: ExchangeAccount, judged: str
) -> None:
    make_discrepancy(account, key=KEY, state=State.DISMISSED)

    look(account, 300, judged=judged)

    assert Discrepancy.objects.get().state == State.DISMISSED


def test_however_many_there_are_a_look_reads_them_with_two_queries_and_writes_them_with_one(
    account: ExchangeAccount, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    keys = [f"order:{number}" for number in range(3)]
    for key in keys:
        make_discrepancy(
            account, key=key, state=State.DISMISSED, fingerprint="BALANCE_SHORT -2..-2"
        )

    with django_assert_num_queries(2 + 1):
        look(account, 0, *(replace(SHORT, key=key) for key in keys))
