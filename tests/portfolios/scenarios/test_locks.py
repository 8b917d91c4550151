"""Scenarios B11, B13, B14, B16, L08 and L12: balances that contradict themselves, the orders or the portfolios."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from portfolios.models import AssetBalance, Discrepancy, DiscrepancyEvent, ExchangeAccount, Order
from portfolios.services.asked_orders import known_orders
from portfolios.services.book import import_book
from providers.reports import (
    BalanceReport,
    Depth,
    FlowKind,
    FlowSource,
    FlowStatus,
    Leg,
)
from providers.sandbox.books import Order as ExchangeOrder
from providers.sandbox.faults import DistortionKind, Fault
from tests.builders import make_discrepancy
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    balances,
    flows_leg,
    later,
    look,
    make_flow_report,
    make_order_report,
    note_order,
    open_orders,
    stored_facts,
)

D = Decimal
Code, State = Discrepancy.Code, Discrepancy.State


def of_eur(free: str, used: str, total: str) -> Leg:
    return balances(EUR=BalanceReport("EUR", D(free), D(used), D(total)))


def differences(account: ExchangeAccount) -> dict[str, str]:
    live = account.discrepancies.filter(state__in=Discrepancy.LIVE)
    return dict(live.values_list("code", "state"))


def eur(account: ExchangeAccount) -> AssetBalance:
    return account.balances.get(asset="EUR")


def test_b11_a_total_beyond_its_parts_is_broken(account: ExchangeAccount) -> None:
    for _look in range(2):
        look(account, open_orders(), of_eur("60", "0", "100"))

    assert differences(account) == {"BALANCE_IDENTITY_BROKEN": "OPEN"}
    assert eur(account).verdict == "VERIFIED"


def test_b11_a_rule_says_that_the_rest_of_the_total_is_in_earn(account: ExchangeAccount) -> None:
    rule = {"account": account.label, "kind": "earn", "asset": "EUR"}
    for _look in range(2):
        look(account, open_orders(), of_eur("60", "0", "100"))
    import_book({"asset_rules": [rule]})

    look(account, open_orders(), of_eur("60", "0", "100"))

    assert differences(account) == {}
    assert eur(account).verdict == "VERIFIED"


def test_b11_what_goes_into_earn_under_another_name_is_still_held(
    account: ExchangeAccount,
) -> None:
    rule = {"account": account.label, "kind": "alias", "asset": "LDEUR", "counts_as": "EUR"}
    import_book({"asset_rules": [rule]})

    look(account, open_orders(), balances(EUR="60", LDEUR="40"))

    assert differences(account) == {}
    assert (eur(account).verdict, eur(account).total) == ("VERIFIED", D(100))


def test_b13_swapped_numbers_keep_their_total_and_are_told_as_swapped(
    account: ExchangeAccount,
) -> None:
    note_order(account, amount="10", price="2", created_at="2026-01-01T00:00:00Z")
    orders = open_orders(make_order_report(filled=D(0)))
    look(account, orders, of_eur("80", "20", "100"))
    assert differences(account) == {}

    for _look in range(2):
        look(account, orders, of_eur("20", "80", "100"))

    [found] = account.discrepancies.filter(state="OPEN")
    assert (found.code, found.book, found.exchange) == ("BALANCE_LOCK_MISMATCH", D(20), D(80))
    assert found.cause == "free and used look swapped"
    assert (eur(account).verdict, eur(account).used_verdict) == ("VERIFIED", "DIFFERS")


def listed_as_before(trader: Desk) -> ExchangeOrder:
    """Let an order of ten minutes ago be canceled now, and the list of open orders be five minutes old."""
    trader.engine.clock = lambda: timezone.now() - timedelta(minutes=10)
    order = trader.buy("10", "2")
    trader.engine.clock = timezone.now
    trader.sync()
    trader.engine.cancel_order(order.id)
    stale = Fault(DistortionKind.STALE_PAGE, path="openOrders", age=timedelta(minutes=5))
    trader.server.faults.append(stale)
    return order


def test_an_order_that_a_stale_list_shows_open_is_read_by_itself_where_its_lock_is_gone(
    trader: Desk,
) -> None:
    trader.engine.history.memory = timedelta(minutes=15)
    order = listed_as_before(trader)

    trader.sync()
    assert differences(trader.account) == {"BALANCE_LOCK_MISMATCH": "SUSPECTED"}
    trader.sync()

    assert trader.order(order).status == "canceled"
    assert "BALANCE_LOCK_MISMATCH" not in differences(trader.account)


def test_a_lock_that_nothing_explains_has_no_order_read_for_long(trader: Desk) -> None:
    trader.buy("10", "2")
    trader.sync()
    discrepancy = make_discrepancy(
        trader.account, code=Code.BALANCE_LOCK_MISMATCH, state=State.SUSPECTED, asset="EUR"
    )
    doubted = []
    for times_seen in (3, 4):
        Discrepancy.objects.filter(pk=discrepancy.pk).update(times_seen=times_seen)
        doubted.append([order.is_doubted for order in known_orders(trader.account)])

    assert doubted == [[True], [False]]


def test_what_a_withdrawal_from_before_the_books_began_locks_is_never_open(desk: Desk) -> None:
    desk.deposit("EUR", "100")
    desk.engine.withdraw(KEY, "EUR", "40")
    for _look in range(3):
        desk.sync()

    told = DiscrepancyEvent.objects.filter(discrepancy__code="BALANCE_LOCK_MISMATCH")
    assert list(told.values_list("after", flat=True)) == ["SUSPECTED", "RESOLVED"]


def test_a_withdrawal_that_failed_while_the_account_was_read_may_still_lock(
    account: ExchangeAccount,
) -> None:
    source, kind = FlowSource.WITHDRAWALS, FlowKind.WITHDRAWAL
    failed = make_flow_report(
        "-40", source=source, kind=kind, status=FlowStatus.FAILED, settled_at=None
    )
    look(account, open_orders(), of_eur("60", "40", "100"))
    assert differences(account) == {"BALANCE_LOCK_MISMATCH": "SUSPECTED"}

    told = flows_leg(failed, source=source)
    look(account, open_orders(), of_eur("60", "40", "100"), told, depth=Depth.FULL)

    assert differences(account) == {}


def test_b14_a_total_below_nothing_keeps_its_sign(account: ExchangeAccount) -> None:
    below = BalanceReport("BTC", D("-0.0000007"), D(0), D("-0.0000007"))
    for _look in range(2):
        look(account, open_orders(), balances(EUR="100", BTC=below))

    negative = account.discrepancies.get(code="BALANCE_NEGATIVE")
    assert (negative.state, negative.severity) == ("OPEN", "error")
    assert negative.exchange == D("-0.0000007")
    assert account.balances.get(asset="BTC").total == D("-0.0000007")


def test_b16_dust_is_information_and_still_in_the_sum(account: ExchangeAccount) -> None:
    rule = {"account": account.label, "kind": "dust", "asset": "ETH", "amount": "0.000001"}
    import_book({"asset_rules": [rule]})
    for _look in range(2):
        look(account, open_orders(), balances(EUR="100", ETH="0.00000042"))

    found = account.discrepancies.get()
    assert (found.code, found.severity) == ("BALANCE_SURPLUS", "info")
    assert found.difference == D("0.00000042")
    assert account.balances.get(asset="ETH").total == D("0.00000042")


def test_l08_portfolios_that_claim_more_than_there_is_leave_the_account_verified(
    desk: Desk,
) -> None:
    desk.deposit("EUR", "100")
    desk.open_portfolio("60")
    desk.open_portfolio("50", name="beta")
    desk.sync()
    desk.sync()

    [found] = desk.differences()
    assert (found.code, found.state) == ("ALLOC_OVERCOMMITTED", "OPEN")
    assert found.difference == D(-10)
    assert eur(desk.account).verdict == "VERIFIED"


@pytest.fixture
def edited(trader: Desk) -> Desk:
    """Let an order of 10 be filled, and then be made one of 8 behind the books' back."""
    order = trader.buy("10", "2")
    trader.engine.fill_order(order.id)
    trader.sync()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE portfolios_order SET filled = '8'")
    trader.deposit("EUR", "5")
    return trader


def test_l12_what_contradicts_itself_stops_all_booking_and_names_the_way_out(
    edited: Desk,
) -> None:
    before = stored_facts()

    edited.sync()

    [found] = edited.differences()
    assert (found.code, found.severity, found.state) == ("LOCAL_INTEGRITY", "critical", "OPEN")
    assert "8 stored, 10 recomputed" in found.cause
    assert "rebuild_positions --account desk" in found.cause
    assert edited.account.read_only_because
    assert stored_facts() == before
    call_command("rebuild_positions", "--account", "desk", stdout=StringIO())


def test_l12_after_a_rebuild_all_is_booked_that_waited(edited: Desk) -> None:
    edited.sync()
    call_command("rebuild_positions", "--account", "desk", stdout=StringIO())

    edited.sync()

    assert edited.account.read_only_because == ""
    assert Order.objects.get().filled == D(10)
    assert edited.position("EUR", None).amount == D(105)
    assert edited.differences() == []


def test_an_order_that_is_hidden_for_four_looks_alarms_nobody(trader: Desk) -> None:
    trader.engine.buy(KEY, "ADA/EUR", "10", "2")
    hidden = Fault(DistortionKind.EMPTY_LIST, path="openOrders")
    trader.server.faults.append(hidden)
    for _look in range(4):
        trader.sync()
    trader.server.faults.clear()
    trader.sync()

    told = DiscrepancyEvent.objects.filter(discrepancy__code="BALANCE_LOCK_MISMATCH")
    assert list(told.values_list("after", flat=True)) == ["SUSPECTED", "RESOLVED"]


def test_what_is_in_use_without_an_order_is_told_at_the_fifth_look(
    account: ExchangeAccount,
) -> None:
    states: list[str] = []
    for seconds in range(0, 250, 50):
        look(account, *later((open_orders(), of_eur("60", "40", "100"), flows_leg()), seconds))
        states += differences(account).values()

    assert states == ["SUSPECTED"] * 4 + ["OPEN"]
