"""Ended orders that the exchange has forgotten: asked for a few times more, and no trouble of a run."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import ExchangeAccount, Incident, Order, SyncRun
from portfolios.services.asked_orders import known_orders
from portfolios.services.orders import FILL_READS
from providers.reports import LegKind, OrderStatus
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    denial,
    failed,
    look,
    make_books,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
)

D = Decimal
Status = SyncRun.Status
FORGOTTEN = failed(LegKind.ORDER, "not_found", subject="1")
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open books with an order that was canceled with 4 ADA filled, whose fills could not be read."""
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    note_order(opened)
    ended = make_order_report(filled=D(4), cost=D(8), status=OrderStatus.CANCELED)
    unread = failed(LegKind.FILLS, subject="1")
    look(opened, open_orders(), order_leg(ended), unread, balances(EUR="92", ADA="4"))
    Incident.objects.all().delete()
    return opened


def test_a_forgotten_order_is_asked_for_a_few_times_and_no_more(account: ExchangeAccount) -> None:
    asked = 0
    while known_orders(account) and asked <= FILL_READS:
        look(account, open_orders(), FORGOTTEN, balances(EUR="92", ADA="4"))
        asked += 1

    assert asked == FILL_READS
    assert Order.objects.get().status == OrderStatus.CANCELED


def test_a_read_that_failed_is_not_counted_as_a_denial(account: ExchangeAccount) -> None:
    unread = failed(LegKind.ORDER, subject="1")

    run = look(account, open_orders(), unread, balances(EUR="92", ADA="4"))

    assert Order.objects.get().fills_wanted == FILL_READS
    assert run.status == Status.PARTIAL


@pytest.mark.parametrize("order_id", ["1", "77"], ids=["ended", "in no book"])
def test_a_forgotten_order_that_is_not_open_is_no_trouble_of_the_run(
    account: ExchangeAccount, order_id: str
) -> None:
    forgotten = failed(LegKind.ORDER, "not_found", subject=order_id)

    run = look(account, open_orders(), forgotten, balances(EUR="92", ADA="4"))

    assert run.status == Status.SUCCEEDED
    assert not Incident.objects.exists()


def test_an_open_order_that_is_denied_is_trouble_of_the_run(account: ExchangeAccount) -> None:
    note_order(account, external_id="2")

    run = look(account, open_orders(), *denial("2"), balances(EUR="92", ADA="4"))

    assert run.status == Status.PARTIAL
    assert Incident.objects.exists()
