"""An id that the exchange has given to a second order after the first one's end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Fill, Order, Position
from portfolios.services.effects import expected_totals
from portfolios.services.verification import verify_books
from providers.reports import FillReport, OrderReport, OrderStatus
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
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
NOW = timezone.now()
OLD = make_fill_report("10", "2", executed_at=NOW - timedelta(days=3), external_id="f-1")


@kept
def account() -> ExchangeAccount:
    """Open books with an order that was filled and ended three days ago."""
    opened = make_books()
    note_order(opened, created_at=(NOW - timedelta(days=4)).isoformat())
    look(opened, open_orders(made(4)), balances(EUR="100"))
    ExchangeAccount.objects.update(baseline_at=NOW - timedelta(days=4))
    opened.refresh_from_db()
    over = made(4, status=OrderStatus.CLOSED, filled=D(10), updated_at=NOW - timedelta(days=3))
    look(opened, open_orders(), order_leg(over), fills_leg(OLD), balances(EUR="80", ADA="10"))
    return opened


def made(days: float, **values: Any) -> OrderReport:
    return make_order_report(created_at=NOW - timedelta(days=days), **values)


def see_second(account: ExchangeAccount, *fills: FillReport) -> None:
    """See an order of the same id that was made an hour ago, and is filled by 4."""
    second = made(1 / 24, filled=D(4), cost=D(8), amount=D(30))
    held = balances(EUR="72", ADA="14")
    look(account, open_orders(second), account_fills(*fills), fills_leg(*fills), held)


def new(**values: Any) -> FillReport:
    at = NOW - timedelta(minutes=30)
    return make_fill_report("4", "2", executed_at=at, external_id="f-2", **values)


def test_the_first_order_keeps_what_it_was_and_the_second_is_nobodys(
    account: ExchangeAccount,
) -> None:
    see_second(account, new())

    first, second = Order.objects.order_by("pk")
    day = f"{NOW - timedelta(hours=1):%Y-%m-%d}"
    assert (first.external_id, first.amount, first.filled) == (f"1 (until {day})", D(10), D(10))
    assert (second.external_id, second.amount, second.portfolio) == ("1", D(30), None)
    assert Fill.objects.get(external_id="f-2").order == second
    assert Position.objects.get(portfolio=first.portfolio, asset="ADA").amount == D(10)
    assert verify_books([]).difference is None


def test_a_list_that_tells_the_fills_of_both_contradicts_nothing(
    account: ExchangeAccount,
) -> None:
    for _look in range(2):
        see_second(account, OLD, new())

    assert Fill.objects.get(external_id="f-1").order == Order.objects.order_by("pk")[0]
    assert not Discrepancy.objects.filter(code__startswith="FILL_").exists()
    assert Order.objects.count() == 2


def test_a_fill_of_an_exchange_that_was_reset_counts_beside_the_one_whose_id_it_has(
    account: ExchangeAccount,
) -> None:
    again = new()
    again = replace(again, external_id=OLD.external_id)
    for _look in range(3):
        see_second(account, again)

    first, second = Order.objects.order_by("pk")
    fills = [(fill.order, fill.amount) for fill in Fill.objects.order_by("pk")]
    assert fills == [(first, D(10)), (second, D(4))]
    assert Fill.objects.get(order=second).external_id == f"f-1 ({again.executed_at:%Y-%m-%d})"
    assert expected_totals(account) == {"EUR": D(72), "ADA": D(14)}
    assert not Discrepancy.objects.filter(code__startswith="FILL_").exists()
    assert verify_books([]).difference is None


def test_the_same_id_of_another_symbol_is_no_second_order_of_it() -> None:
    opened = make_books()
    told = {"status": "closed", "filled": "10", "created_at": (NOW - timedelta(days=4)).isoformat()}
    note_order(opened, **told)

    look(opened, open_orders(made(0, symbol="DOT/EUR")), balances(EUR="100"))

    assert Order.objects.get(symbol="ADA/EUR").external_id == "1"
