"""Open scenarios O05 to O09, O11 and O12: orders of the books that the exchange says it does not have."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Order, Position
from portfolios.services import host_clocks
from portfolios.services.lapses import accept_lapse
from providers.reports import BalanceReport, Leg, LegKind, OrderStatus
from providers.sandbox.faults import DistortionKind, Fault
from tests.desk import Desk
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    denial,
    failed,
    fills_leg,
    later,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    observed,
    open_orders,
    stored_facts,
)

D = Decimal
Code = Discrepancy.Code
State = Discrepancy.State
GRACE = 30


def books_of(market: str = "binance", *, age: timedelta, **account: bool) -> ExchangeAccount:
    """Open the books of an account that holds 100 EUR, with one open order to buy 10 ADA at 2 EUR."""
    opened = make_books(market=market, grace_seconds=GRACE)
    ExchangeAccount.objects.filter(pk=opened.pk).update(**account)
    look(opened, open_orders(), balances(EUR="100"))
    note_order(opened, created_at=(timezone.now() - age).isoformat())
    return opened


@kept
def account() -> ExchangeAccount:
    return books_of(age=timedelta(days=2))


def denied(account: ExchangeAccount, seconds: float = 0, legs: Sequence[Leg] = ()) -> None:
    """Look at the account `seconds` from now, when no order is locked for and none is found."""
    read = [open_orders(), *(legs or denial()), balances(EUR="100", used="0")]
    look(account, *later(read, seconds))


def the_order() -> Order:
    return Order.objects.get()


def reserved() -> Decimal:
    return Position.objects.get(asset="EUR", portfolio__isnull=False).reserved


def test_o05_one_order_that_is_denied_keeps_no_other_from_its_turn(trader: Desk) -> None:
    orders = [trader.buy("1", "10") for _number in range(10)]
    trader.sync()
    denied_one = orders.pop(2)
    trader.engine.forget_order(denied_one.id)
    for order in orders:
        trader.engine.fill_order(order.id)

    trader.sync()

    assert {trader.order(order).status for order in orders} == {OrderStatus.CLOSED}
    missing = trader.order(denied_one)
    assert (missing.status, missing.strikes) == (OrderStatus.OPEN, 1)
    assert missing.missing_since is not None


def test_o06_an_order_that_is_listed_again_starts_anew(account: ExchangeAccount) -> None:
    denied(account)
    assert the_order().strikes == 1

    look(
        account,
        *later([open_orders(make_order_report()), balances(EUR="100", used="0")], GRACE + 1),
    )

    order = the_order()
    assert (order.status, order.strikes, order.missing_since) == (OrderStatus.OPEN, 0, None)


def test_o06_a_suspicion_that_clears_was_never_open(account: ExchangeAccount) -> None:
    denied(account)

    look(
        account,
        *later([open_orders(make_order_report()), balances(EUR="100", used="0")], GRACE + 1),
    )

    suspicion = Discrepancy.objects.get(code=Code.ORDER_MISSING_AT_VENUE)
    assert (suspicion.state, suspicion.opened_at) == (State.RESOLVED, None)


def test_o07_an_order_younger_than_grace_is_not_missed_however_often_it_is_denied(
    db: None,
) -> None:
    account = books_of(age=timedelta(0))
    before = stored_facts()

    for seconds in range(6):
        denied(account, seconds)

    assert stored_facts() == before
    assert not Discrepancy.objects.exists()


def test_o08_three_looks_a_grace_apart_propose_that_it_lapsed(account: ExchangeAccount) -> None:
    for number in range(3):
        denied(account, number * GRACE)

    proposal = Discrepancy.objects.get()
    assert (proposal.code, proposal.state) == (Code.ORDER_MISSING_AT_VENUE, State.OPEN)
    assert (the_order().status, reserved()) == (OrderStatus.OPEN, D(20))


def test_o08_an_accepted_proposal_ends_it_as_lapsed(account: ExchangeAccount) -> None:
    for number in range(3):
        denied(account, number * GRACE)

    accept_lapse(the_order())

    assert (the_order().status, reserved()) == (OrderStatus.LAPSED, D(0))


def test_o08_where_orders_lapse_by_themselves_the_third_look_ends_it(db: None) -> None:
    account = books_of(age=timedelta(days=2), lapses_by_itself=True)
    statuses = []

    for number in range(3):
        denied(account, number * GRACE)
        statuses.append(the_order().status)

    assert statuses == [OrderStatus.OPEN, OrderStatus.OPEN, OrderStatus.LAPSED]
    assert reserved() == D(0)


@pytest.mark.parametrize("apart", [0, GRACE - 1])
def test_o08_looks_less_than_a_grace_apart_prove_nothing_more(
    account: ExchangeAccount, apart: int
) -> None:
    denied(account)

    denied(account, apart)

    assert the_order().strikes == 1


def test_o08_a_clock_that_is_set_forward_proves_nothing_sooner(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied(account)
    now = time.time()
    monkeypatch.setattr(host_clocks, "uptime", lambda: now)

    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        denied(account)

    assert the_order().strikes == 1


def test_o08_an_order_whose_lock_is_still_there_does_not_lapse_by_itself(db: None) -> None:
    account = books_of(age=timedelta(days=2), lapses_by_itself=True)
    locked = BalanceReport("EUR", D(80), D(20), D(100))

    for number in range(3):
        look(account, *later([open_orders(), *denial(), balances(EUR=locked)], number * GRACE))

    assert the_order().status == OrderStatus.OPEN


def test_o08_an_order_whose_fills_were_not_all_read_does_not_lapse_by_itself(db: None) -> None:
    account = books_of(age=timedelta(days=2), lapses_by_itself=True)
    unread = observed(LegKind.FILLS, [], subject="1", complete=False)

    for number in range(4):
        denied(account, number * GRACE, denial(fills=unread))

    assert (the_order().status, the_order().strikes) == (OrderStatus.OPEN, 0)


def test_o09_a_partly_filled_order_lapses_with_what_it_has_filled(db: None) -> None:
    account = books_of(age=timedelta(days=2), lapses_by_itself=True)
    half = make_order_report(filled=D(3), cost=D(6))
    look(
        account,
        open_orders(half),
        fills_leg(make_fill_report("3", "2")),
        balances(EUR="94", ADA="3"),
    )

    for number in range(3):
        read = [open_orders(), *denial(), balances(EUR="94", ADA="3", used="0")]
        look(account, *later(read, number * GRACE))

    order = the_order()
    assert (order.status, order.filled, order.remaining) == (OrderStatus.LAPSED, D(3), D(7))
    assert reserved() == D(0)


@pytest.mark.parametrize("category", ["bug", "parse", "transport"])
def test_o11_an_error_that_is_no_denial_ends_nothing(
    account: ExchangeAccount, category: str
) -> None:
    before = stored_facts()

    for number in range(4):
        denied(account, number * GRACE, [failed(LegKind.ORDER, category, subject="1")])

    assert stored_facts() == before
    assert not Discrepancy.objects.exists()


def test_o11_trouble_that_is_worded_as_a_denial_is_none(trader: Desk) -> None:
    order = trader.buy("1", "10")
    trader.sync()
    trader.engine.cancel_order(order.id)
    trouble = Fault(DistortionKind.TROUBLE_AS_DENIAL)
    trader.server.faults.append(trouble)

    trader.sync()

    stored = trader.order(order)
    assert trouble.happened
    assert (stored.status, stored.strikes, stored.missing_since) == (OrderStatus.OPEN, 0, None)


def test_o12_where_nobody_knows_how_long_orders_are_kept_a_person_is_asked(db: None) -> None:
    account = books_of(age=timedelta(days=6))

    for number in range(3):
        denied(account, number * GRACE)

    asked = Discrepancy.objects.get()
    assert (asked.code, asked.state) == (Code.ORDER_MISSING_AT_VENUE, State.OPEN)
    assert the_order().status == OrderStatus.OPEN


def test_o12_an_order_older_than_its_exchange_remembers_has_been_forgotten(db: None) -> None:
    account = books_of("okx", age=timedelta(days=6))

    for number in range(3):
        denied(account, number * GRACE)

    assert Discrepancy.objects.get().code == Code.ORDER_RETENTION_EXPIRED
