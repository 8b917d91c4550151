"""The life of a discrepancy from look to look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from portfolios.models import Discrepancy, ExchangeAccount
from portfolios.models.choices import Severity
from portfolios.services.discrepancies import Finding, record_findings
from tests.builders import make_account, make_discrepancy

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
    assert found.difference == D(-1)


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


def test_what_comes_back_after_it_was_resolved_is_a_new_one(account: ExchangeAccount) -> None:
    look(account, 0, SHORT)
    look(account, 300)
    look(account, 600, SHORT)

    states = Discrepancy.objects.order_by("first_seen").values_list("state", flat=True)
    assert list(states) == [State.RESOLVED, State.SUSPECTED]


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


def test_the_database_refuses_two_live_ones_of_one_key(account: ExchangeAccount) -> None:
    make_discrepancy(account, key=KEY, state=State.OPEN)

    with pytest.raises(IntegrityError), transaction.atomic():
        make_discrepancy(account, key=KEY, state=State.SUSPECTED)
