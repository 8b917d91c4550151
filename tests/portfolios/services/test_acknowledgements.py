"""Orders of the books without the exchange's id: each is one order there, also where its client id was used again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.services.book import import_book
from providers.reports import Leg, LegKind, OrderReport, OrderSide, OrderStatus
from tests.desk import KEY, Desk
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    failed,
    look,
    make_books,
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
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    return opened


def send(account: ExchangeAccount, **row: Any) -> Order:
    """Write an order into the books that was sent as `g-1`."""
    note_order(account, **{"external_id": "", "client_order_id": "g-1"} | row)
    return Order.objects.get(external_id="", client_order_id="g-1")


def shown(external_id: str, **report: Any) -> OrderReport:
    return make_order_report(external_id, **{"client_order_id": "g-1"} | report)


def ended(external_id: str, **report: Any) -> OrderReport:
    end = {"status": OrderStatus.CLOSED, "filled": D(10), "cost": D(20)}
    return shown(external_id, **end | report)


def see(account: ExchangeAccount, lists: Sequence[OrderReport], *legs: Leg) -> None:
    look(account, open_orders(*lists), *legs, balances(EUR="100"))


def rows() -> list[tuple[str, str, bool]]:
    known = Order.objects.order_by("external_id")
    return [(row.external_id, row.status, row.external) for row in known]


def test_an_order_sent_with_a_client_id_used_before_is_the_open_one_not_the_filled_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.deposit("EUR", "1100")
    desk.open_portfolio("1000")
    desk.sync()
    first = desk.engine.buy(KEY, "ADA/EUR", "10", "2", client_id="g-1")
    desk.engine.fill_order(first.id, "10")
    a_second_later = desk.engine.clock() + timedelta(seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(desk.engine, "clock", lambda: a_second_later)
        second = desk.engine.buy(KEY, "ADA/EUR", "10", "2", client_id="g-1")
    sent_at = a_second_later.isoformat()
    desk.note("", "buy", "10", "2", "ADA/EUR", client_order_id="g-1", created_at=sent_at)

    for _ in range(3):
        desk.sync()

    assert (desk.order(second).status, desk.order(second).filled) == ("open", D(0))
    assert desk.order(second).portfolio == desk.portfolio()
    assert (desk.order(first).status, desk.order(first).external) == ("closed", True)
    assert desk.position("ADA", None).amount == D(10)
    assert desk.differences() == []


@pytest.mark.parametrize(("since_sent", "kept"), [(timedelta(0), "5"), (-timedelta(hours=1), "3")])
def test_of_two_orders_of_a_client_id_it_is_the_one_created_nearest(
    account: ExchangeAccount, since_sent: timedelta, kept: str
) -> None:
    now = timezone.now()
    send(account, created_at=(now + since_sent).isoformat())
    old, new = ended("3", created_at=now - timedelta(hours=1)), shown("5", created_at=now)

    see(account, [new], order_leg(old))

    assert Order.objects.get(external=False).external_id == kept
    assert rows() == [("3", "closed", kept != "3"), ("5", "open", kept != "5")]


@pytest.mark.parametrize("created_at", [None, timezone.now()])
def test_of_two_that_fit_equally_it_is_none_and_both_are_stored(
    account: ExchangeAccount, created_at: datetime | None
) -> None:
    order = send(account)

    for _ in range(2):
        see(account, [shown("3", created_at=created_at), shown("5", created_at=created_at)])

    assert rows() == [("", "created", False), ("3", "open", True), ("5", "open", True)]
    order.refresh_from_db()
    assert order.frozen_because == ""
    assert account.discrepancies.filter(code=Code.ORDER_UNACKED, order=order).exists()


@pytest.mark.parametrize("other", [{"symbol": "DOT/EUR"}, {"side": OrderSide.SELL}])
def test_an_order_of_its_client_id_but_another_symbol_or_side_is_not_it(
    account: ExchangeAccount, other: dict[str, Any]
) -> None:
    send(account)

    see(account, [shown("9", **other)])

    assert rows() == [("", "created", False), ("9", "open", True)]


def test_one_order_of_the_exchange_is_not_two_of_the_books(account: ExchangeAccount) -> None:
    now = timezone.now()
    send(account, created_at=(now - timedelta(hours=1)).isoformat())
    other_portfolio(account)
    near = {"external_id": "", "client_order_id": "g-1", "portfolio": "beta"}
    note_order(account, **near, created_at=now.isoformat())

    see(account, [], order_leg(ended("5", created_at=now)))

    assert Order.objects.get(external_id="5").portfolio == account.portfolios.get(name="beta")
    assert rows() == [("", "created", False), ("5", "closed", False)]


def test_a_lapsed_order_without_an_id_is_open_again_when_the_exchange_shows_it(
    account: ExchangeAccount,
) -> None:
    send(account)
    Order.objects.update(status=OrderStatus.LAPSED)

    see(account, [shown("9", filled=D(4), cost=D(8))])

    order = Order.objects.get()
    assert (order.external_id, order.status, order.filled) == ("9", "open", D(4))
    assert account.discrepancies.filter(code=Code.ORDER_RESURRECTED, order=order).exists()


def test_an_order_that_waits_comes_before_a_lapsed_one(account: ExchangeAccount) -> None:
    send(account)
    Order.objects.update(status=OrderStatus.LAPSED)
    other_portfolio(account)
    note_order(account, external_id="", client_order_id="g-1", portfolio="beta")

    for _ in range(2):
        see(account, [shown("9")])

    assert Order.objects.get(external_id="9").portfolio == account.portfolios.get(name="beta")
    assert rows() == [("", "lapsed", False), ("9", "open", False)]
    assert not Order.objects.exclude(frozen_because="").exists()


@pytest.mark.parametrize("end", ["canceled", "closed", "rejected", "expired"])
def test_an_order_that_ended_without_an_id_does_not_hide_the_next_of_its_client_id(
    account: ExchangeAccount, end: str
) -> None:
    send(account)
    Order.objects.update(status=end)

    see(account, [shown("9")])

    assert rows() == [("", end, False), ("9", "open", True)]


def other_portfolio(account: ExchangeAccount) -> None:
    row = {"name": "beta", "account": account.label, "trading_symbol": "EUR"}
    import_book({"portfolios": [row | {"initial_balance": "0"}]})


@pytest.mark.parametrize("own", ["g-1", ""])
def test_an_ended_order_and_a_new_one_of_its_client_id_do_not_freeze_each_other(
    account: ExchangeAccount, own: str
) -> None:
    note_order(account, external_id="3", client_order_id=own)
    other_portfolio(account)
    note_order(account, external_id="", client_order_id="g-1", portfolio="beta")
    unread = failed(LegKind.FILLS, subject="3")

    see(account, [], order_leg(ended("3")), unread)
    see(account, [], order_leg(ended("3")), unread)

    assert not Order.objects.exclude(frozen_because="").exists()
    assert rows() == [("", "created", False), ("3", "closed", False)]


def test_two_live_orders_of_one_client_id_are_frozen_until_the_first_has_ended(
    account: ExchangeAccount,
) -> None:
    note_order(account, external_id="3", client_order_id="g-1")
    other_portfolio(account)
    note_order(account, external_id="", client_order_id="g-1", portfolio="beta")
    see(account, [shown("3")])
    assert [bool(row.frozen_because) for row in Order.objects.all()] == [True, True]

    see(account, [], order_leg(ended("3")), failed(LegKind.FILLS, subject="3"))

    assert not Order.objects.exclude(frozen_because="").exists()
    conflict = account.discrepancies.get(code=Code.ORDER_ID_CONFLICT)
    assert conflict.state == Discrepancy.State.RESOLVED


def test_an_order_whose_client_id_is_told_late_is_the_one_that_was_sent(
    account: ExchangeAccount,
) -> None:
    send(account)
    see(account, [shown("7", client_order_id="")])
    before = rows()

    see(account, [shown("7")])

    assert (before, rows()) == (
        [("", "created", False), ("7", "open", True)],
        [("7", "open", False)],
    )


def test_a_client_id_that_is_told_late_of_two_orders_names_none(account: ExchangeAccount) -> None:
    send(account)
    see(account, [shown("7", client_order_id=""), shown("8", client_order_id="")])

    see(account, [shown("7"), shown("8")])

    assert [external for _, _, external in rows()] == [False, True, True]
