"""Orders that were sent and not acknowledged, and the ones of the exchange that they can only be."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import Order, Portfolio
from portfolios.services.book import import_book
from portfolios.services.claims import ClaimRefused, accept_match, unacked_match
from portfolios.services.verification import verify_books
from tests.builders import (
    NOON,
    make_account,
    make_discrepancy,
    make_entry,
    make_order,
    make_portfolio,
)
from tests.desk import KEY, Desk
from tests.portfolios.services.test_claims import totals

D = Decimal
pytestmark = pytest.mark.django_db


def sent(portfolio: Portfolio, **values: Any) -> Order:
    """Make an order that the books have sent and the exchange has not acknowledged."""
    defaults = {"external_id": "", "client_order_id": "a-1", "status": "created"}
    return make_order(portfolio, **defaults | values)


def test_an_order_of_the_exchange_that_is_alike_in_everything_is_the_match() -> None:
    portfolio = make_portfolio()
    order = sent(portfolio)
    seen = make_order(portfolio.account, created_at=NOON + timedelta(minutes=10))

    assert unacked_match(order) == seen


@pytest.mark.parametrize(
    "other",
    [
        {"symbol": "ETH/USDT"},
        {"side": "sell"},
        {"price": D(49999)},
        {"price": None},
        {"amount": D("0.010000000000000001")},
        {"created_at": NOON + timedelta(minutes=10, seconds=1)},
        {"created_at": NOON - timedelta(minutes=10, seconds=1)},
        {"created_at": None},
        {"frozen_because": "two orders have its client id"},
    ],
)
def test_an_order_that_differs_in_anything_is_none(other: dict[str, Any]) -> None:
    portfolio = make_portfolio()
    order = sent(portfolio)
    make_order(portfolio.account, **other)

    assert unacked_match(order) is None


def test_two_that_are_alike_are_none() -> None:
    portfolio = make_portfolio()
    order = sent(portfolio)
    make_order(portfolio.account)
    make_order(portfolio.account)

    assert unacked_match(order) is None


def test_one_that_could_be_either_of_two_that_were_sent_is_none() -> None:
    portfolio = make_portfolio()
    order = sent(portfolio)
    sent(make_portfolio(portfolio.account), client_order_id="b-1")
    make_order(portfolio.account)

    assert unacked_match(order) is None


@pytest.mark.parametrize("known", [{"status": "canceled"}, {"external_id": "9"}])
def test_only_an_order_that_waits_to_be_acknowledged_has_a_match(known: dict[str, str]) -> None:
    portfolio = make_portfolio()
    order = sent(portfolio, **known)
    make_order(portfolio.account)

    assert unacked_match(order) is None


def test_orders_without_a_price_match_too() -> None:
    portfolio = make_portfolio()
    order = sent(portfolio, type="market", price=None)
    seen = make_order(portfolio.account, type="market", price=None)

    assert unacked_match(order) == seen


def test_an_order_of_another_account_is_no_match() -> None:
    order = sent(make_portfolio())
    make_order(make_account())

    assert unacked_match(order) is None


def half_matched(desk: Desk) -> tuple[Order, Order]:
    """Send an order whose client id the exchange does not report; it lists one that is alike, partly filled."""
    desk.deposit("EUR", "1000")
    desk.open_portfolio("900")
    desk.sync()
    seen = desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    desk.engine.fill_order(seen.id, "40")
    created_at = seen.created_at.isoformat()
    desk.note("", "buy", "100", "1", "ADA/EUR", client_order_id="a-1", created_at=created_at)
    desk.sync()
    return Order.objects.get(client_order_id="a-1"), desk.order(seen)


def test_an_accepted_match_leaves_one_order_with_both_its_ids(desk: Desk) -> None:
    order, seen = half_matched(desk)

    kept = accept_match(order, seen)

    assert list(desk.account.orders.all()) == [kept]
    assert (kept.external_id, kept.client_order_id) == (seen.external_id, "a-1")
    assert (kept.portfolio, kept.external) == (desk.portfolio(), False)


def test_an_accepted_match_books_the_fills_for_its_portfolio(desk: Desk) -> None:
    order, seen = half_matched(desk)
    before = totals(desk)

    accept_match(order, seen)
    desk.sync()

    assert totals(desk) == before
    assert desk.position("ADA").amount == D(40)
    assert desk.position("EUR").reserved == D(60)
    assert verify_books().difference is None


def test_the_book_may_be_imported_again_after_a_match(desk: Desk) -> None:
    order, seen = half_matched(desk)
    row = {
        "portfolio": "alpha",
        "client_order_id": "a-1",
        "symbol": "ADA/EUR",
        "side": "buy",
        "amount": "100",
        "price": "1",
    }
    accept_match(order, seen)

    assert import_book({"orders": [row]}).unchanged == 1


def test_the_discrepancies_of_a_matched_order_are_settled_and_point_to_the_one_that_stays(
    desk: Desk,
) -> None:
    order, seen = half_matched(desk)
    found = make_discrepancy(desk.account, order=order, portfolio=order.portfolio)

    kept = accept_match(order, seen)

    found.refresh_from_db()
    assert (found.order, found.state) == (kept, "RESOLVED")
    assert found.cause == f"is order {kept.external_id} of the exchange"


def test_a_match_that_is_not_the_only_one_any_more_is_refused() -> None:
    portfolio = make_portfolio()
    order = sent(portfolio)
    seen = make_order(portfolio.account, external_id="5")
    make_order(portfolio.account)

    with pytest.raises(ClaimRefused, match=r"Order a-1 of account .* for order 5"):
        accept_match(order, seen)

    assert Order.objects.count() == 3


def test_a_match_with_another_order_than_was_shown_is_refused() -> None:
    portfolio = make_portfolio()
    order = sent(portfolio)
    make_order(portfolio.account)
    other = make_order(portfolio.account, symbol="ETH/USDT")

    with pytest.raises(ClaimRefused):
        accept_match(order, other)


def test_a_sent_order_for_which_something_was_booked_is_not_removed() -> None:
    portfolio = make_portfolio()
    order = sent(portfolio)
    seen = make_order(portfolio.account)
    make_entry(portfolio, order=order)

    with pytest.raises(ClaimRefused):
        accept_match(order, seen)


def test_accepting_twice_is_refused_the_second_time(desk: Desk) -> None:
    order, seen = half_matched(desk)
    stale = Order.objects.get(pk=order.pk)
    accept_match(order, seen)

    with pytest.raises(ClaimRefused):
        accept_match(stale, seen)

    assert desk.account.orders.count() == 1
