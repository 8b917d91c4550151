"""What a backtest calls its orders is no word of the exchange: none of its ids meets one from there."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import ClaimRule, Discrepancy, ExchangeAccount, Order, Portfolio
from portfolios.services.book import BookError, export_book, import_book
from portfolios.services.snapshot_requests import snapshot_request
from providers.reports import OrderStatus
from tests.builders import make_claim_rule
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    denial,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
)

D = Decimal
Code = Discrepancy.Code
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open the books of an account with a portfolio of its own and two backtests."""
    opened = make_books()
    common = {"account": opened.label, "trading_symbol": "EUR", "mode": "backtest"}
    import_book({"portfolios": [common | {"name": "paper"}, common | {"name": "other paper"}]})
    look(opened, open_orders(), balances(EUR="100"))
    return opened


def note(account: ExchangeAccount, **row: Any) -> Order:
    note_order(account, **{"portfolio": "paper"} | row)
    return Order.objects.filter(portfolio__name=row.get("portfolio", "paper")).latest("pk")


def real() -> list[str]:
    return list(Order.objects.filter(portfolio=None).values_list("external_id", flat=True))


def test_the_exchanges_order_of_its_id_is_stored(account: ExchangeAccount) -> None:
    note(account)

    look(account, open_orders(make_order_report(filled=D(4), cost=D(8))), balances(EUR="92"))

    assert real() == ["1"]


def test_it_stays_as_its_book_gave_it(account: ExchangeAccount) -> None:
    order = note(account, created_at=(timezone.now() - timedelta(days=9)).isoformat())
    Order.objects.update(status=OrderStatus.CLOSED)

    later = make_order_report(created_at=timezone.now())
    look(account, open_orders(later), balances(EUR="100"))

    order.refresh_from_db()
    assert (order.external_id, order.status) == ("1", "closed")


def test_a_book_gives_a_backtest_no_order_of_the_exchange(account: ExchangeAccount) -> None:
    look(account, open_orders(make_order_report()), balances(EUR="100"))

    note(account)

    assert real() == ["1"]


@pytest.mark.parametrize("row", [{}, {"external_id": "", "client_order_id": "c-1"}])
def test_a_book_finds_its_order_again(account: ExchangeAccount, row: dict[str, Any]) -> None:
    for _ in range(2):
        note(account, **row)

    assert Order.objects.count() == 1


def test_a_book_gives_a_portfolio_no_order_of_a_backtest(account: ExchangeAccount) -> None:
    note(account)

    note_order(account)

    owners = Order.objects.order_by("pk").values_list("portfolio__name", flat=True)
    assert list(owners) == ["paper", f"alpha {account.label}"]


def test_two_backtests_may_call_their_orders_the_same(account: ExchangeAccount) -> None:
    note(account)

    note(account, portfolio="other paper")

    assert Order.objects.filter(external_id="1").count() == 2


def test_what_the_books_export_of_equal_ids_is_what_they_hold(account: ExchangeAccount) -> None:
    note_order(account)
    note(account)
    note(account, portfolio="other paper")

    again = import_book(export_book())

    assert (again.created, again.updated) == (0, 0)


def test_an_order_that_was_denied_takes_nothing_of_it(account: ExchangeAccount) -> None:
    order = note(account)

    look(account, open_orders(), *denial(), balances(EUR="100"))

    order.refresh_from_db()
    assert order.missing_since is None


def test_one_without_an_id_of_the_exchanges_was_never_sent(account: ExchangeAccount) -> None:
    note(account, external_id="", client_order_id="c-1")

    for _ in range(3):
        look(account, open_orders(), balances(EUR="100"))

    assert not account.discrepancies.filter(code=Code.ORDER_UNACKED).exists()


def test_it_makes_no_list_of_open_orders_implausible(account: ExchangeAccount) -> None:
    for number in range(1, 9):
        note(account, external_id=str(number))

    look(account, open_orders(), balances(EUR="100"))

    assert not account.quarantines.exists()


def test_an_order_like_it_is_claimed_by_its_rule(account: ExchangeAccount) -> None:
    now = timezone.now()
    note(account, external_id="", client_order_id="c-1", created_at=now.isoformat())
    alpha = Portfolio.objects.get(name=f"alpha {account.label}")
    make_claim_rule(alpha, kind=ClaimRule.Kind.ALL)

    look(account, open_orders(make_order_report("9", created_at=now)), balances(EUR="100"))

    assert Order.objects.get(external_id="9").portfolio == alpha


def test_the_order_of_a_fill_is_asked_for_though_it_has_one_of_that_id(
    account: ExchangeAccount,
) -> None:
    note(account, external_id="77")
    stray = make_fill_report("1", "2", order="77", executed_at=timezone.now())
    look(account, open_orders(), account_fills(stray), balances(EUR="98", ADA="1"))

    request = snapshot_request(account)

    assert "77" not in request.known_order_ids
    assert "77" in [order.external_id for order in request.known_orders]


def test_a_portfolio_with_orders_stays_what_it_is(account: ExchangeAccount) -> None:
    note_order(account)
    row = {"name": f"alpha {account.label}", "account": account.label, "trading_symbol": "EUR"}

    with pytest.raises(BookError, match="mode: cannot be changed"):
        import_book({"portfolios": [row | {"mode": "backtest"}]})


def test_a_portfolio_without_any_may_become_a_backtest(account: ExchangeAccount) -> None:
    row = {"name": "paper", "account": account.label, "trading_symbol": "EUR"}

    import_book({"portfolios": [row | {"mode": "live"}]})

    assert Portfolio.objects.get(name="paper").mode == Portfolio.Mode.LIVE
