"""Live orders that share a client id: told apart by the exchange's ids, frozen where it does not do that."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.services.book import import_book
from providers.reports import OrderReport, OrderStatus
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    look,
    make_books,
    make_order_report,
    note_order,
    open_orders,
    stored_facts,
)

D = Decimal
Code = Discrepancy.Code
Row = dict[str, Any]
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    opened = make_books()
    row = {"name": "beta", "account": opened.label, "trading_symbol": "EUR"}
    import_book({"portfolios": [row | {"initial_balance": "0"}]})
    look(opened, open_orders(), balances(EUR="100"))
    return opened


def shown(external_id: str, filled: int = 0, client_id: str = "c") -> OrderReport:
    done = {"filled": D(filled), "cost": D(2 * filled)}
    return make_order_report(external_id, client_order_id=client_id, **done)


def see(account: ExchangeAccount, *told: OrderReport) -> None:
    look(account, open_orders(*told), balances(EUR="100"))


def frozen() -> list[bool]:
    return [bool(order.frozen_because) for order in Order.objects.order_by("pk")]


def filled() -> dict[str, Decimal]:
    return dict(Order.objects.values_list("external_id", "filled"))


ONE, OTHER = {"external_id": "1"}, {"external_id": "2", "portfolio": "beta"}
SENT = {"external_id": "", "portfolio": "beta", "client_order_id": "c"}
BOOKS = {
    "no client ids": [ONE, OTHER],
    "one client id": [ONE | {"client_order_id": "c"}, OTHER],
    "other client ids": [ONE | {"client_order_id": "c"}, OTHER | {"client_order_id": "b"}],
    "sent, not acknowledged": [ONE, SENT],
    "one of nobody": [ONE],
}


@pytest.mark.parametrize("told", list(permutations("12")))
@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("books", BOOKS.values(), ids=BOOKS)
def test_each_follows_its_own_id_look_after_look(
    account: ExchangeAccount, books: Sequence[Row], told: Sequence[str], *, is_reversed: bool
) -> None:
    for row in reversed(books) if is_reversed else books:
        note_order(account, **row)
    seen = []

    for amount in (1, 2, 3):
        see(account, *(shown(external_id, amount) for external_id in told))
        seen.append((any(frozen()), filled()))

    assert seen == [(False, {"1": D(n), "2": D(n)}) for n in (1, 2, 3)]


@pytest.mark.parametrize("told", list(permutations("12")))
@pytest.mark.parametrize("rows", list(permutations([ONE, OTHER | {"client_order_id": "c"}])))
def test_an_id_that_the_books_and_the_exchange_give_to_different_orders_freezes_both(
    account: ExchangeAccount, rows: Sequence[Row], told: Sequence[str]
) -> None:
    for row in rows:
        note_order(account, **row)
    reports = {"1": shown("1", 4), "2": shown("2", 4, "d")}

    for _ in range(2):
        see(account, *(reports[external_id] for external_id in told))

        assert frozen() == [True, True]
        assert set(filled().values()) == {D(0)}


def test_one_that_is_frozen_stays_so_while_the_other_is_not_told(account: ExchangeAccount) -> None:
    note_order(account, **ONE)
    note_order(account, **OTHER, client_order_id="c")
    see(account, shown("1"), shown("2", client_id="d"))

    see(account, shown("1"))

    assert frozen() == [True, True]


def test_one_that_was_told_apart_stays_so_while_the_other_is_not_told(
    account: ExchangeAccount,
) -> None:
    note_order(account, **ONE, client_order_id="b")
    note_order(account, **OTHER, client_order_id="c")
    see(account, shown("1"), shown("2"))

    see(account, shown("1"))

    assert frozen() == [False, False]


def test_they_thaw_when_the_exchange_tells_them_apart(account: ExchangeAccount) -> None:
    note_order(account, **ONE)
    note_order(account, **OTHER, client_order_id="c")
    see(account, shown("1", 4))
    assert frozen() == [True, True]

    see(account, shown("1", 4), shown("2", 3))

    assert frozen() == [False, False]
    assert filled() == {"1": D(4), "2": D(3)}
    assert account.discrepancies.get(code=Code.ORDER_ID_CONFLICT).state == "RESOLVED"


def test_the_second_look_at_two_of_one_client_id_changes_nothing(account: ExchangeAccount) -> None:
    for row in (ONE, SENT):
        note_order(account, **row)
    see(account, shown("1", 4), shown("2", 4))
    before = stored_facts()

    see(account, shown("2", 4), shown("1", 4))

    assert stored_facts() == before


def test_the_client_id_of_an_order_that_ends_in_the_same_look_is_free(
    account: ExchangeAccount,
) -> None:
    note_order(account, **OTHER, client_order_id="c")
    note_order(account, **ONE)
    end = {"status": OrderStatus.CANCELED, "client_order_id": "d"}

    see(account, shown("1"), make_order_report("2", **end))

    assert frozen() == [False, False]
