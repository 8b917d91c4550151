"""The life of a balance's discrepancy: what the last looks mean for it is decided before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from portfolios.models import Discrepancy, DiscrepancyEvent, ExchangeAccount
from portfolios.models.choices import Severity
from portfolios.reconciliation.episodes import REPEATED, BalanceEpisode, Step, Turn
from portfolios.services.discrepancies import Finding, balance_episode, record_findings
from tests.builders import NOON, make_account, make_discrepancy

D = Decimal
KEY = "balance:spot:BTC"
State = Discrepancy.State
Code = Discrepancy.Code
pytestmark = pytest.mark.django_db
SEEN = BalanceEpisode(is_open=False, low=D(-3), high=D(-2), first_seen=NOON)
OPENED = replace(SEEN, is_open=True)
# As it is before the read is settled.
SHORT = Finding(
    key=KEY,
    code=Code.BALANCE_SHORT,
    severity=Severity.ERROR,
    book=D(5),
    exchange=D("2.5"),
    difference=D("-2.5"),
    low=D(-3),
    high=D(-2),
    cause="unexplained",
    wallet="spot",
    asset="BTC",
)


@pytest.fixture
def account() -> ExchangeAccount:
    return make_account(lag_seconds=0, grace_seconds=0)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def look(
    account: ExchangeAccount,
    seconds: int,
    step: Step | None = None,
    episode: BalanceEpisode | None = None,
    finding: Finding = SHORT,
) -> Discrepancy:
    """Look once: with `step` a settled look that means it, else one that is not settled."""
    turn = None if step is None else Turn(step, episode)
    record_findings(account, [replace(finding, turn=turn)], {KEY}, at(seconds))
    return account.discrepancies.get()


def agree(account: ExchangeAccount, seconds: int) -> Discrepancy:
    record_findings(account, [], {KEY}, at(seconds))
    return account.discrepancies.get()


def afters() -> list[str]:
    return list(DiscrepancyEvent.objects.values_list("after", flat=True))


def test_it_begins_as_the_turn_says(account: ExchangeAccount) -> None:
    found = look(account, 30, Step.BEGIN, replace(SEEN, stale_since=NOON))

    assert (found.state, found.times_seen, found.first_seen) == (State.SUSPECTED, 1, NOON)
    assert (found.low, found.high, found.stale_since) == (D(-3), D(-2), NOON)


def test_it_opens_as_the_turn_says_and_not_before(account: ExchangeAccount) -> None:
    look(account, 0, Step.BEGIN, SEEN)
    stayed = look(account, 100, Step.STAY, SEEN)
    found = look(account, 200, Step.OPEN, replace(OPENED, low=D("-2.6")))

    assert stayed.state == State.SUSPECTED
    assert (found.state, found.opened_at, found.times_seen) == (State.OPEN, at(200), 3)
    assert (found.low, found.high) == (D("-2.6"), D(-2))


def test_it_may_begin_open(account: ExchangeAccount) -> None:
    found = look(account, 40, Step.OPEN, replace(OPENED, confidence=REPEATED))

    assert (found.state, found.opened_at, found.confidence) == (State.OPEN, at(40), REPEATED)
    assert found.first_seen == NOON


def test_a_restart_ends_one_episode_and_begins_the_next(account: ExchangeAccount) -> None:
    look(account, 0, Step.OPEN, replace(OPENED, confidence=REPEATED))
    other = replace(SEEN, low=D(-9), high=D(-9), first_seen=at(100))
    found = look(account, 100, Step.RESTART, other)

    assert (found.state, found.episode, found.times_seen) == (State.SUSPECTED, 2, 1)
    assert (found.opened_at, found.confidence, found.first_seen) == (None, "", at(100))
    assert afters() == [State.OPEN, State.RESOLVED, State.SUSPECTED]


def test_a_restart_may_be_open_at_once(account: ExchangeAccount) -> None:
    look(account, 0, Step.BEGIN, SEEN)
    found = look(account, 100, Step.RESTART, replace(OPENED, first_seen=at(100)))

    assert (found.state, found.episode, found.opened_at) == (State.OPEN, 2, at(100))


def test_it_is_resolved_when_the_turn_says_so(account: ExchangeAccount) -> None:
    look(account, 0, Step.BEGIN, SEEN)
    found = look(account, 100, Step.RESOLVE)

    assert (found.state, found.cause, found.resolved_at) == (
        State.RESOLVED,
        "agrees again",
        at(100),
    )


def test_a_turn_without_an_episode_begins_none(account: ExchangeAccount) -> None:
    record_findings(account, [replace(SHORT, turn=Turn(Step.STAY, None))], {KEY}, NOON)

    assert not account.discrepancies.exists()


def test_a_read_that_is_not_settled_suspects_at_once(account: ExchangeAccount) -> None:
    found = look(account, 0)

    assert (found.state, found.times_seen, found.difference) == (State.SUSPECTED, 1, D("-2.5"))


def test_a_read_that_is_not_settled_opens_nothing_and_counts_for_nothing(
    account: ExchangeAccount,
) -> None:
    look(account, 0)
    found = look(account, 900, finding=replace(SHORT, difference=D(-4)))

    assert (found.state, found.times_seen) == (State.SUSPECTED, 1)
    assert (found.difference, found.last_seen) == (D(-4), at(900))
    assert balance_episode(found) is None


def test_the_first_settled_look_makes_it_an_episode(account: ExchangeAccount) -> None:
    look(account, 0)
    look(account, 60)
    found = look(account, 60, Step.BEGIN, replace(SEEN, first_seen=at(60)))

    assert (found.state, found.episode, found.times_seen) == (State.SUSPECTED, 1, 1)
    assert balance_episode(found) == replace(SEEN, first_seen=at(60))
    assert afters() == [State.SUSPECTED]


@pytest.mark.parametrize("state", [State.OPEN, State.ACKNOWLEDGED, State.DISMISSED])
def test_a_read_that_is_not_settled_changes_nothing_that_is_known(
    account: ExchangeAccount, state: State
) -> None:
    make_discrepancy(account, key=KEY, state=state)
    before = Discrepancy.objects.values().get()

    look(account, 900)

    assert Discrepancy.objects.values().get() == before


def test_a_look_that_is_older_than_the_suspicion_does_not_end_it(account: ExchangeAccount) -> None:
    look(account, 60)

    assert agree(account, 0).state == State.SUSPECTED
    assert agree(account, 60).state == State.RESOLVED


def test_events_stay_in_the_order_of_time_when_an_older_read_is_settled_later(
    account: ExchangeAccount,
) -> None:
    look(account, 60)
    found = look(account, 0, Step.OPEN, OPENED)

    assert (found.last_seen, found.opened_at) == (at(60), at(60))


@pytest.mark.parametrize("state", [State.OPEN, State.ACKNOWLEDGED])
def test_an_episode_is_open_unless_it_is_only_suspected(
    account: ExchangeAccount, state: State
) -> None:
    row = make_discrepancy(
        account, state=state, low=D(-3), high=D(-2), stale_since=NOON, confidence=REPEATED
    )

    assert balance_episode(row) == replace(OPENED, stale_since=NOON, confidence=REPEATED)


@pytest.mark.parametrize("state", [State.RESOLVED, State.DISMISSED])
def test_what_is_not_live_has_no_episode(account: ExchangeAccount, state: State) -> None:
    assert balance_episode(make_discrepancy(account, state=state, low=D(1), high=D(1))) is None
    assert balance_episode(None) is None


def dismissed(account: ExchangeAccount) -> Discrepancy:
    return make_discrepancy(
        account, key=KEY, state=State.DISMISSED, fingerprint="BALANCE_SHORT -3..-2"
    )


def test_what_was_dismissed_stays_so_while_it_may_be_the_same(account: ExchangeAccount) -> None:
    dismissed(account)
    finding = replace(SHORT, low=D(-2), high=D(1))

    found = look(account, 60, Step.OPEN, replace(OPENED, low=D(-2), high=D(1)), finding)

    assert (found.state, found.episode, found.last_seen) == (State.DISMISSED, 1, at(60))
    assert afters() == []


@pytest.mark.parametrize(("step", "episode"), [(Step.BEGIN, SEEN), (Step.OPEN, OPENED)])
@pytest.mark.parametrize(
    "other",
    [replace(SHORT, low=D(-9), high=D(-9)), replace(SHORT, code=Code.BALANCE_SURPLUS)],
    ids=["amount", "kind"],
)
def test_another_than_was_dismissed_is_the_next_episode(
    account: ExchangeAccount, step: Step, episode: BalanceEpisode, other: Finding
) -> None:
    dismissed(account)

    found = look(account, 60, step, episode, other)

    expected = State.OPEN if step is Step.OPEN else State.SUSPECTED
    assert (found.state, found.episode) == (expected, 2)


def test_a_suspicion_that_turns_out_to_be_what_was_dismissed_is_dismissed(
    account: ExchangeAccount,
) -> None:
    dismissed(account)
    look(account, 60, Step.BEGIN, SEEN, replace(SHORT, low=D(-9), high=D(-9)))
    found = look(account, 120, Step.RESTART, replace(SEEN, first_seen=at(120)))

    assert (found.state, found.episode) == (State.DISMISSED, 3)
    assert afters() == [State.SUSPECTED, State.RESOLVED, State.DISMISSED]


def test_what_was_dismissed_is_told_again_once_another_was_proved(account: ExchangeAccount) -> None:
    dismissed(account)
    look(account, 60, Step.OPEN, OPENED, replace(SHORT, low=D(-9), high=D(-9)))
    found = look(account, 120, Step.RESTART, replace(SEEN, first_seen=at(120)))

    assert (found.state, found.episode) == (State.SUSPECTED, 3)


def acknowledged(account: ExchangeAccount, until: datetime | None = None) -> None:
    make_discrepancy(
        account,
        key=KEY,
        state=State.ACKNOWLEDGED,
        opened_at=NOON,
        acknowledged_difference=D(-3),
        acknowledged_until=until,
    )


@pytest.mark.parametrize("step", [Step.STAY, Step.OPEN, Step.RESTART])
def test_what_is_acknowledged_stays_so_until_it_is_more(
    account: ExchangeAccount, step: Step
) -> None:
    acknowledged(account)

    found = look(account, 60, step, SEEN)

    assert (found.state, found.episode, found.difference) == (State.ACKNOWLEDGED, 1, D("-2.5"))
    assert (found.acknowledged_difference, found.low) == (D(-3), D(-3))


@pytest.mark.parametrize(("low", "high"), [(D(-9), D("-3.1")), (D(1), D(2))])
def test_it_opens_again_when_it_is_more_or_on_the_other_side(
    account: ExchangeAccount, low: Decimal, high: Decimal
) -> None:
    acknowledged(account)

    found = look(account, 60, Step.RESTART, SEEN, replace(SHORT, low=low, high=high))

    assert (found.state, found.episode, found.opened_at) == (State.OPEN, 1, NOON)
    assert found.acknowledged_difference is None


@pytest.mark.parametrize(("seconds", "state"), [(59, State.ACKNOWLEDGED), (60, State.OPEN)])
def test_it_opens_again_when_its_time_is_over(
    account: ExchangeAccount, seconds: int, state: State
) -> None:
    acknowledged(account, until=at(60))

    assert look(account, seconds, Step.STAY, SEEN).state == state


def test_what_is_acknowledged_is_resolved_when_it_agrees(account: ExchangeAccount) -> None:
    acknowledged(account)

    found = agree(account, 60)

    assert (found.state, found.acknowledged_difference) == (State.RESOLVED, None)
