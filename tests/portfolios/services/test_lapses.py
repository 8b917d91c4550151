"""Orders that the exchange proved not to have end as lapsed, and only when a person says so (O08, O09)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Discrepancy, LedgerEntry, Order, Position
from portfolios.services.lapses import LapseRefused, accept_lapse, released_by_lapse
from portfolios.services.ledger import rewrite_reserved
from portfolios.services.verification import verify_books
from providers.reports import OrderStatus
from tests.builders import make_account, make_discrepancy, make_order, make_portfolio

D = Decimal
Code = Discrepancy.Code
State = Discrepancy.State
pytestmark = pytest.mark.django_db


def missing_order(code: Code = Code.ORDER_MISSING_AT_VENUE, **values: object) -> Order:
    """Make an order of 0.01 BTC at 50000 USDT that the exchange has proved not to have."""
    order = make_order(make_portfolio(), external_id="77", **values)
    rewrite_reserved(order.account)
    make_discrepancy(order.account, order=order, portfolio=order.portfolio, code=code)
    return order


@pytest.mark.parametrize("code", [Code.ORDER_MISSING_AT_VENUE, Code.ORDER_RETENTION_EXPIRED])
def test_an_accepted_lapse_ends_the_order_and_settles_what_proposed_it(code: Code) -> None:
    order = missing_order(code)

    accept_lapse(order)

    order.refresh_from_db()
    assert order.status == OrderStatus.LAPSED
    found = Discrepancy.objects.get()
    assert (found.state, found.cause) == (State.RESOLVED, "accepted as lapsed")
    assert found.resolved_at is not None


# O09
def test_a_lapsed_order_keeps_what_it_filled_and_releases_exactly_the_rest() -> None:
    order = missing_order(filled=D("0.003"), opening_filled=D("0.003"))
    released = released_by_lapse(order)
    reserved = Position.objects.get(asset="USDT").reserved

    accept_lapse(order)

    order.refresh_from_db()
    assert order.filled == D("0.003")
    assert released == ("USDT", D(350))
    assert reserved - Position.objects.get(asset="USDT").reserved == D(350)


def test_a_lapse_books_nothing() -> None:
    accept_lapse(missing_order())

    assert not LedgerEntry.objects.exists()
    assert verify_books().difference is None


def test_the_lapse_of_an_order_that_nobody_booked_can_be_accepted() -> None:
    order = make_order(make_account())
    make_discrepancy(order.account, order=order, code=Code.ORDER_MISSING_AT_VENUE)

    accept_lapse(order)

    order.refresh_from_db()
    assert order.status == OrderStatus.LAPSED


@pytest.mark.parametrize("state", [State.SUSPECTED, State.RESOLVED, State.DISMISSED])
def test_a_lapse_that_is_not_proved_or_settled_already_is_refused(state: State) -> None:
    order = missing_order()
    Discrepancy.objects.update(state=state)

    with pytest.raises(LapseRefused, match=f"order 77 of account {order.account}"):
        accept_lapse(order)

    order.refresh_from_db()
    assert order.status == OrderStatus.OPEN


def test_another_discrepancy_of_the_order_proves_no_lapse() -> None:
    with pytest.raises(LapseRefused):
        accept_lapse(missing_order(Code.ORDER_UNACKED))


def test_an_order_that_has_ended_meanwhile_does_not_lapse() -> None:
    order = missing_order()
    Order.objects.update(status=OrderStatus.CANCELED)

    with pytest.raises(LapseRefused):
        accept_lapse(order)

    assert Order.objects.get().status == OrderStatus.CANCELED


def test_other_orders_keep_what_they_reserve() -> None:
    order = missing_order()
    assert order.portfolio is not None
    make_order(order.portfolio, amount=D("0.1"))
    rewrite_reserved(order.account)

    accept_lapse(order)

    assert Position.objects.get(asset="USDT").reserved == D(5000)
