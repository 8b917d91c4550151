"""The reference system's cases of orders: `sync_orders` (its tables 2.2 and 2.3, rows F18 to F35).

Rows that place orders apply to orders of the book. Not applicable: short positions and covers (spot only), stop-loss
and take-profit (PosSync places nothing).
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Incident, LedgerEntry, Order, SyncRun
from portfolios.services import ledger, orders
from portfolios.services.journal import posted
from providers.sandbox.books import Fee
from providers.sandbox.faults import Fault, FaultKind
from tests.desk import KEY, Desk

D = Decimal


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    return desk


def test_f20_a_filled_buy_moves_cash_into_the_position(desk: Desk) -> None:
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id)

    desk.sync()

    stored = desk.order(order)
    assert (stored.status, stored.filled) == ("closed", D(100))
    assert (desk.position("ADA").amount, desk.position("ADA").cost) == (D(100), D(100))
    assert desk.unallocated() == D(900)


def test_f21_a_partial_fill_is_booked_and_the_order_stays_open(desk: Desk) -> None:
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id, "40")

    desk.sync()

    assert (desk.order(order).status, desk.order(order).filled) == ("open", D(40))
    assert desk.position("ADA").amount == D(40)


def test_f21_the_rest_of_a_fill_is_booked_when_it_comes(desk: Desk) -> None:
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id, "40")
    desk.sync()
    desk.engine.fill_order(order.id)

    desk.sync()

    assert desk.position("ADA").amount == D(100)
    assert desk.order(order).fills.count() == 2


def test_f21_the_same_report_again_changes_nothing(desk: Desk) -> None:
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id, "40")
    desk.sync()
    entries = LedgerEntry.objects.count()

    run = desk.sync()

    assert (LedgerEntry.objects.count(), run.orders_changed) == (entries, 0)


@pytest.mark.parametrize("ended", ["cancel_order", "expire_order", "reject_order"])
def test_f22_a_buy_that_ends_unfilled_gives_its_cash_back(desk: Desk, ended: str) -> None:
    order = desk.buy("10", "100")
    desk.sync()
    assert desk.unallocated() == D(0)
    getattr(desk.engine, ended)(order.id)

    desk.sync()

    assert desk.unallocated() == D(1000)
    assert (
        desk.order(order).status
        == {
            "cancel_order": "canceled",
            "expire_order": "expired",
            "reject_order": "rejected",
        }[ended]
    )


def test_f22_a_buy_filled_in_part_and_then_canceled_keeps_what_was_filled(desk: Desk) -> None:
    order = desk.buy("10", "100")
    desk.engine.fill_order(order.id, "3")
    desk.engine.cancel_order(order.id)

    desk.sync()
    desk.sync()

    assert desk.unallocated() == D(700)
    assert (desk.position("ADA").amount, desk.position("ADA").cost) == (D(3), D(300))


def test_f23_a_filled_sale_brings_cash_and_gain(desk: Desk) -> None:
    desk.engine.fill_order(desk.buy("500", "1").id)
    desk.sync()
    desk.engine.fill_order(desk.sell("500", "2").id)

    desk.sync()

    assert desk.unallocated() == D(1500)
    assert desk.portfolio().realized_gain == D(500)
    assert (desk.position("ADA").amount, desk.position("ADA").cost) == (D(0), D(0))


def test_f24_a_canceled_sale_leaves_position_cost_and_gain_as_they_were(desk: Desk) -> None:
    desk.engine.fill_order(desk.buy("500", "1").id)
    desk.sync()
    order = desk.sell("500", "2")
    desk.sync()
    assert desk.position("ADA").available == D(0)
    desk.engine.cancel_order(order.id)

    desk.sync()

    position = desk.position("ADA")
    assert (position.available, position.cost) == (D(500), D(500))
    assert desk.portfolio().realized_gain == D(0)


def test_several_orders_are_all_synced(desk: Desk) -> None:
    ada, dot = desk.buy("100", "1"), desk.buy("200", "1", "DOT/EUR")
    desk.engine.fill_order(ada.id)
    desk.engine.fill_order(dot.id)

    desk.sync()

    assert [desk.order(order).filled for order in (ada, dot)] == [D(100), D(200)]


def test_without_orders_nothing_changes(desk: Desk) -> None:
    run = desk.sync()

    assert run.status == SyncRun.Status.SUCCEEDED
    assert desk.unallocated() == D(1000)


def test_f26_an_amount_lowered_by_the_exchange_gives_the_difference_back(desk: Desk) -> None:
    order = desk.buy("1000", "1")
    desk.engine.amend_order(order.id, "999")
    desk.engine.fill_order(order.id)

    desk.sync()

    stored = desk.order(order)
    assert (stored.amount, stored.filled, desk.unallocated()) == (D(999), D(999), D(1))


def test_f26_a_sale_of_nearly_all_leaves_the_rest_at_its_cost(desk: Desk) -> None:
    desk.engine.fill_order(desk.buy("1000", "1").id)
    desk.sync()
    order = desk.sell("1000", "1")
    desk.engine.amend_order(order.id, "999")
    desk.engine.fill_order(order.id)

    desk.sync()

    assert (desk.position("ADA").amount, desk.position("ADA").cost) == (D(1), D(1))


def test_amounts_of_many_digits_stay_exact(desk: Desk) -> None:
    order = desk.buy("2004.5303357979318", "0.24262")
    desk.engine.fill_order(order.id)

    desk.sync()

    assert desk.position("ADA").amount == D("2004.5303357979318")


def test_buys_keep_what_they_filled_when_sales_follow(desk: Desk) -> None:
    buys = [desk.buy("5", "1"), desk.buy("5", "1")]
    for order in buys:
        desk.engine.fill_order(order.id)
    desk.sync()
    for amount in ("2.5", "5"):
        desk.engine.fill_order(desk.sell(amount, "1").id)

    desk.sync()

    assert [desk.order(order).filled for order in buys] == [D(5), D(5)]
    assert desk.position("ADA").amount == D("2.5")


def test_f18_orders_of_other_portfolios_stay_with_them(desk: Desk) -> None:
    desk.deposit("EUR", "500")
    desk.open_portfolio("500", name="beta")
    order = desk.buy("100", "1", portfolio="beta")
    desk.engine.fill_order(order.id)

    desk.sync()

    assert (desk.unallocated("alpha"), desk.unallocated("beta")) == (D(1000), D(400))


def test_f18_orders_are_booked_in_the_order_of_their_creation(desk: Desk) -> None:
    late = desk.buy("1", "1", created_at="2026-11-22T09:00:00Z")
    early = desk.buy("2", "1", created_at="2026-11-22T08:00:00Z")
    for order in (late, early):
        desk.engine.fill_order(order.id)

    desk.sync()

    booked = LedgerEntry.objects.filter(asset="ADA").order_by("pk")
    assert [entry.amount for entry in booked] == [D(2), D(1)]


def test_f19_an_order_without_an_id_is_found_by_its_client_id(desk: Desk) -> None:
    placed = desk.engine.buy(KEY, "ADA/EUR", "100", "1", "a-1")
    desk.note("", "buy", "100", "1", "ADA/EUR", client_order_id="a-1")

    desk.sync()

    order = Order.objects.get()
    assert (order.external_id, order.status, order.external) == (placed.id, "open", False)


def test_f19_an_order_that_nobody_acknowledged_is_a_difference(desk: Desk) -> None:
    desk.note("", "buy", "100", "1", "ADA/EUR", client_order_id="a-1")

    desk.sync()

    assert [difference.code for difference in desk.differences()] == ["ORDER_UNACKED"]
    assert Order.objects.get().status == "created"


def test_f30_a_fee_in_the_quote_asset_is_paid_from_the_cash(desk: Desk) -> None:
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id, fee=Fee("EUR", D("0.25")))

    desk.sync()

    assert desk.unallocated() == D("899.75")


def test_f30_a_fee_in_the_base_asset_is_paid_from_the_position(desk: Desk) -> None:
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id, fee=Fee("ADA", D("0.01")))

    desk.sync()

    assert desk.position("ADA").amount == D("99.99")


def test_f30_a_fee_in_a_third_coin_leaves_cash_and_position_alone(desk: Desk) -> None:
    desk.deposit("BNB", "1")
    order = desk.buy("100", "1")
    desk.sync()
    desk.engine.fill_order(order.id, fee=Fee("BNB", D("0.01")))

    desk.sync()

    assert (desk.unallocated(), desk.position("ADA").amount) == (D(900), D(100))
    assert desk.position("BNB", None).amount == D("0.99")
    assert desk.differences() == []


def test_f28_what_was_really_paid_is_booked_not_the_limit(desk: Desk) -> None:
    order = desk.buy("10", "10")
    desk.engine.fill_order(order.id, price="9")

    desk.sync()

    assert (desk.unallocated(), desk.position("ADA").cost) == (D(910), D(90))


def test_f02_an_order_the_exchange_does_not_know_stays_open_and_makes_the_run_partial(
    desk: Desk,
) -> None:
    desk.note("424242", "buy", "1", "1", "ADA/EUR")
    known = desk.buy("100", "1")
    desk.engine.fill_order(known.id)

    run = desk.sync()

    assert run.status == SyncRun.Status.PARTIAL
    assert Order.objects.get(external_id="424242").status == "open"
    assert desk.order(known).status == "closed"
    assert Incident.objects.get().category == "not_found"


@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.RESET])
def test_f34_an_order_that_cannot_be_read_does_not_stop_the_balances(
    desk: Desk, kind: FaultKind
) -> None:
    order = desk.buy("100", "1")
    desk.sync()
    desk.engine.fill_order(order.id)
    desk.server.faults.append(Fault(kind, path=r"/api/v3/order$"))

    run = desk.sync()

    assert run.status == SyncRun.Status.PARTIAL
    assert desk.order(order).status == "open"
    assert {leg.kind: leg.status for leg in run.legs.all()}["balances"] == "OBSERVED"


@pytest.mark.parametrize("write", ["store_fills", "set_state", "book_order"])
def test_f35_an_order_whose_booking_breaks_off_is_as_before_and_booked_whole_the_next_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    order = desk.buy("100", "1")
    desk.sync()
    desk.engine.fill_order(order.id, "40")
    broken = getattr(orders, write)

    def write_and_break(*args: object, **more: object) -> None:
        broken(*args, **more)
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(orders, write, write_and_break)
        run = desk.sync()
        assert run.status == SyncRun.Status.PARTIAL
        assert desk.order(order).filled == D(0)
        assert not LedgerEntry.objects.exclude(order=None).exists()
        # The exchange may not tell its fill again: it is the account's meanwhile.
        assert sum(LedgerEntry.objects.filter(asset="ADA").values_list("amount", flat=True)) == 40

    desk.sync()

    assert (desk.order(order).filled, desk.position("ADA").amount) == (D(40), D(40))
    assert sum(LedgerEntry.objects.filter(asset="ADA").values_list("amount", flat=True)) == 40


def test_f35_an_account_whose_apply_breaks_off_is_as_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = desk.buy("100", "1")
    desk.sync()
    desk.engine.fill_order(order.id)

    def break_off(_account: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("portfolios.services.facts.rewrite_reserved", break_off)
        run = desk.sync()

    assert run.status == SyncRun.Status.FAILED
    assert desk.order(order).status == "open"
    assert not LedgerEntry.objects.filter(asset="ADA").exists()


def test_an_order_that_nobody_booked_is_stored_without_an_owner(desk: Desk) -> None:
    desk.sync()
    placed = desk.engine.buy(KEY, "ADA/EUR", "10", "1")

    desk.sync()

    order = desk.order(placed)
    assert (order.external, order.portfolio) == (True, None)


def test_what_an_order_of_nobody_fills_is_expected_at_account_scope(desk: Desk) -> None:
    desk.deposit("EUR", "100")
    desk.sync()
    placed = desk.engine.buy(KEY, "ADA/EUR", "10", "1")
    desk.sync()
    desk.engine.fill_order(placed.id)

    desk.sync()

    assert desk.differences() == []
    assert desk.position("ADA", None).amount == D(10)


def test_an_order_of_nobody_is_claimed_by_the_book_that_names_it(desk: Desk) -> None:
    desk.deposit("EUR", "100")
    desk.sync()
    placed = desk.engine.buy(KEY, "ADA/EUR", "10", "1")
    desk.sync()
    desk.engine.fill_order(placed.id, "4")
    desk.sync()

    desk.note(placed.id, "buy", "10", "1", "ADA/EUR")

    assert desk.position("ADA").amount == D(4)
    assert desk.position("ADA", None).amount == D(0)
    assert desk.position("EUR").amount == D(996)


def test_an_entry_cannot_be_booked_twice(desk: Desk) -> None:
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id)
    desk.sync()

    with posted(desk.account) as journal:
        ledger.book_order(desk.order(order), None, journal)

    assert LedgerEntry.objects.filter(asset="ADA").count() == 1


def test_f50_a_run_keeps_what_it_did_and_what_went_wrong(desk: Desk) -> None:
    desk.note("424242", "buy", "1", "1", "ADA/EUR")
    desk.buy("100", "1")

    run = desk.sync()

    assert (run.trigger, run.status) == (SyncRun.Trigger.CLI, SyncRun.Status.PARTIAL)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.started_at <= run.finished_at
    # The market's symbols, the lists, the order that is denied and the search for it.
    assert (run.http_requests, run.orders_checked, run.orders_changed) == (6, 1, 1)
    [occurrence] = run.occurrences.all()
    assert occurrence.incident.type == "OrderNotFound"
    assert "424242" in occurrence.message
    assert occurrence.trace
