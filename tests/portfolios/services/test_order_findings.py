"""What is told of ended orders whose amount or fills are not known, and what resolves it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.services.asked_orders import known_orders
from portfolios.services.orders import FILL_READS
from providers.reports import Leg, LegKind, OrderStatus
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    failed,
    fills_leg,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    observed,
    open_orders,
    order_leg,
    unsupported,
)

D = Decimal
Code = Discrepancy.Code
State = Discrepancy.State
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open books with an order to buy 10 ADA at 2 EUR."""
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    note_order(opened)
    return opened


def ended(filled: str | None) -> Leg:
    amount = None if filled is None else D(filled)
    cost = None if amount is None else 2 * amount
    return order_leg(make_order_report(status=OrderStatus.CANCELED, filled=amount, cost=cost))


def own_fills(*, complete: bool) -> Leg:
    return observed(LegKind.FILLS, [], subject="1", complete=complete)


def two_fills() -> Leg:
    return account_fills(make_fill_report("4", "2"), make_fill_report("2", "2", external_id="f-2"))


def see(account: ExchangeAccount, *legs: Leg, filled: str = "0") -> None:
    look(account, open_orders(), *legs, balances(EUR=str(100 - 2 * D(filled)), ADA=filled))


def states(code: Discrepancy.Code) -> list[str]:
    return list(Discrepancy.objects.filter(code=code).values_list("state", flat=True))


def test_an_untold_amount_is_told_where_the_market_lists_no_fills(account: ExchangeAccount) -> None:
    see(account, ended(None), unsupported(LegKind.FILLS, subject="1"))

    assert Order.objects.get().fills_wanted == 0
    assert states(Code.ORDER_FILLED_UNKNOWN) == [State.OPEN]


def test_an_untold_amount_stays_told_when_its_fills_are_asked_for_no_more(
    account: ExchangeAccount,
) -> None:
    for _look in range(FILL_READS + 1):
        see(account, ended(None), own_fills(complete=False))
        if not Order.objects.get().fills_wanted:
            break

    assert Order.objects.get().fills_wanted == 0
    assert states(Code.ORDER_FILLED_UNKNOWN) == [State.OPEN]


def test_fills_of_a_list_do_not_tell_that_they_are_all(account: ExchangeAccount) -> None:
    see(account, ended(None), own_fills(complete=False))

    some = make_fill_report("4", "2", executed_at=timezone.now())
    see(account, failed(LegKind.ORDER, subject="1"), account_fills(some), filled="4")

    assert states(Code.ORDER_FILLED_UNKNOWN) == [State.SUSPECTED]
    assert Order.objects.get().fills_wanted > 0


@pytest.mark.parametrize(
    ("filled", "complete"), [(None, True), ("0", False)], ids=["all fills read", "amount told"]
)
def test_an_untold_amount_is_resolved_when_it_is_known(
    account: ExchangeAccount, filled: str | None, complete: bool
) -> None:
    see(account, ended(None), own_fills(complete=False))

    see(account, ended(filled), own_fills(complete=complete))

    assert states(Code.ORDER_FILLED_UNKNOWN) == [State.RESOLVED]


def test_missing_fills_stay_told_when_they_are_asked_for_no_more(account: ExchangeAccount) -> None:
    for _look in range(FILL_READS):
        see(account, ended("4"), own_fills(complete=False), filled="4")
    assert Order.objects.get().fills_wanted == 0

    see(account, ended("4"), filled="4")

    assert states(Code.ORDER_FILLS_INCOMPLETE) == [State.OPEN]


def test_missing_fills_are_resolved_when_the_market_proves_to_list_none(
    account: ExchangeAccount,
) -> None:
    see(account, ended("4"), own_fills(complete=False), filled="4")

    see(account, ended("4"), unsupported(LegKind.FILLS, subject="1"), filled="4")

    assert states(Code.ORDER_FILLS_INCOMPLETE) == [State.RESOLVED]


def test_more_fills_than_an_ended_order_says_is_filled_are_told(account: ExchangeAccount) -> None:
    for _look in range(2):
        see(account, ended("4"), two_fills(), filled="6")

    assert states(Code.ORDER_FILL_AHEAD) == [State.OPEN]
    assert Order.objects.get().filled == D(6)


def test_fills_that_come_after_the_end_was_told_and_go_beyond_it_are_told(
    account: ExchangeAccount,
) -> None:
    see(account, ended("4"), fills_leg(make_fill_report("4", "2")), filled="4")
    see(account, two_fills(), filled="6")
    [asked] = known_orders(account)
    see(account, ended("4"), filled="6")

    see(account, filled="6")

    assert (asked.is_open, asked.wants_fills) == (False, True)
    assert states(Code.ORDER_FILL_AHEAD) == [State.OPEN]


def test_an_end_that_catches_up_with_its_fills_is_no_longer_told(account: ExchangeAccount) -> None:
    see(account, ended("4"), two_fills(), filled="6")

    see(account, ended("6"), filled="6")

    assert states(Code.ORDER_FILL_AHEAD) == [State.RESOLVED]


def test_fills_that_complete_an_end_of_unknown_size_contradict_nothing(
    account: ExchangeAccount,
) -> None:
    see(account, ended(None), own_fills(complete=False))

    see(account, two_fills(), filled="6")

    assert states(Code.ORDER_FILL_AHEAD) == []


def test_more_fills_than_were_ordered_are_told_as_such(account: ExchangeAccount) -> None:
    see(account, ended("4"), account_fills(make_fill_report("11", "2")), filled="11")

    assert states(Code.ORDER_OVERFILLED) == [State.OPEN]
    assert states(Code.ORDER_FILL_AHEAD) == []


def test_missing_fills_are_resolved_when_they_add_up(account: ExchangeAccount) -> None:
    see(account, ended("4"), own_fills(complete=False), filled="4")

    see(account, ended("4"), fills_leg(make_fill_report("4", "2")), filled="4")

    assert states(Code.ORDER_FILLS_INCOMPLETE) == [State.RESOLVED]


def test_an_ended_order_that_the_exchange_goes_on_to_list_as_open_is_told_and_warned_of(
    account: ExchangeAccount,
) -> None:
    see(account, ended("0"))
    seen = []
    for _look in range(3):
        look(account, open_orders(make_order_report()), balances(EUR="100"))
        row = Discrepancy.objects.get(code=Code.ORDER_REGRESSION)
        seen.append((row.state, row.severity))

    look(account, open_orders(), ended("0"), balances(EUR="100"))

    assert seen == [(State.SUSPECTED, "notice"), (State.OPEN, "notice"), (State.OPEN, "warning")]
    assert states(Code.ORDER_REGRESSION) == [State.RESOLVED]
    assert Order.objects.get().status == OrderStatus.CANCELED
