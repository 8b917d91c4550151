"""Open scenarios F01 to F03 and F09 to F14: fills, each booked once whoever told of it.

F04 to F08, of how far lists were read, are in `test_coverage`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Fill,
    LedgerEntry,
    Order,
    Position,
)
from portfolios.models.choices import Verdict
from portfolios.services.book import import_book
from providers.reports import BalanceReport, FeeReport, FillReport, LegKind, OrderStatus
from providers.sandbox.books import Fee
from providers.sandbox.faults import DistortionKind, Fault
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    failed,
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


def fill_now(amount: str, price: str, **fill: Any) -> FillReport:
    return make_fill_report(amount, price, executed_at=timezone.now(), **fill)


def codes(account: ExchangeAccount) -> dict[str, str]:
    live = account.discrepancies.filter(state__in=Discrepancy.LIVE)
    return dict(live.values_list("code", "state"))


def unassigned(asset: str) -> Decimal:
    return Position.objects.get(portfolio=None, asset=asset).amount


def verdicts() -> set[str]:
    return set(AssetBalance.objects.values_list("verdict", flat=True))


def read_everything(desk: Desk) -> None:
    """Let the next sync read fills and flows, as it does at least hourly."""
    two_hours_ago = timezone.now() - timedelta(hours=2)
    ExchangeAccount.objects.update(full_read_at=two_hours_ago)
    desk.sync()


def test_f01_the_same_fills_ten_times_change_nothing(account: ExchangeAccount) -> None:
    note_order(account)
    fill, stray = fill_now("4", "2"), fill_now("1", "2", order="77", external_id="f-2")
    legs = [
        open_orders(make_order_report(filled=D(4), cost=D(8))),
        balances(EUR="90", ADA="5"),
        fills_leg(fill),
        account_fills(fill, stray),
    ]
    look(account, *legs)
    before = stored_facts()

    for _replay in range(10):
        look(account, *legs)

    assert stored_facts() == before
    assert Fill.objects.count() == 2


def orphaned(account: ExchangeAccount) -> FillReport:
    """Buy 4 ADA at 2 EUR by an order that nobody knows."""
    stray = fill_now("4", "2", order="77", fees=(FeeReport("EUR", D("0.5")),))
    look(account, open_orders(), balances(EUR="91.5", ADA="4"), account_fills(stray))
    return stray


def test_f02_a_fill_without_its_order_counts_for_the_account(account: ExchangeAccount) -> None:
    orphaned(account)

    assert (unassigned("ADA"), unassigned("EUR")) == (D(4), D("-8.5"))
    assert Fill.objects.get().order is None
    assert verdicts() == {Verdict.VERIFIED}
    assert Code.FILL_ORPHAN in codes(account)


def test_f02_it_joins_its_order_when_that_is_read_and_counts_once(
    account: ExchangeAccount,
) -> None:
    stray = orphaned(account)
    cost, fees = stray.cost, stray.fees
    closed = make_order_report(
        "77",
        status=OrderStatus.CLOSED,
        amount=D(4),
        filled=D(4),
        cost=cost,
        fees=fees,
        created_at=timezone.now(),
    )

    look(account, open_orders(), order_leg(closed), balances(EUR="91.5", ADA="4"))

    assert Fill.objects.get().order == Order.objects.get()
    assert (unassigned("ADA"), unassigned("EUR")) == (D(4), D("-8.5"))
    assert verdicts() == {Verdict.VERIFIED}
    assert Code.FILL_ORPHAN not in codes(account)


def test_f02_it_joins_the_order_of_a_book_and_leaves_the_unassigned_part(
    account: ExchangeAccount,
) -> None:
    stray = orphaned(account)
    note_order(account, external_id="77", amount="4")

    look(account, open_orders(), balances(EUR="91.5", ADA="4"), account_fills(stray))

    assert (unassigned("ADA"), unassigned("EUR")) == (D(0), D(0))
    owned = Position.objects.filter(portfolio__isnull=False)
    assert dict(owned.values_list("asset", "amount")) == {"ADA": D(4), "EUR": D("91.5")}
    assert verdicts() == {Verdict.VERIFIED}


def test_f02_a_fill_whose_order_the_exchange_forgot_is_booked(trader: Desk) -> None:
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5")
    trader.engine.fill_order(placed.id)
    trader.engine.forget_order(placed.id)

    trader.sync()

    assert (trader.position("ADA", None).amount, trader.position("EUR", None).amount) == (
        D(10),
        D(50),
    )
    assert {row.code for row in trader.differences()} == {Code.FILL_ORPHAN}


def test_f03_a_fill_told_with_another_price_is_a_conflict_and_the_first_counts(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    report = open_orders(make_order_report(filled=D(4), cost=D(8)))
    told = fills_leg(fill_now("4", "2"))
    held = balances(EUR=BalanceReport("EUR", D(80), D(12), D(92)), ADA="4")
    look(account, report, told, held)
    before = stored_facts()

    other = fill_now("4", "2.5")
    look(account, report, account_fills(other), held)

    assert stored_facts() == before
    assert codes(account) == {Code.FILL_CONFLICT: State.OPEN}


def test_f09_a_late_fee_is_missing_first_and_booked_once_when_it_comes(trader: Desk) -> None:
    first = trader.buy("1", "10")
    trader.engine.fill_order(first.id, fee=Fee("EUR", D("0.1")))
    trader.sync()
    trader.server.faults.append(Fault(DistortionKind.NO_FEE))
    second = trader.buy("1", "10")
    trader.engine.fill_order(second.id, fee=Fee("EUR", D("0.2")))
    trader.sync()
    missing = {row.code for row in trader.differences()}
    trader.server.faults.clear()

    read_everything(trader)
    read_everything(trader)

    assert Code.FEE_MISSING in missing
    charged = LedgerEntry.objects.filter(cause="fee", order=trader.order(second))
    assert charged.get().amount == D("-0.2")
    assert trader.differences() == []


def test_f10_a_rebate_raises_the_balance(trader: Desk) -> None:
    order = trader.buy("1", "100")
    trader.engine.fill_order(order.id, fee=Fee("EUR", D("-0.0001")))

    trader.sync()

    assert trader.unallocated() == D("900.0001")
    assert trader.differences() == []


def test_f11_a_fee_in_the_bought_asset_lowers_what_was_bought(trader: Desk) -> None:
    order = trader.buy("1", "100", "BTC/EUR")
    trader.engine.fill_order(order.id, fee=Fee("BTC", D("0.001")))

    trader.sync()

    assert trader.position("BTC").amount == D("0.999")
    assert trader.differences() == []


def test_f12_a_fill_from_before_the_baseline_is_stored_and_not_booked(
    account: ExchangeAccount,
) -> None:
    before = stored_facts()
    assert account.baseline_at is not None
    old = make_fill_report(
        "4", "2", order="77", executed_at=account.baseline_at - timedelta(minutes=1)
    )

    look(account, open_orders(), balances(EUR="100"), account_fills(old))

    assert Fill.objects.get().external_id == old.external_id
    assert stored_facts()["LedgerEntry"] == before["LedgerEntry"]
    assert verdicts() == {Verdict.VERIFIED}


def test_f12_nor_is_it_booked_when_its_order_is_told_too(account: ExchangeAccount) -> None:
    entries = LedgerEntry.objects.count()
    assert account.baseline_at is not None
    earlier = account.baseline_at - timedelta(minutes=1)
    old = make_fill_report("4", "2", order="77", executed_at=earlier)
    closed = make_order_report(
        "77",
        status=OrderStatus.CLOSED,
        amount=D(4),
        filled=D(4),
        cost=D(8),
        created_at=earlier,
    )

    look(account, open_orders(), balances(EUR="100"), account_fills(old), order_leg(closed))

    assert Fill.objects.get().order == Order.objects.get()
    assert LedgerEntry.objects.count() == entries
    assert verdicts() == {Verdict.VERIFIED}


def test_f13_a_position_older_than_any_list_is_taken_from_the_first_look(desk: Desk) -> None:
    desk.open_portfolio("1000")
    desk.deposit("EUR", "1000")
    desk.deposit("ADA", "70")
    row = {"portfolio": "alpha", "asset": "ADA", "amount": "50", "cost": "25"}
    import_book({"positions": [row]})

    desk.sync()

    causes = {(x.asset, x.cause, x.amount) for x in LedgerEntry.objects.all()}
    assert causes == {
        ("ADA", "opening", D(50)),
        ("ADA", "baseline", D(20)),
        ("EUR", "opening", D(1000)),
    }
    assert not Fill.objects.exists()
    assert desk.differences() == []


def test_f14_fills_that_come_after_the_amount_replace_what_was_reckoned_from_it(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    ended = make_order_report(
        status=OrderStatus.CLOSED, filled=D(10), cost=D(20), created_at=timezone.now()
    )
    unread = failed(LegKind.FILLS, subject="1")
    look(account, open_orders(), order_leg(ended), unread, balances(EUR="79.9", ADA="10"))
    assert Position.objects.get(portfolio__isnull=False, asset="ADA").amount == D(10)

    fee = FeeReport("EUR", D("0.1"))
    fills = [
        fill_now("4", "1.5", fees=(fee,)),
        fill_now("6", "2", external_id="f-2"),
    ]
    told = replace(ended, cost=D(18))
    look(account, open_orders(), order_leg(told), fills_leg(*fills), balances(EUR="81.9", ADA="10"))

    owned = Position.objects.filter(portfolio__isnull=False)
    assert dict(owned.values_list("asset", "amount")) == {"ADA": D(10), "EUR": D("81.9")}
    assert verdicts() == {Verdict.VERIFIED}


@pytest.mark.parametrize("times", [1, 3])
def test_f14_the_gap_is_told_until_the_fills_are_read(account: ExchangeAccount, times: int) -> None:
    note_order(account)
    ended = make_order_report(status=OrderStatus.CLOSED, filled=D(10), cost=D(20))
    for _look in range(times):
        unread = failed(LegKind.FILLS, subject="1")
        look(account, open_orders(), order_leg(ended), unread, balances(EUR="80", ADA="10"))
    assert Code.ORDER_FILLS_INCOMPLETE in codes(account)

    told = fills_leg(fill_now("10", "2"))
    look(account, open_orders(), order_leg(ended), told, balances(EUR="80", ADA="10"))

    assert codes(account) == {}
