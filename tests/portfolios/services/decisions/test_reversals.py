"""What a reversal puts back beside the amounts, and what is no single amount to decide about."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import AssetRule, Decision, Discrepancy
from portfolios.models.choices import Verdict
from portfolios.services.decisions import DecisionRefused
from portfolios.services.decisions.amounts import open_residuals
from tests.builders import make_account, make_balance, make_discrepancy
from tests.portfolios.services.decisions.cases import (
    Kind,
    a_match,
    a_rebaseline,
    do,
    done,
    reversal,
)
from tests.portfolios.services.reads import balances, look, make_books, open_orders

D = Decimal
State = Discrepancy.State
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.SUSPECTED, State.SUSPECTED),
        (State.OPEN, State.OPEN),
        (State.ACKNOWLEDGED, State.OPEN),
    ],
)
@pytest.mark.parametrize("kind", [Kind.MATCH_ORDER, Kind.REBASELINE])
def test_what_a_decision_resolved_lives_again_when_it_is_taken_back(
    kind: Decision.Kind, before: State, after: State
) -> None:
    proposal = a_match() if kind == Kind.MATCH_ORDER else a_rebaseline()
    if kind == Kind.REBASELINE:
        make_discrepancy(proposal.account)
    Discrepancy.objects.update(state=before)
    decision = done(proposal)
    assert Discrepancy.objects.get().state == State.RESOLVED

    done(reversal(decision))

    assert Discrepancy.objects.get().state == after


@pytest.mark.parametrize("verdict", [Verdict.CONSISTENT, Verdict.DIFFERS])
def test_a_residual_that_is_no_single_amount_is_no_new_baseline(verdict: Verdict) -> None:
    low, high = D("-0.2"), D(0) if verdict == Verdict.CONSISTENT else D("-0.05")
    point = D("-0.1")
    row = make_balance(residual=point, residual_low=low, residual_high=high, verdict=verdict)
    assert open_residuals(row.account) == {}

    with pytest.raises(DecisionRefused, match="not settled"):
        do(row.account, Kind.REBASELINE, residuals={"BTC": "-0.1"})


def test_what_was_adjusted_under_another_name_is_not_taken_up_again() -> None:
    row = make_balance(residual=D("-0.1"), verdict=Verdict.DIFFERS)
    AssetRule.objects.create(account=row.account, kind="alias", asset="LDBTC", counts_as="BTC")

    do(row.account, Kind.ADJUST, portfolio=None, asset="LDBTC", amount="-0.1")

    assert open_residuals(row.account) == {}


def test_an_amount_beyond_all_that_can_be_kept_is_refused() -> None:
    account = make_account()
    given = {"portfolio": None, "asset": "BTC", "amount": "9" * 72}
    do(account, Kind.ADJUST, **given)

    with pytest.raises(DecisionRefused, match="no number of at most 72 digits"):
        do(account, Kind.ADJUST, **given)


def test_a_day_that_there_is_not_is_refused() -> None:
    row = make_discrepancy()

    with pytest.raises(DecisionRefused, match="until a time to come"):
        do(row.account, Kind.ACKNOWLEDGE, discrepancy=row.pk, until="2030-02-30T00:00:00Z")


def test_what_counts_as_another_asset_is_no_claim_beyond_what_there_is() -> None:
    account = make_books(positions={"BTC": "5"})
    AssetRule.objects.create(account=account, kind="alias", asset="LDBTC", counts_as="BTC")

    for _look in range(2):
        look(account, open_orders(), balances(BTC="3", LDBTC="2"))

    assert not account.discrepancies.exists()


def test_claims_beyond_what_both_names_hold_are_told_once() -> None:
    account = make_books(positions={"BTC": "6"})
    AssetRule.objects.create(account=account, kind="alias", asset="LDBTC", counts_as="BTC")

    for _look in range(2):
        look(account, open_orders(), balances(BTC="3", LDBTC="2"))

    found = account.discrepancies.get()
    assert (found.asset, found.book, found.exchange, found.difference) == ("BTC", D(6), D(5), D(-1))
