from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from portfolios.models import Decision, ExchangeAccount, Order
from portfolios.services.decisions import (
    ChangedMeanwhile,
    DecisionRefused,
    Proposal,
    changes_of,
    decide,
    preview,
)
from tests.builders import make_account, make_order
from tests.portfolios.services.decisions.cases import (
    CASES,
    REASON,
    Kind,
    a_claim,
    a_lapse,
    an_adjustment,
    do,
    done,
    reversal,
    stored,
)

pytestmark = pytest.mark.django_db


def test_it_notes_who_decided_what_and_why() -> None:
    alice = User.objects.create_user("alice")
    proposal = an_adjustment()

    decision = decide(proposal, actor=alice, reason=f" {REASON} ")

    assert (decision.actor, decision.actor_name, decision.reason) == (alice, "alice", REASON)
    assert decision.given == proposal.given
    assert decision.subject.startswith("BTC of portfolio")


def test_the_note_outlives_whoever_decided() -> None:
    alice = User.objects.create_user("alice")
    decide(an_adjustment(), actor=alice, reason=REASON)

    alice.delete()

    assert Decision.objects.get().actor_name == "alice"


def test_what_was_shown_is_done() -> None:
    proposal = a_claim()
    token = preview(proposal).token(proposal.kind, proposal.given)

    decide(proposal, actor=None, token=token)

    assert Order.objects.get().portfolio_id == proposal.given["portfolio"]


def test_what_would_change_something_else_than_was_shown_is_not_done() -> None:
    proposal = a_claim()
    token = preview(proposal).token(proposal.kind, proposal.given)
    make_order(proposal.account.portfolios.get(), filled="0.001")
    Order.objects.filter(external=True).update(amount="0.02")

    with pytest.raises(ChangedMeanwhile, match="is no longer what was shown") as refusal:
        decide(proposal, actor=None, token=token)

    assert refusal.value.changes == preview(proposal)
    assert not Decision.objects.exists()


@pytest.mark.parametrize("kind", CASES)
def test_nobody_decides_on_an_account_that_is_only_observed(kind: Decision.Kind) -> None:
    proposal = CASES[kind]()
    ExchangeAccount.objects.update(policy="observe")
    before = stored()

    with pytest.raises(DecisionRefused, match=f"Account {proposal.account} is only observed"):
        done(proposal)

    assert stored() == before


@pytest.mark.parametrize("kind", CASES)
def test_on_books_that_contradict_themselves_only_discrepancies_are_decided(
    kind: Decision.Kind,
) -> None:
    proposal = CASES[kind]()
    ExchangeAccount.objects.update(read_only_because="positions do not add up")

    try:
        done(proposal)
    except DecisionRefused as e:
        refused = "positions do not add up" in str(e)
    else:
        refused = False

    assert refused is (kind not in (Kind.DISMISS, Kind.ACKNOWLEDGE, Kind.REOPEN))


@pytest.mark.parametrize("kind", [Kind.ADJUST, Kind.REBASELINE])
def test_what_no_record_explains_needs_a_reason(kind: Decision.Kind) -> None:
    with pytest.raises(DecisionRefused, match="A reason is missing"):
        decide(CASES[kind](), actor=None, reason=" ")


def test_a_decision_is_taken_back_once() -> None:
    decision = done(an_adjustment())
    done(reversal(decision))

    with pytest.raises(DecisionRefused, match="has been taken back already"):
        done(reversal(decision))


def test_what_was_taken_back_is_not_taken_back_again() -> None:
    back = done(reversal(done(an_adjustment())))

    with pytest.raises(DecisionRefused, match="is decided anew"):
        done(reversal(back))


def test_a_decision_on_another_account_is_not_taken_back() -> None:
    decision = done(an_adjustment())

    with pytest.raises(DecisionRefused, match="is not there any more"):
        do(make_account(), Kind.REVERSE, decision=decision.pk)


@pytest.mark.parametrize("order", [None, "1", True, -1, 10**30])
def test_a_row_that_is_not_there_is_refused(order: object) -> None:
    account = a_claim().account

    with pytest.raises(DecisionRefused, match=f"look at account {account} again"):
        do(account, Kind.RELEASE_ORDER, order=order)


def test_an_order_that_the_exchange_told_of_since_does_not_wake_up() -> None:
    decision = done(a_lapse())
    Order.objects.update(status="canceled")

    with pytest.raises(DecisionRefused, match="has not lapsed: it is canceled by now"):
        done(reversal(decision))


def test_the_changes_are_read_as_they_were_written() -> None:
    shown = preview(a_claim())

    assert changes_of(shown.as_json()) == shown
    assert {change.table for change in shown.rows} >= {"order", "position", "entry"}
    assert shown.totals_changed == []


def test_what_an_adjustment_changes_of_the_account_is_named() -> None:
    assert preview(an_adjustment()).totals_changed == ["BTC"]


def test_a_proposal_is_named_by_all_that_it_changes() -> None:
    proposal = an_adjustment()
    shown = preview(proposal)
    other = {**proposal.given, "amount": "0.6"}
    again = Proposal(
        proposal.account, proposal.kind, dict(sorted(proposal.given.items(), reverse=True))
    )

    assert shown.token(proposal.kind, proposal.given) == shown.token(again.kind, again.given)
    assert shown.token(proposal.kind, other) != shown.token(proposal.kind, proposal.given)
