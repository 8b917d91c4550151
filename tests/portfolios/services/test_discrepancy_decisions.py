"""What people decide about a discrepancy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from portfolios.models import Decision, Discrepancy, DiscrepancyEvent
from portfolios.services.discrepancies import resolve
from portfolios.services.discrepancy_decisions import (
    DiscrepancyRefused,
    acknowledge,
    dismiss,
    reopen,
    undo,
)
from tests.builders import NOON, make_account, make_discrepancy, make_run

D = Decimal
State = Discrepancy.State
Kind = Decision.Kind
LATER = NOON + timedelta(hours=1)
pytestmark = pytest.mark.django_db
Act = Callable[[Discrepancy, Decision], None]


def until_tomorrow(row: Discrepancy, decision: Decision) -> None:
    acknowledge(row, decision, LATER + timedelta(days=1))


def settle(row: Discrepancy, decision: Decision) -> None:
    resolve(row, "accepted as lapsed", LATER, decision=decision)


def decision_on(row: Discrepancy, **values: Any) -> Decision:
    defaults = {"kind": Kind.DISMISS, "subject": "BTC", "reason": "known", "actor_name": "ann"}
    return Decision.objects.create(account=row.account, **defaults | values)


def decided(row: Discrepancy, act: Act, **values: Any) -> Decision:
    decision = decision_on(row, **values)
    with time_machine.travel(LATER, tick=False):
        act(row, decision)
    row.refresh_from_db()
    return decision


@pytest.mark.parametrize("state", Discrepancy.LIVE)
@pytest.mark.parametrize(
    ("act", "after"),
    [
        (dismiss, State.DISMISSED),
        (until_tomorrow, State.ACKNOWLEDGED),
        (settle, State.RESOLVED),
    ],
)
def test_what_is_live_can_be_decided(state: State, act: Act, after: State) -> None:
    row = make_discrepancy(state=state)

    decision = decided(row, act)

    event = DiscrepancyEvent.objects.get()
    assert (event.before, event.after, event.decision, event.at) == (state, after, decision, LATER)
    assert row.state == after


@pytest.mark.parametrize("state", [State.RESOLVED, State.DISMISSED])
@pytest.mark.parametrize("act", [dismiss, until_tomorrow])
def test_what_is_not_live_cannot_be_decided(state: State, act: Act) -> None:
    row = make_discrepancy(state=state)
    before = Discrepancy.objects.values().get()

    with pytest.raises(DiscrepancyRefused):
        act(row, decision_on(row))

    assert Discrepancy.objects.values().get() == before
    assert not DiscrepancyEvent.objects.exists()


@pytest.mark.parametrize("state", [State.DISMISSED, State.ACKNOWLEDGED])
def test_what_was_put_aside_can_be_opened_again(state: State) -> None:
    row = make_discrepancy(state=state, fingerprint="BALANCE_SHORT -1..-1")

    decided(row, reopen)

    assert (row.state, row.fingerprint, row.opened_at) == (State.OPEN, "", NOON)


@pytest.mark.parametrize("state", [State.SUSPECTED, State.OPEN, State.RESOLVED])
def test_what_was_not_put_aside_cannot_be_opened_again(state: State) -> None:
    row = make_discrepancy(state=state)

    with pytest.raises(DiscrepancyRefused):
        reopen(row, decision_on(row))


def test_a_refusal_names_what_and_whose_and_what_to_do() -> None:
    row = make_discrepancy(make_account(label="desk"), state=State.RESOLVED, asset="BTC")

    with pytest.raises(DiscrepancyRefused) as refused:
        dismiss(row, decision_on(row))

    assert str(refused.value) == (
        "“Less at the exchange than in the books BTC” of account desk is “Resolved” by now, which does not allow "
        "this. Nothing was changed; look at the discrepancy again and decide by what it says."
    )


@pytest.mark.parametrize(
    ("amounts", "fingerprint"),
    [
        ({"low": D(-3), "high": D(-2)}, "BALANCE_SHORT -3..-2"),
        ({"difference": D("-2.50")}, "BALANCE_SHORT -2.5..-2.5"),
        ({"difference": None}, "BALANCE_SHORT"),
    ],
)
def test_it_is_noted_what_exactly_was_dismissed(amounts: dict[str, Any], fingerprint: str) -> None:
    row = make_discrepancy(**amounts)

    decided(row, dismiss)

    assert row.fingerprint == fingerprint


def test_it_is_noted_how_much_was_acknowledged_and_until_when() -> None:
    row = make_discrepancy(difference=D(-2))

    decided(row, until_tomorrow)

    assert (row.acknowledged_difference, row.acknowledged_until) == (
        D(-2),
        LATER + timedelta(days=1),
    )


def test_an_acknowledged_suspicion_was_no_transient() -> None:
    row = make_discrepancy(state=State.SUSPECTED)

    decided(row, until_tomorrow)

    assert row.opened_at == LATER


def test_what_is_resolved_tells_by_what() -> None:
    row = make_discrepancy()
    run = make_run(row.account)

    resolve(row, "is order 7 of the exchange", LATER, run)

    event = DiscrepancyEvent.objects.get()
    assert (row.state, row.cause, row.resolved_at) == (
        State.RESOLVED,
        "is order 7 of the exchange",
        LATER,
    )
    assert (event.reason, event.run) == ("is order 7 of the exchange", run)


@pytest.mark.parametrize("state", [State.SUSPECTED, State.OPEN])
@pytest.mark.parametrize("act", [dismiss, until_tomorrow, settle])
def test_what_was_decided_can_be_taken_back_to_what_it_was(state: State, act: Act) -> None:
    opened = NOON if state == State.OPEN else None
    row = make_discrepancy(state=state, opened_at=opened)
    first = decided(row, act)

    decided(row, undo, kind=Kind.REVERSE, reverses=first)

    assert (row.state, row.opened_at, row.resolved_at) == (state, opened, None)
    assert (row.fingerprint, row.acknowledged_until) == ("", None)


def test_what_has_moved_since_cannot_be_taken_back() -> None:
    row = make_discrepancy()
    first = decided(row, dismiss)
    decided(row, reopen)

    with pytest.raises(DiscrepancyRefused):
        undo(row, decision_on(row, kind=Kind.REVERSE, reverses=first))


def test_what_was_put_aside_before_is_to_be_decided_anew() -> None:
    row = make_discrepancy()
    decided(row, dismiss)
    opened = decided(row, reopen)

    with pytest.raises(DiscrepancyRefused):
        undo(row, decision_on(row, kind=Kind.REVERSE, reverses=opened))


def test_a_run_took_it_and_no_decision_so_none_can_be_taken_back() -> None:
    row = make_discrepancy()
    resolve(row, "agrees again", LATER)

    with pytest.raises(DiscrepancyRefused):
        undo(row, decision_on(row))
