"""What is shown of an order's fills, fees and cost: the same in whatever order it is told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount, Order, Position
from portfolios.services.asked_orders import known_orders
from providers.reports import FeeReport, Leg, OrderStatus, OrderType
from tests.kept import kept
from tests.portfolios.services.reads import (
    apply_report,
    balances,
    fills_leg,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
)

D = Decimal
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    return opened


def fee(amount: str) -> tuple[FeeReport, ...]:
    return (FeeReport("EUR", D(amount)),)


def told(filled: str, average: str, **values: Any) -> Any:
    amount = D(filled)
    return make_order_report(filled=amount, average=D(average), cost=amount * D(average), **values)


def figures(account: ExchangeAccount, number: int, facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tell a new order its facts one by one, and what is shown of it in the end."""
    note_order(account, external_id=str(number))
    order = Order.objects.get(external_id=str(number))
    for fact in facts:
        is_leg = isinstance(fact, Leg)
        report = make_order_report() if is_leg else fact
        apply_report(order, report, fact if is_leg else None)
        order = Order.objects.get(pk=order.pk)
    return order.filled, order.average, order.cost, order.fees


def test_the_order_in_which_facts_arrive_changes_no_figure(account: ExchangeAccount) -> None:
    now = timezone.now()

    def fills(number: int) -> Leg:
        rows = [
            make_fill_report(
                amount,
                price,
                order=str(number),
                external_id=f"{number}-{price}",
                fees=fee("0.1"),
                executed_at=now,
            )
            for amount, price in (("4", "2"), ("3", "1"))
        ]
        return fills_leg(*rows)

    shown = set()
    for number, order in enumerate(permutations(range(3))):
        facts = (told("4", "2", fees=fee("0.15")), fills(number), told("7", "1.571"))
        shown.add(str(figures(account, number, tuple(facts[i] for i in order))))

    assert len(shown) == 1


def test_of_fills_that_are_not_all_the_most_that_is_told_of_fees_counts(
    account: ExchangeAccount,
) -> None:
    first = make_fill_report("4", "2", order="1", fees=fee("0.1"))
    facts = (fills_leg(first), told("7", "1.5", fees=fee("0.05")))

    one = figures(account, 1, facts)
    Order.objects.update(external_id="other")
    # The same again as another order of the books.
    second = make_fill_report("4", "2", order="2", external_id="f-2", fees=fee("0.1"))
    other = figures(account, 2, (facts[1], fills_leg(second)))

    assert one == other
    assert one[3] == [{"asset": "EUR", "amount": "0.1"}]


@pytest.mark.parametrize("is_listed_first", [False, True])
def test_what_a_book_counts_of_an_order_made_since_the_baseline_is_the_accounts_without_any_fill(
    account: ExchangeAccount, is_listed_first: bool
) -> None:
    order = told("4", "1.9", created_at=timezone.now(), fees=fee("0.1"))
    if is_listed_first:
        look(account, open_orders(order), balances(EUR="92.3", ADA="4"))
    note_order(account, filled="4")

    look(account, open_orders(order), balances(EUR="92.3", ADA="4"))

    unassigned = Position.objects.filter(portfolio=None).values_list("asset", "amount")
    assert dict(unassigned) == {"ADA": D(4), "EUR": D("-7.7")}


@pytest.mark.parametrize(
    ("type_", "is_asked"), [(OrderType.LIMIT, True), (OrderType.MARKET, False)]
)
def test_an_order_that_ended_without_its_price_is_asked_for_until_it_is_told(
    account: ExchangeAccount, type_: OrderType, *, is_asked: bool
) -> None:
    ended = told("10", "2", type=type_, status=OrderStatus.CLOSED)
    fills = fills_leg(make_fill_report("10", "2"))
    legs = (open_orders(), fills, balances(EUR="80", ADA="10"))
    look(account, order_leg(replace(ended, price=None)), *legs)
    asked = [order.wants_fills for order in known_orders(account)]

    look(account, order_leg(ended), *legs)

    assert asked == [True] * is_asked
    assert known_orders(account) == ()
    assert Order.objects.get().price == D(2)
