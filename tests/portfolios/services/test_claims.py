"""Orders that nobody booked, and whose they become: no amount of the account changes with it (O13, O14)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import ClaimRule, Order, Portfolio, Position
from portfolios.services.claims import ClaimRefused, claim_order
from portfolios.services.verification import verify_books
from providers.sandbox.books import Order as ExchangeOrder
from tests.builders import (
    make_account,
    make_discrepancy,
    make_order,
    make_portfolio,
)
from tests.desk import KEY, Desk

D = Decimal
Kind = ClaimRule.Kind
pytestmark = pytest.mark.django_db


def totals(desk: Desk) -> dict[str, Decimal]:
    amounts: dict[str, Decimal] = {}
    for position in Position.objects.filter(account=desk.account):
        amounts[position.asset] = amounts.get(position.asset, D(0)) + position.amount
    return amounts


def by_hand(desk: Desk) -> ExchangeOrder:
    """Open the books, then buy at the exchange what no book knows, and fill a part of it."""
    desk.deposit("EUR", "1000")
    desk.open_portfolio("900")
    desk.sync()
    seen = desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    desk.engine.fill_order(seen.id, "40")
    desk.sync()
    return seen


# O14
def test_a_claimed_order_and_its_fills_go_to_the_portfolio(desk: Desk) -> None:
    order = desk.order(by_hand(desk))

    claim_order(order, desk.portfolio())

    order.refresh_from_db()
    assert (order.portfolio, order.external) == (desk.portfolio(), False)
    assert desk.position("ADA").amount == D(40)
    assert (desk.position("EUR").amount, desk.position("EUR").reserved) == (D(860), D(60))
    assert desk.position("EUR", None).reserved == D(0)


# O14
def test_a_claim_leaves_the_totals_of_the_account_as_they_are(desk: Desk) -> None:
    order = desk.order(by_hand(desk))
    before = totals(desk)

    claim_order(order, desk.portfolio())
    desk.sync()

    assert totals(desk) == before
    assert desk.differences() == []
    assert verify_books().difference is None


def test_what_a_claimed_order_fills_later_is_booked_for_its_owner_alone(desk: Desk) -> None:
    seen = by_hand(desk)
    claim_order(desk.order(seen), desk.portfolio())
    desk.engine.fill_order(seen.id)

    desk.sync()

    assert desk.position("ADA").amount == D(100)
    assert desk.position("ADA", None).amount == D(0)
    assert desk.differences() == []


def test_what_was_filled_before_the_baseline_stays_unassigned(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    seen = desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    desk.engine.fill_order(seen.id, "40")
    desk.open_portfolio("900")
    desk.sync()
    desk.engine.fill_order(seen.id, "10")
    desk.sync()

    claim_order(desk.order(seen), desk.portfolio())

    assert desk.position("ADA").amount == D(10)
    assert desk.position("ADA", None).amount == D(40)


def test_the_discrepancies_of_a_claimed_order_are_its_owners(desk: Desk) -> None:
    order = desk.order(by_hand(desk))
    found = make_discrepancy(desk.account, order=order)

    claim_order(order, desk.portfolio())

    found.refresh_from_db()
    assert found.portfolio == desk.portfolio()


def test_an_order_that_has_an_owner_is_not_given_away() -> None:
    order = make_order(make_portfolio(), external_id="77")
    other = make_portfolio(order.account)

    with pytest.raises(ClaimRefused, match=f"Order 77 of account {order.account}"):
        claim_order(order, other)

    order.refresh_from_db()
    assert order.portfolio != other


def test_a_claim_that_somebody_else_made_meanwhile_is_refused() -> None:
    account = make_account()
    order = make_order(account)
    stale = Order.objects.get(pk=order.pk)
    first, second = make_portfolio(account), make_portfolio(account)
    claim_order(order, first)

    with pytest.raises(ClaimRefused):
        claim_order(stale, second)

    assert Order.objects.get().portfolio == first


def test_an_order_does_not_go_to_another_account() -> None:
    order = make_order(make_account())

    with pytest.raises(ClaimRefused, match="can only go to a live portfolio"):
        claim_order(order, make_portfolio())


def test_an_order_does_not_go_to_a_backtest() -> None:
    order = make_order(make_account())
    backtest = make_portfolio(order.account, mode=Portfolio.Mode.BACKTEST)

    with pytest.raises(ClaimRefused, match="can only go to a live portfolio"):
        claim_order(order, backtest)
