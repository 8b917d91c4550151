"""A trade that the exchange has undone: once a person says so, the order is what it would be without it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import Decision, Discrepancy, ExchangeAccount, Order, ReadCursor
from portfolios.services.decisions import DecisionRefused
from portfolios.services.ledger import fill_report
from portfolios.services.verification import verify_books
from providers.reports import OrderStatus
from tests.builders import make_discrepancy
from tests.desk import KEY, Desk
from tests.portfolios.services.decisions.cases import Kind, do, done, reversal
from tests.portfolios.services.reads import (
    account_fills,
    apply_report,
    balances,
    look,
    make_order_report,
    open_orders,
)

D = Decimal
Code = Discrepancy.Code
pytestmark = pytest.mark.django_db


@pytest.fixture
def trader(desk: Desk) -> Desk:
    at(desk, 60)
    desk.deposit("EUR", "1000")
    at(desk, 0)
    desk.open_portfolio("900")
    desk.sync()
    ExchangeAccount.objects.update(baseline_at=timezone.now() - timedelta(minutes=30))
    return desk


def at(desk: Desk, minutes: float) -> None:
    """Let what happens at the exchange have happened so many minutes ago."""
    desk.engine.clock = lambda: timezone.now() - timedelta(minutes=minutes)


def trade(desk: Desk, side: str, amount: str, *parts: tuple[str, str]) -> tuple[Order, list[str]]:
    """Let an order of the portfolio's be filled in parts, each at its price; give it and the ids of its fills."""
    at(desk, 20)
    place = desk.engine.buy if side == "buy" else desk.engine.sell
    placed = place(KEY, "ADA/EUR", amount, parts[0][1])
    desk.note(placed.id, side, amount, parts[0][1], "ADA/EUR")
    fills = [desk.engine.fill_order(placed.id, part, price).id for part, price in parts]
    at(desk, 0)
    desk.sync()
    return desk.order(placed), fills


def bust(desk: Desk, fill: str) -> Discrepancy:
    """Let the exchange undo a fill, and look until that is proved."""
    desk.engine.bust_fill(KEY, fill)
    for _look in range(2):
        ReadCursor.objects.update(covered_until=timezone.now() - timedelta(minutes=25))
        desk.sync()
    return desk.account.discrepancies.get(code=Code.FILL_LOCAL_ONLY)


def accept(desk: Desk, row: Discrepancy) -> Decision:
    return do(desk.account, Kind.ACCEPT_BUST, discrepancy=row.pk)


def figures(order: Order) -> tuple[str, Decimal, Decimal | None]:
    order.refresh_from_db()
    return order.status, order.filled, order.average


def test_the_order_is_filled_by_what_is_left(trader: Desk) -> None:
    order, fills = trade(trader, "buy", "10", ("4", "2"), ("6", "2"))

    accept(trader, bust(trader, fills[1]))
    trader.sync()

    assert figures(order)[:2] == ("canceled", D(4))
    assert trader.position("ADA").amount == D(4)
    assert trader.position("ADA").cost == D(8)


def test_of_a_purchase_undone_nothing_is_gained(trader: Desk) -> None:
    _order, fills = trade(trader, "buy", "10", ("4", "3"), ("6", "2"))

    accept(trader, bust(trader, fills[0]))

    assert (trader.position("ADA").cost, trader.portfolio().realized_gain) == (D(12), D(0))


def test_of_a_sale_undone_the_gain_is_none_and_the_cost_is_back(trader: Desk) -> None:
    trade(trader, "buy", "10", ("10", "2"))
    order, fills = trade(trader, "sell", "10", ("10", "3"))
    assert trader.portfolio().realized_gain == D(10)

    accept(trader, bust(trader, fills[0]))

    assert figures(order)[:2] == ("canceled", D(0))
    assert (trader.position("ADA").cost, trader.portfolio().realized_gain) == (D(20), D(0))


def test_its_version_tells_what_it_was(trader: Desk) -> None:
    order, fills = trade(trader, "buy", "10", ("4", "2"), ("6", "2"))
    before = figures(order)

    accept(trader, bust(trader, fills[1]))

    version = order.versions.get()
    assert (version.filled, version.average) == before[1:]


def test_the_exchange_and_the_books_agree_again(trader: Desk) -> None:
    _order, fills = trade(trader, "buy", "10", ("4", "2"), ("6", "2"))
    accept(trader, bust(trader, fills[1]))

    for _ in range(3):
        ReadCursor.objects.update(covered_until=timezone.now() - timedelta(minutes=25))
        trader.sync()

    assert trader.differences() == []
    assert verify_books().difference is None


def test_taken_back_it_is_all_as_it_was(trader: Desk) -> None:
    trade(trader, "buy", "10", ("10", "2"))
    order, fills = trade(trader, "sell", "10", ("4", "3"), ("6", "4"))
    before = figures(order), trader.portfolio().realized_gain, trader.position("EUR").amount
    decision = accept(trader, bust(trader, fills[0]))

    done(reversal(decision))

    after = figures(order), trader.portfolio().realized_gain, trader.position("EUR").amount
    assert after == before
    assert verify_books().difference is None


def test_only_what_two_whole_lists_leave_out_is_undone(trader: Desk) -> None:
    trade(trader, "buy", "10", ("4", "2"))
    row = make_discrepancy(trader.account, code=Code.BALANCE_SHORT)

    with pytest.raises(DecisionRefused, match="Nothing was changed"):
        accept(trader, row)


def test_an_older_copy_of_the_order_does_not_bring_it_back(trader: Desk) -> None:
    order, fills = trade(trader, "buy", "10", ("4", "2"), ("6", "2"))
    older = {"filled": D(10), "cost": D(20), "status": OrderStatus.CLOSED}
    stale = make_order_report(order.external_id, **older, updated_at=order.updated_at)
    accept(trader, bust(trader, fills[1]))
    trader.sync()

    apply_report(order, stale)

    assert figures(order)[1] == D(4)
    assert trader.position("ADA").amount == D(4)


def test_one_that_is_told_again_contradicts_what_was_decided(trader: Desk) -> None:
    order, fills = trade(trader, "buy", "10", ("4", "2"), ("6", "2"))
    told = fill_report(order.fills.get(external_id=fills[1]))
    accept(trader, bust(trader, fills[1]))

    look(trader.account, open_orders(), account_fills(told), balances(EUR="992", ADA="4"))

    assert trader.account.discrepancies.filter(code=Code.FILL_CONFLICT).exists()
    assert figures(order)[1] == D(4)
