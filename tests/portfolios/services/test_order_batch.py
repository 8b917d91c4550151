"""Orders that are brought up to date together: few questions, and what is wrong with one stays with that one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.amounts import exact_sum
from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Fill,
    Incident,
    LedgerEntry,
    Order,
    Position,
    SyncRun,
)
from portfolios.services.verification import verify_books
from providers.reports import OrderReport, OrderSide, OrderStatus
from tests.portfolios.services.reads import (
    account_fills,
    balances,
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
# More than a number may have.
TOO_LONG = D(10) ** 80


def part_filled(number: int, filled: str, side: OrderSide = OrderSide.BUY) -> OrderReport:
    amount = D(filled)
    return make_order_report(
        str(number), side=side, filled=amount, average=D(2), cost=amount * 2, price=D(2)
    )


def books_with_orders(label: str, count: int, side: str = "buy") -> ExchangeAccount:
    account = make_books(label, {"ADA": "90"})
    for number in range(1, count + 1):
        note_order(account, external_id=str(number), side=side)
    look(account, open_orders(), balances(EUR="1000", ADA="90"))
    return account


def questions(account: ExchangeAccount, count: int) -> int:
    told = [part_filled(number, "4") for number in range(1, count + 1)]
    with CaptureQueriesContext(connection) as asked:
        look(account, open_orders(*told), balances(EUR="1000", ADA="90"))
    return len(asked)


def test_twenty_orders_that_move_cost_hardly_more_questions_than_two() -> None:
    few = questions(books_with_orders("few", 2), 2)
    many = questions(books_with_orders("many", 20), 20)

    # Rows are inserted some at a time.
    assert many <= few + 4


def questions_of_fills(account: ExchangeAccount, count: int) -> int:
    numbers = range(1, count + 1)
    told = [part_filled(number, "4") for number in numbers]
    fills = [make_fill_report("4", "2", external_id=f"f{x}", order=str(x)) for x in numbers]
    with CaptureQueriesContext(connection) as asked:
        look(account, open_orders(*told), account_fills(*fills), balances(EUR="1000", ADA="90"))
    return len(asked)


def test_the_fills_of_twenty_orders_cost_hardly_more_questions_than_those_of_two() -> None:
    few = questions_of_fills(books_with_orders("few", 2), 2)
    many = questions_of_fills(books_with_orders("many", 20), 20)

    assert many <= few + 6
    assert Fill.objects.exclude(order=None).count() == 22


def test_what_two_orders_are_told_of_one_fill_is_the_first_ones() -> None:
    account = books_with_orders("books", 2)
    fill = make_fill_report("4", "2", external_id="7", order="1")
    other = replace(fill, order_external_id="2")

    look(
        account,
        open_orders(part_filled(1, "4"), part_filled(2, "4")),
        account_fills(fill, other),
        balances(EUR="1000", ADA="90"),
    )

    assert Fill.objects.get().order == Order.objects.get(external_id="1")
    assert Discrepancy.objects.filter(code=Discrepancy.Code.FILL_CONFLICT).count() == 1
    assert verify_books().difference is None


def test_the_ledger_has_an_entry_of_each() -> None:
    account = books_with_orders("books", 20)

    questions(account, 20)

    assert LedgerEntry.objects.filter(asset="ADA", cause="execution").count() == 20
    assert Position.objects.get(portfolio__name="alpha books", asset="ADA").amount == D(170)


def test_an_order_that_cannot_be_written_keeps_no_other_from_its_turn() -> None:
    account = books_with_orders("books", 3)
    told = [part_filled(1, "4"), make_order_report("2", price=TOO_LONG), part_filled(3, "5")]

    run = look(account, open_orders(*told), balances(EUR="1000", ADA="90"))

    filled = dict(Order.objects.values_list("external_id", "filled"))
    assert filled == {"1": D(4), "2": D(0), "3": D(5)}
    assert run.status == SyncRun.Status.PARTIAL
    assert Incident.objects.get(operation="orders.apply").occurrences.get().subject == "2"


def test_of_an_order_without_a_price_nothing_is_booked_and_of_the_next_everything() -> None:
    account = books_with_orders("books", 2)
    Order.objects.filter(external_id="1").update(price=None)
    unpriced = make_order_report("1", filled=D(4), price=None)

    look(account, open_orders(unpriced, part_filled(2, "5")), balances(EUR="1000", ADA="90"))

    assert dict(Order.objects.values_list("external_id", "filled")) == {"1": D(0), "2": D(5)}
    booked = LedgerEntry.objects.exclude(order=None).values_list("order__external_id", flat=True)
    assert set(booked) == {"2"}


def test_an_order_that_locks_more_digits_than_can_be_kept_is_left_as_it_is() -> None:
    account = books_with_orders("books", 2)
    odd = part_filled(1, "0.12345678")
    told = [replace(odd, price=D(f"1.{'1' * 35}")), part_filled(2, "5")]

    look(account, open_orders(*told), balances(EUR="1000", ADA="90"))

    assert dict(Order.objects.values_list("external_id", "filled")) == {"1": D(0), "2": D(5)}


def test_the_fills_of_an_order_that_cannot_be_booked_are_the_accounts_until_it_can() -> None:
    account = books_with_orders("books", 1)
    Order.objects.update(price=None)
    ended = make_order_report("1", filled=D(10), price=None, status=OrderStatus.CLOSED)
    fill = make_fill_report("4", "2", executed_at=timezone.now())
    look(account, open_orders(), order_leg(ended), account_fills(fill))
    unassigned = Position.objects.get(portfolio=None, asset="ADA")
    assert unassigned.amount == D(4)

    look(account, open_orders(), order_leg(replace(ended, cost=D(20))), account_fills())

    unassigned.refresh_from_db()
    assert unassigned.amount == D(0)
    assert Fill.objects.get().order == Order.objects.get()
    assert verify_books().difference is None


def test_sales_of_one_look_take_the_oldest_lots_one_after_the_other() -> None:
    account = books_with_orders("books", 3, "sell")
    sold = [part_filled(number, "10", OrderSide.SELL) for number in (1, 2, 3)]

    look(account, open_orders(*sold), balances(EUR="1000", ADA="90"))

    costs = LedgerEntry.objects.filter(asset="ADA", cause="execution").values_list(
        "cost", flat=True
    )
    # Thirty of ninety ADA, which were opened with a cost of 1.
    assert exact_sum(costs) == D("-0.333333333333333333")
    assert verify_books().difference is None
