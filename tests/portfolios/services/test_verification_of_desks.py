"""The proof of the books: those of a desk agree after whatever happened, and all is read of one moment."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portfolios.models import Order
from portfolios.reconciliation.verification import Check
from portfolios.services.verification import verify_books
from portfolios.services.verification_meanings import MEANINGS
from providers.sandbox.books import Fee
from tests.builders import make_account
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import make_books, note_order

D = Decimal


def test_the_books_of_a_desk_agree_after_everything_that_can_happen_to_orders(desk: Desk) -> None:
    desk.deposit("EUR", "5000")
    desk.deposit("BNB", "1")
    desk.open_portfolio("1000")
    desk.hold("DOT", "10", "33.333333333333333333")
    buy, kept = desk.buy("100", "1"), desk.buy("10", "3")
    desk.sync()
    desk.engine.fill_order(buy.id, "33.3333333", price="0.97", fee=Fee("BNB", D("0.001")))
    desk.engine.fill_order(kept.id, "3", fee=Fee("EUR", D("0.000000000000000001")))
    desk.sync()
    desk.engine.fill_order(buy.id, "50", fee=Fee("ADA", D("0.05")))
    desk.engine.cancel_order(buy.id)
    sale = desk.sell("70.7", "1.3")
    desk.engine.fill_order(sale.id, "11.1")
    seen = desk.engine.buy(KEY, "DOT/EUR", "100", "2")
    desk.sync()
    desk.engine.fill_order(seen.id, "40", fee=Fee("DOT", D("0.04")))
    desk.engine.fill_order(sale.id, "59.6", price="1.4")
    desk.sync()
    desk.note(seen.id, "buy", "100", "2", "DOT/EUR")
    desk.engine.fill_order(seen.id, "20")
    desk.open_portfolio("500", name="later")
    desk.sync()

    done = verify_books()

    assert done.difference is None
    assert (done.orders, done.fills) == (4, 7)


def test_an_account_without_anything_agrees(db: None) -> None:
    make_account()

    assert verify_books().difference is None


@pytest.mark.django_db(transaction=True)
def test_everything_is_read_from_one_state_of_the_database() -> None:
    make_books()

    with CaptureQueriesContext(connection) as queries:
        assert verify_books().difference is None

    statements = [query["sql"] for query in queries]
    assert (statements[0][:5], statements[-1]) == ("BEGIN", "ROLLBACK")
    assert "IMMEDIATE" not in statements[0]


@pytest.mark.django_db(transaction=True)
def test_a_state_that_could_not_be_read_to_its_end_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_off(_order: Order) -> None:
        raise OSError("the disk cannot be read")

    account = make_books()
    note_order(account, external_id="1")
    monkeypatch.setattr("portfolios.services.verification.order_facts", break_off)

    with pytest.raises(OSError, match="the disk cannot be read"):
        verify_books()

    note_order(account, external_id="2")
    assert Order.objects.filter(external_id="2").exists()


def test_every_check_says_what_it_means_and_what_to_do() -> None:
    assert set(MEANINGS) == set(Check)
    assert all(str(meaning).count(". ") for meaning in MEANINGS.values())
