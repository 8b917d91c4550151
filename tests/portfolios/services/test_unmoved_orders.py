"""Orders that a look changes nothing of: not loaded, unless something else makes it doubtful."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db.models.signals import post_init
from django.utils import timezone

from portfolios.models import ExchangeAccount, Order
from portfolios.services.acknowledgements import with_acknowledged
from portfolios.services.book import import_book
from portfolios.services.order_reads import order_reads
from portfolios.services.unmoved_orders import UnmovedOrders
from providers.reports import FeeReport, Leg, LegKind, OrderReport, OrderSide, OrderStatus
from tests.builders import make_discrepancy
from tests.kept import kept
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
COUNT = 5
pytestmark = pytest.mark.django_db


def told(number: int, **report: Any) -> OrderReport:
    """Report what is known of an order; its client id is `c` and its number."""
    known = {"client_order_id": f"c{number}", "updated_at": timezone.now().replace(hour=0)}
    return make_order_report(str(number), **known | report)


NUMBERS = range(1, COUNT + 1)
KNOWN = [told(number) for number in NUMBERS]
FIRST, *OTHERS = KNOWN


@kept
def account() -> ExchangeAccount:
    opened = make_books()
    for number in NUMBERS:
        note_order(opened, external_id=str(number), client_order_id=f"c{number}")
    look(opened, open_orders(*KNOWN), balances(EUR="100"))
    return opened


def moved(account: ExchangeAccount, *legs: Leg) -> set[str]:
    """List the ids of the orders that are loaded, should these legs be read."""
    reads = with_acknowledged(account, order_reads(legs))
    keys, _ = UnmovedOrders(account, reads).moved(account.orders.all())
    return set(account.orders.filter(pk__in=keys).values_list("external_id", flat=True))


def test_of_orders_that_are_told_as_they_are_known_none_is_moved(account: ExchangeAccount) -> None:
    assert moved(account, open_orders(*KNOWN)) == set()


def test_a_look_loads_no_order_that_nothing_changed_of(account: ExchangeAccount) -> None:
    loaded: list[Order] = []

    def note(instance: Order, **_: object) -> None:
        if not instance.get_deferred_fields():
            loaded.append(instance)

    post_init.connect(note, sender=Order)
    try:
        look(account, open_orders(replace(FIRST, raw_status="OPEN"), *OTHERS), balances(EUR="100"))
    finally:
        post_init.disconnect(note, sender=Order)

    assert {order.external_id for order in loaded} == {"1"}


def test_it_counts_them_as_checked(account: ExchangeAccount) -> None:
    other = replace(FIRST, raw_status="OPEN")

    run = look(account, open_orders(other, *OTHERS), balances(EUR="100"))

    assert (run.orders_checked, run.orders_changed) == (COUNT, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"status": OrderStatus.CANCELED},
        {"status": None, "raw_status": "UNHEARD_OF"},
        {"raw_status": "PENDING_NEW"},
        {"filled": D(1), "cost": D(2)},
        {"price": D(3), "updated_at": timezone.now()},
        {"average": D(2)},
        {"fees": (FeeReport("EUR", D(1)),)},
        {"created_at": timezone.now()},
        {"side": OrderSide.SELL},
        {"symbol": "ADA/BTC"},
        {"client_order_id": "another"},
    ],
    ids=lambda change: " ".join(change),
)
def test_one_that_is_told_otherwise_is_moved(
    account: ExchangeAccount, change: dict[str, Any]
) -> None:
    assert moved(account, open_orders(replace(FIRST, **change), *OTHERS)) == {"1"}


def test_one_that_two_reports_tell_of_is_moved(account: ExchangeAccount) -> None:
    assert moved(account, open_orders(*KNOWN), order_leg(FIRST)) == {"1"}


def test_one_whose_fills_are_told_is_moved(account: ExchangeAccount) -> None:
    fill = make_fill_report("1", "2")

    assert moved(account, open_orders(*KNOWN), account_fills(fill)) == {"1"}


@pytest.mark.parametrize(
    "change",
    [{"fills_wanted": 1}, {"missing_since": timezone.now()}, {"frozen_because": "its ids"}],
    ids=lambda change: " ".join(change),
)
def test_one_that_is_not_settled_is_moved(account: ExchangeAccount, change: dict[str, Any]) -> None:
    account.orders.filter(external_id="1").update(**change)

    assert moved(account, open_orders(*KNOWN)) == {"1"}


def test_one_that_was_filled_further_than_is_told_now_is_moved(account: ExchangeAccount) -> None:
    """Nothing of it changes, and yet the two do not agree."""
    account.orders.filter(external_id="1").update(filled=D(4))

    assert moved(account, open_orders(*KNOWN)) == {"1"}


def test_one_that_something_is_found_of_is_moved(account: ExchangeAccount) -> None:
    make_discrepancy(account, order=account.orders.get(external_id="1"))

    assert moved(account, open_orders(*KNOWN)) == {"1"}


@pytest.mark.parametrize("is_told", [True, False])
def test_one_whose_client_id_is_told_of_another_is_moved(
    account: ExchangeAccount, *, is_told: bool
) -> None:
    others = [replace(other, client_order_id="c1") for other in OTHERS[:1]] + OTHERS[1:]

    assert moved(account, open_orders(*[FIRST] * is_told, *others)) == {"1", "2"}


def test_one_that_may_be_what_another_book_has_sent_is_moved(account: ExchangeAccount) -> None:
    row = {"name": "beta", "account": account.label, "trading_symbol": "EUR"}
    import_book({"portfolios": [row | {"initial_balance": "0"}]})
    note_order(account, portfolio="beta", external_id="", client_order_id="c1")

    assert moved(account, open_orders(*KNOWN)) == {"", "1"}


def test_one_that_nothing_is_told_of_is_not_moved(account: ExchangeAccount) -> None:
    assert moved(account, open_orders(*OTHERS)) == set()


def test_one_without_an_id_of_the_exchange_is_moved(account: ExchangeAccount) -> None:
    note_order(account, external_id="", client_order_id="sent")

    assert moved(account, open_orders(*KNOWN)) == {""}


def test_one_whose_fills_are_asked_for_is_moved(account: ExchangeAccount) -> None:
    asked = replace(account_fills(), kind=LegKind.FILLS, subject="1")

    assert moved(account, open_orders(*KNOWN), asked) == {"1"}
