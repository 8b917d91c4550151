"""What people decide: shown first, done exactly so, and taken back (L06, L09)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from portfolios.models import ClaimRule, Decision, Discrepancy, ExchangeAccount, LedgerEntry
from portfolios.services.decisions import KINDS, DecisionRefused, changes_of, preview
from portfolios.services.openings import open_portfolio
from portfolios.services.verification import verify_books
from tests.builders import make_claim_rule
from tests.desk import KEY, Desk
from tests.portfolios.scenarios.test_missing_orders import GRACE, books_of, denied, the_order
from tests.portfolios.services.decisions.cases import (
    CASES,
    Kind,
    an_opening,
    books,
    do,
    done,
    reversal,
    stored,
)

D = Decimal
by_kind = pytest.mark.parametrize("kind", CASES)


def test_every_kind_of_decision_is_played_here() -> None:
    assert {*CASES, Kind.REVERSE} == set(KINDS) == set(Kind)


@by_kind
def test_l06_a_dry_run_writes_nothing(kind: Decision.Kind) -> None:
    proposal = CASES[kind]()
    before = stored()

    preview(proposal)

    assert stored() == before


@by_kind
def test_l06_what_was_shown_is_what_is_done(kind: Decision.Kind) -> None:
    proposal = CASES[kind]()
    shown = preview(proposal)

    decision = done(proposal)

    assert shown.rows
    assert changes_of(decision.changes) == shown
    assert verify_books().difference is None


@by_kind
def test_every_decision_can_be_taken_back(kind: Decision.Kind) -> None:
    proposal = CASES[kind]()
    before = books(proposal.account)
    decision = done(proposal)
    assert books(proposal.account) != before
    shown = preview(reversal(decision))

    back = done(reversal(decision))

    assert books(proposal.account) == before
    assert (changes_of(back.changes), back.reverses) == (shown, decision)


@by_kind
def test_what_was_taken_back_can_be_decided_anew(kind: Decision.Kind) -> None:
    proposal = CASES[kind]()
    decision = done(proposal)
    after = books(proposal.account)
    done(reversal(decision))

    done(proposal)

    assert books(proposal.account) == after


def by_hand(trader: Desk) -> int:
    """Buy at the exchange what no book knows, and fill a part of it."""
    seen = trader.engine.buy(KEY, "ADA/EUR", "100", "1")
    trader.engine.fill_order(seen.id, "40")
    trader.sync()
    return trader.order(seen).pk


def test_a_claim_is_taken_back_with_all_that_was_filled_since(trader: Desk) -> None:
    order = by_hand(trader)
    claim = do(trader.account, Kind.CLAIM_ORDER, order=order, portfolio=trader.portfolio().pk)
    trader.engine.fill_order(trader.account.orders.get().external_id, "20")
    trader.sync()
    assert trader.position("ADA").amount == D(60)

    done(reversal(claim))

    assert trader.position("ADA").amount == trader.position("ADA").cost == D(0)
    assert trader.position("ADA", None).amount == D(60)
    assert trader.unallocated() == D(1000)
    trader.sync()
    assert trader.differences() == []


def test_an_order_that_was_taken_back_can_be_claimed_again_and_fill_on(trader: Desk) -> None:
    order = by_hand(trader)
    owner = trader.portfolio().pk
    done(reversal(do(trader.account, Kind.CLAIM_ORDER, order=order, portfolio=owner)))

    do(trader.account, Kind.CLAIM_ORDER, order=order, portfolio=owner)
    trader.engine.fill_order(trader.account.orders.get().external_id)
    trader.sync()

    assert trader.position("ADA").amount == D(100)
    assert trader.position("ADA", None).amount == D(0)
    assert trader.differences() == []


# L09
def test_l09_an_order_of_one_portfolio_is_never_taken_by_another(trader: Desk) -> None:
    trader.open_portfolio("50", name="beta")
    placed = trader.buy("10", "1", portfolio="beta")
    trader.sync()
    make_claim_rule(trader.portfolio(), kind=ClaimRule.Kind.SYMBOL, value="ADA/EUR")
    trader.engine.fill_order(placed.id)
    trader.sync()
    order = trader.order(placed)

    with pytest.raises(DecisionRefused, match="belongs to a portfolio already"):
        do(trader.account, Kind.CLAIM_ORDER, order=order.pk, portfolio=trader.portfolio().pk)

    assert order.portfolio == trader.portfolio("beta")
    assert trader.position("ADA", "beta").amount == D(10)


def test_a_deposit_that_is_given_to_a_portfolio_is_its_unallocated_cash(trader: Desk) -> None:
    trader.deposit("EUR", "100")
    trader.sync()
    flow = trader.account.flows.get(amount=D(100))
    shares = [{"portfolio": trader.portfolio().pk, "asset": "EUR", "amount": "70"}]

    do(trader.account, Kind.ASSIGN_FLOW, flow=flow.pk, shares=shares)
    trader.sync()

    assert trader.unallocated() == D(1070)
    assert trader.position("EUR", None).amount == D(130)
    assert trader.differences() == []


def test_a_portfolio_that_the_exchange_cannot_cover_is_opened_with_what_is_there(
    desk: Desk,
) -> None:
    desk.deposit("EUR", "800")
    desk.open_portfolio("1000")
    desk.sync()
    given = {"portfolio": desk.portfolio().pk, "asset": "EUR", "amount": "800"}

    do(desk.account, Kind.ACCEPT_OPENING, **given)
    desk.sync()

    assert desk.portfolio().initialized
    assert desk.unallocated() == desk.portfolio().net_size == D(800)
    assert desk.position("EUR", None).amount == D(0)
    assert desk.differences() == []


def test_a_new_baseline_takes_up_what_is_not_explained(trader: Desk) -> None:
    trader.take_away("EUR", "30")
    trader.sync()
    trader.sync()
    assert [row.difference for row in trader.differences()] == [D(-30)]

    do(trader.account, Kind.REBASELINE, residuals={"EUR": "-30"})

    assert trader.position("EUR", None).amount == D(70)
    assert Discrepancy.objects.get().cause == "a new baseline was accepted"
    trader.sync()
    assert trader.differences() == []


def test_an_adjustment_with_its_reason_ends_the_difference(trader: Desk) -> None:
    trader.take_away("EUR", "30")
    trader.sync()

    given = {"portfolio": trader.portfolio().pk, "asset": "EUR", "amount": "-30"}
    do(trader.account, Kind.ADJUST, **given)
    trader.sync()

    assert trader.unallocated() == D(970)
    assert LedgerEntry.objects.get(cause="adjustment").decision == Decision.objects.get()
    assert trader.differences() == []


def test_what_leaves_a_portfolio_takes_its_cost_along(trader: Desk) -> None:
    trader.open_portfolio("50", name="beta")
    trader.hold("ADA", "10", "20", portfolio="beta")
    owner = trader.portfolio("beta")

    given = {"portfolio": owner.pk, "asset": "ADA", "amount": "-5"}
    do(trader.account, Kind.ADJUST, **given)

    held = trader.position("ADA", "beta")
    assert (held.amount, held.cost) == (D(5), D(10))


def test_an_opening_that_was_taken_back_is_tried_by_the_next_sync_again() -> None:
    proposal = an_opening()
    done(reversal(done(proposal)))

    portfolio = proposal.account.portfolios.get()
    open_portfolio(portfolio, "USDT", D(700), cost=D(0), run=None)
    portfolio.initialized, portfolio.opening_cash = True, D(700)
    portfolio.save()

    assert verify_books().difference is None


def test_on_an_account_that_is_only_observed_no_order_lapses_by_itself() -> None:
    account = books_of(age=timedelta(days=2), lapses_by_itself=True)
    ExchangeAccount.objects.update(policy=ExchangeAccount.Policy.OBSERVE)

    for number in range(3):
        denied(account, number * GRACE)

    assert the_order().status == "open"
    assert Discrepancy.objects.get().state == "OPEN"
