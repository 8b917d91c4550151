"""Open scenarios O01 to O04, O10 and O13 to O24: what becomes of orders that the exchange tells of.

O05 to O09, O11 and O12, of orders that it does not tell of, are in `test_missing_orders`.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.amounts import exact_sum
from portfolios.models import Discrepancy, ExchangeAccount, Incident, Order
from portfolios.selectors.report import full_report
from portfolios.services.asked_orders import known_orders
from portfolios.services.claims import claim_order
from providers.reports import OrderStatus
from providers.sandbox.faults import DistortionKind, Fault
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    balances,
    fills_leg,
    look,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
    stored_facts,
)

D = Decimal
Code = Discrepancy.Code
State = Discrepancy.State


def codes(account: ExchangeAccount) -> dict[str, str]:
    live = account.discrepancies.filter(state__in=Discrepancy.LIVE)
    return dict(live.values_list("code", "state"))


def test_o01_three_fills_close_an_order_at_what_each_of_them_cost(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.engine.fill_order(order.id, "0.2", "99")
    trader.engine.fill_order(order.id, "0.3", "98")
    trader.engine.fill_order(order.id)

    trader.sync()

    stored = trader.order(order)
    fills = stored.fills.all()
    assert (stored.status, stored.filled) == (OrderStatus.CLOSED, D(1))
    assert exact_sum(fill.amount for fill in fills) == D(1)
    assert trader.position("ADA").cost == exact_sum(fill.cost for fill in fills) == D("99.2")


def test_o02_a_canceled_order_gives_its_cash_back_once(trader: Desk) -> None:
    order = trader.buy("10", "10")
    trader.sync()
    assert trader.unallocated() == D(900)
    trader.engine.cancel_order(order.id)
    trader.sync()
    before = stored_facts()

    trader.sync()

    assert (trader.order(order).status, trader.unallocated()) == (OrderStatus.CANCELED, D(1000))
    assert stored_facts() == before


def test_o03_an_order_canceled_after_a_partial_fill_keeps_it_and_locks_nothing(
    trader: Desk,
) -> None:
    order = trader.buy("1", "100")
    trader.engine.fill_order(order.id, "0.3")
    trader.sync()
    trader.engine.cancel_order(order.id)

    trader.sync()

    stored = trader.order(order)
    assert (stored.status, stored.filled) == (OrderStatus.CANCELED, D("0.3"))
    assert stored.fills.get().amount == D("0.3")
    assert trader.position("EUR").reserved == D(0)


def test_o04_what_was_filled_before_an_expiry_is_booked_with_it(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.engine.fill_order(order.id, "0.3")
    trader.sync()
    trader.engine.fill_order(order.id, "0.2", "90")
    trader.engine.expire_order(order.id)

    trader.sync()

    stored = trader.order(order)
    assert stored.status == OrderStatus.EXPIRED
    assert exact_sum(fill.amount for fill in stored.fills.all()) == D("0.5")
    assert trader.position("ADA").cost == D(48)


def test_o10_a_filled_order_is_not_asked_for_because_no_list_has_it(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.engine.fill_order(order.id)
    trader.sync()
    before = stored_facts()
    trader.server.requests.clear()

    trader.sync()

    assert known_orders(trader.account) == ()
    assert not any(path.endswith("/order") for path in trader.requests())
    assert stored_facts() == before


def test_o13_an_order_that_nobody_booked_locks_at_account_scope_only(trader: Desk) -> None:
    before = (trader.unallocated(), trader.position("EUR").reserved)
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5")

    trader.sync()

    order = trader.order(placed)
    assert (order.external, order.portfolio, order.status) == (True, None, OrderStatus.OPEN)
    assert trader.position("EUR", None).reserved == D(50)
    assert (trader.unallocated(), trader.position("EUR").reserved) == before
    assert trader.differences() == []


def test_o14_a_claimed_order_takes_its_past_fills_to_its_portfolio(trader: Desk) -> None:
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5")
    trader.sync()
    trader.engine.fill_order(placed.id, "4")
    trader.sync()
    assert trader.position("ADA", None).amount == D(4)

    claim_order(trader.order(placed), trader.portfolio())
    trader.sync()

    assert (trader.position("ADA").amount, trader.position("ADA", None).amount) == (D(4), D(0))
    assert (trader.position("EUR").amount, trader.position("EUR", None).amount) == (D(980), D(100))
    assert trader.differences() == []


def test_o15_an_order_known_by_its_client_id_gets_its_id_and_stays_one(trader: Desk) -> None:
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5", "a-1")
    trader.note("", "buy", "10", "5", "ADA/EUR", client_order_id="a-1")

    trader.sync()

    order = Order.objects.get()
    assert (order.external_id, order.client_order_id) == (placed.id, "a-1")
    assert order.portfolio == trader.portfolio()


def test_o15_an_order_seen_before_its_book_names_it_by_client_id_is_matched_by_that(
    trader: Desk,
) -> None:
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5", "a-1")
    trader.sync()
    trader.note("", "buy", "10", "5", "ADA/EUR", client_order_id="a-1")

    trader.sync()

    order = Order.objects.get()
    assert (order.external_id, order.client_order_id) == (placed.id, "a-1")
    assert order.portfolio == trader.portfolio()
    assert trader.differences() == []


@pytest.mark.parametrize("own_client_id", ["c-1", ""])
@pytest.mark.parametrize("other_id", ["2", ""])
def test_o16_a_report_with_the_ids_of_two_orders_freezes_both(
    account: ExchangeAccount, own_client_id: str, other_id: str
) -> None:
    note_order(account, external_id="1", client_order_id=own_client_id)
    note_order(account, external_id=other_id, client_order_id="c-2")
    look(account, open_orders(), balances(EUR="100"))

    of_both = make_order_report("1", client_order_id="c-2", filled=D(4))
    look(account, open_orders(of_both), balances(EUR="100"))

    assert codes(account)[Code.ORDER_ID_CONFLICT] == State.OPEN
    assert [bool(order.frozen_because) for order in Order.objects.all()] == [True, True]
    assert [order.filled for order in Order.objects.all()] == [D(0), D(0)]


def test_o17_a_price_amended_at_the_exchange_is_a_new_version_with_another_lock(
    trader: Desk,
) -> None:
    order = trader.buy("10", "5")
    trader.sync()
    trader.engine.amend_order(order.id, price="4")

    trader.sync()

    stored = trader.order(order)
    before = stored.versions.get()
    assert (stored.price, before.number, before.price) == (D(4), 1, D(5))
    assert trader.position("EUR").reserved == D(40)


def test_o18_an_amount_lowered_at_the_exchange_lowers_the_lock(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.sync()
    trader.engine.amend_order(order.id, amount="0.8")

    trader.sync()

    stored = trader.order(order)
    assert (stored.amount, stored.versions.get().amount) == (D("0.8"), D(1))
    assert trader.position("EUR").reserved == D(80)
    assert trader.differences() == []


def partly_filled(account: ExchangeAccount) -> None:
    note_order(account)
    look(account, open_orders(make_order_report()), balances(EUR="100"))
    filled = make_order_report(filled=D(3), cost=D(6))
    look(
        account,
        open_orders(filled),
        fills_leg(make_fill_report("3", "2")),
        balances(EUR="94", ADA="3"),
    )


def test_o19_one_stale_report_of_less_filled_changes_nothing(account: ExchangeAccount) -> None:
    partly_filled(account)
    before = stored_facts()

    look(account, open_orders(make_order_report(filled=D(2))), balances(EUR="94", ADA="3"))

    assert stored_facts() == before
    assert codes(account) == {Code.ORDER_FILL_AHEAD: State.SUSPECTED}


def test_o19_a_second_report_of_less_filled_opens_a_discrepancy(account: ExchangeAccount) -> None:
    partly_filled(account)
    for _probe in range(2):
        look(account, open_orders(make_order_report(filled=D(2))), balances(EUR="94", ADA="3"))

    assert codes(account) == {Code.ORDER_FILL_AHEAD: State.OPEN}
    assert Order.objects.get().filled == D(3)


def test_o19_the_next_report_that_agrees_resolves_it(account: ExchangeAccount) -> None:
    partly_filled(account)
    look(account, open_orders(make_order_report(filled=D(2))), balances(EUR="94", ADA="3"))

    agreeing = make_order_report(filled=D(3), cost=D(6))
    look(account, open_orders(agreeing), balances(EUR="94", ADA="3"))

    assert codes(account) == {}


def test_o20_an_order_that_the_exchange_rejected_is_rejected(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.engine.reject_order(order.id)

    trader.sync()

    assert trader.order(order).status == OrderStatus.REJECTED


def test_o20_a_rejection_told_as_a_cancellation_is_taken_as_told(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.engine.reject_order(order.id)
    trader.server.faults.append(Fault(DistortionKind.REJECTED_AS_CANCELED))

    trader.sync()

    stored = trader.order(order)
    assert (stored.status, stored.raw_status) == (OrderStatus.CANCELED, "canceled")
    assert trader.unallocated() == D(1000)


def test_o21_an_order_that_fills_while_it_is_being_canceled_is_filled(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    canceling = make_order_report(status=None, raw_status="PENDING_CANCEL")
    look(account, open_orders(canceling), balances(EUR="100"))

    filled = make_order_report(status=OrderStatus.CLOSED, filled=D(10), cost=D(20))
    look(
        account,
        open_orders(),
        order_leg(filled),
        fills_leg(make_fill_report("10", "2")),
        balances(EUR="80", ADA="10"),
    )

    order = Order.objects.get()
    assert (order.status, order.fills.get().amount) == (OrderStatus.CLOSED, D(10))
    assert codes(account) == {}


def test_o22_all_filled_without_a_word_that_it_ended_is_shown_as_unconfirmed(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    silent = make_order_report(status=None, raw_status="", filled=D(10), cost=D(20))

    look(account, open_orders(silent), balances(EUR="80", ADA="10"))

    order = Order.objects.get()
    assert (order.status, order.is_filled_unconfirmed) == (OrderStatus.OPEN, True)
    assert account.runs.latest("pk").status == "partial"
    assert Incident.objects.get().operation == "orders.status"


def test_o23_more_filled_than_ordered_is_booked_and_told(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.engine.overfill_order(order.id, "0.0001")

    trader.sync()

    [overfilled] = trader.differences()
    assert (overfilled.code, overfilled.state) == (Code.ORDER_OVERFILLED, State.OPEN)
    assert overfilled.difference == D("0.0001")
    assert trader.position("ADA").amount == D("1.0001")


@pytest.mark.parametrize("place", [0, 1])
def test_o24_of_an_order_listed_twice_the_newest_copy_counts(
    account: ExchangeAccount, place: int
) -> None:
    note_order(account)
    copies = [make_order_report(), make_order_report()]
    copies[place] = make_order_report(filled=D(4), cost=D(8))

    look(account, open_orders(*copies), balances(EUR="92", ADA="4"))

    [row] = full_report()["orders"]
    assert (row["filled"], row["status"]) == ("4", "open")
    assert codes(account) == {}
