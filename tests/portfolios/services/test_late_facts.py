"""Facts that come late or in an order nobody planned: none is lost, doubled or put where it does not belong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Order
from portfolios.selectors.report import full_report
from portfolios.services.asked_orders import known_orders
from portfolios.services.connection_test import execute_connection_test
from portfolios.services.verification import verify_books
from providers.sandbox.books import Fee, Instrument
from providers.sandbox.faults import Fault, FaultKind
from tests.desk import KEY, Desk

D = Decimal


def euros(amount: str) -> Fee:
    return Fee("EUR", D(amount))


def start(desk: Desk, cash: str = "1000") -> None:
    desk.deposit("EUR", cash)
    desk.open_portfolio(cash)


@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.RATE_LIMITED])
def test_f30_a_fee_whose_read_failed_is_booked_by_the_next_sync(
    desk: Desk, kind: FaultKind
) -> None:
    start(desk)
    order = desk.buy("100", "1")
    desk.sync()
    desk.engine.fill_order(order.id, fee=euros("0.25"))
    desk.server.faults.append(Fault(kind, path="/myTrades$", retry_after=0))
    desk.sync()
    desk.server.faults.clear()

    desk.sync()

    assert desk.unallocated() == D("899.75")
    assert desk.differences() == []


def test_fills_that_are_complete_are_not_asked_for_again(desk: Desk) -> None:
    start(desk)
    order = desk.buy("100", "1")
    desk.sync()
    desk.engine.fill_order(order.id, fee=euros("0.25"))
    desk.sync()
    desk.server.requests.clear()

    desk.sync()

    assert len(desk.requests()) == 2
    assert known_orders(desk.account) == ()


def test_an_order_of_nobody_first_seen_filled_in_part_ends_at_what_was_paid(desk: Desk) -> None:
    start(desk)
    desk.deposit("EUR", "100")
    desk.sync()
    placed = desk.engine.buy(KEY, "ADA/EUR", "50", "2")
    desk.engine.fill_order(placed.id, "20", price="1.5", fee=euros("0.25"))
    desk.sync()

    desk.sync()

    assert desk.position("EUR", None).amount == D("69.75")
    assert desk.differences() == []


def test_claiming_an_order_books_its_fee_in_a_third_coin_once(desk: Desk) -> None:
    start(desk)
    desk.deposit("EUR", "100")
    desk.deposit("BNB", "1")
    desk.sync()
    placed = desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    desk.sync()
    desk.engine.fill_order(placed.id, "40", fee=Fee("BNB", D("0.01")))
    desk.sync()

    desk.note(placed.id, "buy", "100", "1", "ADA/EUR")
    desk.sync()

    assert desk.position("BNB", None).amount == D("0.99")
    assert desk.differences() == []


def test_an_order_that_was_filled_before_the_baseline_is_not_booked_on_top_of_it(
    desk: Desk,
) -> None:
    desk.deposit("EUR", "1000")
    placed = desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    desk.engine.fill_order(placed.id)
    desk.sync()
    desk.open_portfolio("1000")
    desk.note(placed.id, "buy", "100", "1", "ADA/EUR")

    desk.sync()

    assert desk.differences() == []
    assert (desk.position("ADA").amount, desk.unallocated()) == (D(100), D(900))


def test_what_a_book_counts_as_filled_though_it_was_filled_after_the_baseline_is_the_accounts(
    desk: Desk,
) -> None:
    start(desk)
    desk.deposit("EUR", "100")
    desk.sync()
    placed = desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    desk.engine.fill_order(placed.id, "40", fee=euros("0.25"))
    desk.note(placed.id, "buy", "100", "1", "ADA/EUR", filled="40")
    desk.sync()
    desk.engine.fill_order(placed.id)

    desk.sync()

    assert (desk.position("ADA", None).amount, desk.position("ADA").amount) == (D(40), D(60))
    assert desk.position("EUR", None).amount == D("59.75")
    assert desk.differences() == []
    assert verify_books().difference is None


def test_a_fill_that_is_booked_already_stays_booked_when_a_book_counts_it_as_filled(
    desk: Desk,
) -> None:
    start(desk)
    desk.deposit("EUR", "100")
    desk.sync()
    placed = desk.engine.buy(KEY, "ADA/EUR", "40", "1")
    desk.engine.fill_order(placed.id)
    desk.server.faults.append(Fault(FaultKind.UNAVAILABLE, path="/order$"))
    desk.sync()
    desk.server.faults.clear()
    assert desk.position("ADA", None).amount == D(40)
    desk.note(placed.id, "buy", "40", "1", "ADA/EUR", filled="40", status="closed")

    desk.sync()

    assert desk.position("ADA", None).amount == D(40)
    assert desk.differences() == []
    assert verify_books().difference is None


def test_a_sale_for_another_asset_than_the_cash_mixes_no_currencies(desk: Desk) -> None:
    start(desk)
    desk.hold("ADA", "100", "100")
    step = D("0.0000001")
    desk.engine.add_instrument(Instrument("ADA/BTC", step, step, D("0.00002")))
    order = desk.sell("100", "0.00002", "ADA/BTC")
    desk.sync()
    desk.engine.fill_order(order.id)

    desk.sync()

    assert desk.portfolio().net_size == D(1000)
    assert (desk.position("BTC").amount, desk.position("BTC").cost) == (D("0.002"), D(100))
    assert desk.position("ADA").cost == D(0)


def test_an_order_of_a_symbol_listed_since_the_symbols_were_read_is_booked(desk: Desk) -> None:
    execute_connection_test(desk.account.pk)
    start(desk)
    step = D("0.00001")
    desk.engine.add_instrument(Instrument("NEW/EUR", step, step, D(1)))
    order = desk.buy("100", "1", "NEW/EUR")
    desk.sync()
    desk.engine.fill_order(order.id)

    desk.sync()

    assert (desk.position("NEW").amount, desk.unallocated()) == (D(100), D(900))


def test_the_fees_of_an_orders_fills_are_told_with_the_order(desk: Desk) -> None:
    start(desk)
    order = desk.buy("100", "1")
    desk.sync()
    desk.engine.fill_order(order.id, "40", fee=euros("0.1"))
    desk.engine.fill_order(order.id, fee=euros("0.15"))

    desk.sync()

    [row] = full_report()["orders"]
    assert row["fees"] == [{"asset": "EUR", "amount": "0.25"}]


def test_an_order_known_by_its_client_id_alone_is_asked_for(desk: Desk) -> None:
    start(desk)
    placed = desk.engine.buy(KEY, "ADA/EUR", "100", "1", "a-1")
    desk.engine.fill_order(placed.id)
    desk.note("", "buy", "100", "1", "ADA/EUR", client_order_id="a-1")

    desk.sync()

    order = Order.objects.get()
    assert (order.external_id, order.status) == (placed.id, "closed")
    assert desk.position("ADA").amount == D(100)


def test_what_the_exchange_asked_to_wait_for_is_waited_for_by_hand_too(desk: Desk) -> None:
    start(desk)
    desk.sync()
    desk.server.faults.append(Fault(FaultKind.RATE_LIMITED, times=2, retry_after=600))
    desk.sync()
    desk.server.requests.clear()

    run = desk.sync()

    assert desk.requests() == []
    assert "asked not to be read before" in run.message
