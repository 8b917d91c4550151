"""Which order a report belongs to: some exchanges number the orders of each symbol anew."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Order, Position
from portfolios.services.asked_orders import known_orders
from portfolios.services.verification import verify_books
from providers.reports import FeeReport, LegKind, OrderReport, OrderStatus
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
    open_orders,
    order_leg,
)

D = Decimal
Code = Discrepancy.Code
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open books with an order to buy 10 ADA at 2 EUR, which the exchange has acknowledged."""
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    note_order(opened)
    look(opened, open_orders(make_order_report()), balances(EUR="100"))
    return opened


def of_dot(**values: Any) -> OrderReport:
    """Report another order of the same id."""
    return make_order_report(symbol="DOT/EUR", created_at=timezone.now(), **values)


def test_an_id_of_two_symbols_is_two_orders(account: ExchangeAccount) -> None:
    look(account, open_orders(make_order_report(), of_dot()), balances(EUR="100"))

    orders = Order.objects.order_by("symbol").values_list("symbol", "external", "frozen_because")
    assert list(orders) == [("ADA/EUR", False, ""), ("DOT/EUR", True, "")]


def test_the_fills_of_the_second_symbol_are_its_orders(account: ExchangeAccount) -> None:
    fill = make_fill_report("4", "2", symbol="DOT/EUR", executed_at=timezone.now())
    dot = of_dot(filled=D(4), cost=D(8))
    told = account_fills(fill, symbol="DOT/EUR")
    look(account, open_orders(make_order_report(), dot), told, balances(EUR="92", DOT="4"))

    assert Order.objects.get(symbol="DOT/EUR").fills.count() == 1
    assert Position.objects.get(portfolio=None, asset="DOT").amount == D(4)
    assert verify_books().difference is None


def test_both_orders_of_one_id_are_asked_for(account: ExchangeAccount) -> None:
    look(account, open_orders(make_order_report(), of_dot()), balances(EUR="100"))

    assert {order.symbol for order in known_orders(account)} == {"ADA/EUR", "DOT/EUR"}


def test_a_denial_of_one_symbols_order_is_none_of_the_others(account: ExchangeAccount) -> None:
    look(account, open_orders(make_order_report(), of_dot()), balances(EUR="100"))

    denied = failed(LegKind.ORDER, "not_found", subject="1 ADA/EUR")
    look(account, open_orders(of_dot()), denied, balances(EUR="100"))

    missing = Order.objects.exclude(missing_since=None).values_list("symbol", flat=True)
    assert list(missing) == ["ADA/EUR"]


def test_an_order_that_the_exchange_never_told_under_its_symbol_contradicts_it() -> None:
    books = make_books()
    look(books, open_orders(), balances(EUR="100"))
    note_order(books)

    look(books, open_orders(of_dot(status=OrderStatus.OPEN)), balances(EUR="100"))

    assert Discrepancy.objects.get().code == Code.ORDER_FIELD_MISMATCH
    assert Order.objects.count() == 1


def test_the_fills_of_a_frozen_order_count_for_the_account(account: ExchangeAccount) -> None:
    Order.objects.update(frozen_because="its ids are of two orders")
    fill = make_fill_report("4", "2", executed_at=timezone.now())
    for _look in range(2):
        look(account, open_orders(), account_fills(fill), balances(EUR="92", ADA="4"))

    assert Position.objects.get(portfolio=None, asset="ADA").amount == D(4)
    assert Code.FILL_ORPHAN in Discrepancy.objects.values_list("code", flat=True)
    assert verify_books().difference is None


def test_the_fills_of_an_order_that_thaws_become_its_own(account: ExchangeAccount) -> None:
    Order.objects.update(frozen_because="its ids are of two orders")
    fill = make_fill_report("4", "2", executed_at=timezone.now())
    look(account, open_orders(), account_fills(fill), balances(EUR="92", ADA="4"))

    told = make_order_report(filled=D(4), cost=D(8))
    look(account, open_orders(told), balances(EUR="92", ADA="4"))

    order = Order.objects.get()
    amounts = Position.objects.filter(asset="ADA").values_list("portfolio", "amount")
    assert dict(amounts) == {None: D(0), order.portfolio_id: D(4)}
    assert verify_books().difference is None


def test_no_baseline_is_taken_while_an_order_is_frozen() -> None:
    books = make_books()
    note_order(books)
    look(books, open_orders(of_dot()), balances(EUR="100"))

    look(books, open_orders(), balances(EUR="92", ADA="4"))

    books.refresh_from_db()
    assert books.baseline_at is None


@pytest.mark.parametrize("is_known_before", [True, False])
def test_a_fee_told_without_its_order_is_booked_with_the_fill(
    account: ExchangeAccount, *, is_known_before: bool
) -> None:
    fill = make_fill_report("10", "2")
    charged = replace(fill, order_external_id="", fees=(FeeReport("EUR", D("0.5")),))
    ended = make_order_report(status=OrderStatus.CLOSED, filled=D(10))
    legs = [open_orders(), order_leg(ended), fills_leg(fill)]
    if is_known_before:
        look(account, *legs, balances(EUR="80", ADA="10"))
        legs = [open_orders()]

    look(account, *legs, account_fills(charged), balances(EUR="79.5", ADA="10"))

    assert account.positions.exclude(portfolio=None).get(asset="EUR").amount == D("79.5")
    assert verify_books().difference is None
