from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Discrepancy, Order, Portfolio
from portfolios.services.decisions import DecisionRefused
from portfolios.services.verification import verify_books
from tests.builders import make_discrepancy, make_order, make_portfolio
from tests.portfolios.services.decisions.cases import (
    Kind,
    a_claim,
    a_lapse,
    a_match,
    a_release,
    do,
    done,
    reversal,
)

D = Decimal
pytestmark = pytest.mark.django_db


def test_an_order_that_its_book_has_sent_is_not_taken_from_its_portfolio() -> None:
    order = make_order(make_portfolio(), external_id="77", book_values={"amount": "0.01"})

    with pytest.raises(DecisionRefused, match="Order 77 was not claimed"):
        do(order.account, Kind.RELEASE_ORDER, order=order.pk)


def test_an_order_of_nobody_is_not_taken_from_anybody() -> None:
    proposal = a_claim()

    with pytest.raises(DecisionRefused, match="it has no owner"):
        do(proposal.account, Kind.RELEASE_ORDER, order=proposal.given["order"])


def test_a_claim_is_not_taken_back_from_the_next_owner() -> None:
    proposal = a_claim()
    first = done(proposal)
    order = proposal.given["order"]
    do(proposal.account, Kind.RELEASE_ORDER, order=order)
    other = make_portfolio(proposal.account)
    do(proposal.account, Kind.CLAIM_ORDER, order=order, portfolio=other.pk)

    with pytest.raises(DecisionRefused, match="does not belong to that portfolio any more"):
        done(reversal(first))

    assert Order.objects.get().portfolio == other
    assert verify_books().difference is None


def test_what_was_open_of_a_released_order_is_nobodys() -> None:
    proposal = a_release()
    found = make_discrepancy(
        proposal.account,
        order=Order.objects.get(),
        portfolio=Portfolio.objects.get(),
        code=Discrepancy.Code.ORDER_FILL_AHEAD,
    )

    done(proposal)

    found.refresh_from_db()
    assert found.portfolio is None
    locked = proposal.account.positions.get(portfolio=None, asset="USDT")
    assert (locked.amount, locked.reserved) == (D(-200), D(300))


def test_a_match_that_is_something_else_by_now_is_not_taken_back() -> None:
    decision = done(a_match())
    Order.objects.update(client_order_id="a-2")

    with pytest.raises(DecisionRefused, match="is not what it was matched with any more"):
        done(reversal(decision))


def test_what_proposed_a_lapse_and_was_found_again_since_stays_as_it_is() -> None:
    decision = done(a_lapse())
    row = Discrepancy.objects.get()
    row.state = Discrepancy.State.OPEN
    row.save()

    done(reversal(decision))

    assert Order.objects.get().status == "open"
    assert row.events.get().decision == decision
