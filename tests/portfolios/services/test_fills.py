"""Fills as they are stored: each once by symbol, side and id, with what is told of it later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Fill,
    LedgerEntry,
    Order,
    Portfolio,
    Position,
    SyncRun,
)
from portfolios.reconciliation.fills import oldest_first
from portfolios.services.asked_orders import known_orders
from portfolios.services.fills import account_fills as by_order
from providers.reports import FeeReport, FillReport, OrderSide
from tests.builders import make_order, make_portfolio
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    fills_leg,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
    stored_facts,
)

D = Decimal
Code = Discrepancy.Code
FEE = (FeeReport("EUR", D("0.1")),)
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open books with an order to buy 10 ADA at 2 EUR."""
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    note_order(opened)
    return opened


def fill(amount: str = "4", price: str = "2", **values: Any) -> FillReport:
    return make_fill_report(amount, price, **{"executed_at": timezone.now()} | values)


def see(account: ExchangeAccount, *fills: FillReport, filled: str = "4") -> None:
    report = make_order_report(filled=D(filled), cost=D(filled) * 2)
    paid = sum((fee.amount for fill in fills for fee in fill.fees), D(0))
    held = balances(EUR=str(100 - 2 * D(filled) - paid), ADA=filled)
    look(account, open_orders(report), account_fills(*fills), held)


def live() -> list[str]:
    found = Discrepancy.objects.filter(state__in=Discrepancy.LIVE)
    return sorted(found.values_list("code", flat=True))


def cash() -> Decimal:
    return Position.objects.get(portfolio__isnull=False, asset="EUR").amount


def test_a_fill_told_by_its_order_and_by_a_whole_list_is_one(account: ExchangeAccount) -> None:
    one = fill()
    report = open_orders(make_order_report(filled=D(4), cost=D(8)))

    look(account, report, fills_leg(one), account_fills(one), balances(EUR="92", ADA="4"))

    assert Fill.objects.count() == 1
    assert (cash(), live()) == (D(92), [])


def test_fills_of_a_list_are_booked_to_their_order_before_it_tells_of_them(
    account: ExchangeAccount,
) -> None:
    stale = make_order_report()

    look(account, open_orders(stale), account_fills(fill()), balances(EUR="92", ADA="4"))

    assert Order.objects.get().filled == D(4)
    assert cash() == D(92)


def test_two_own_orders_that_met_share_a_trade_id_and_are_two_fills(
    account: ExchangeAccount,
) -> None:
    note_order(account, external_id="2", side="sell")
    sold = make_order_report("2", side=OrderSide.SELL, filled=D(4), cost=D(8))
    bought = make_order_report(filled=D(4), cost=D(8))
    both = [fill(), fill(order="2", side=OrderSide.SELL)]

    look(account, open_orders(bought, sold), account_fills(*both), balances(EUR="100", ADA="0"))

    assert Fill.objects.count() == 2
    assert (cash(), live()) == (D(100), [])


def test_one_trade_id_on_two_symbols_is_two_fills(account: ExchangeAccount) -> None:
    note_order(account, external_id="2", symbol="DOT/EUR")
    other = fill(order="2", symbol="DOT/EUR")
    reports = [
        make_order_report(filled=D(4), cost=D(8)),
        make_order_report("2", symbol="DOT/EUR", filled=D(4), cost=D(8)),
    ]

    look(
        account,
        open_orders(*reports),
        account_fills(fill()),
        account_fills(other, symbol="DOT/EUR"),
        balances(EUR="84", ADA="4", DOT="4"),
    )

    assert Fill.objects.count() == 2
    assert live() == []


def test_a_late_fee_is_booked_once(account: ExchangeAccount) -> None:
    see(account, fill())
    see(account, fill(fees=FEE))

    see(account, fill(fees=FEE))

    assert LedgerEntry.objects.get(cause="fee").amount == D("-0.1")
    assert (cash(), live()) == (D("91.9"), [])


def test_a_late_fee_of_a_fill_without_its_order_is_booked_once(account: ExchangeAccount) -> None:
    stray = fill(order="77")
    held = balances(EUR="91.9", ADA="4")
    look(account, open_orders(make_order_report()), account_fills(stray), held)

    for _look in range(2):
        with_fee = account_fills(fill(order="77", fees=FEE))
        look(account, open_orders(make_order_report()), with_fee, held)

    assert LedgerEntry.objects.get(cause="fee").amount == D("-0.1")
    assert Position.objects.get(portfolio=None, asset="EUR").amount == D("-8.1")


def test_a_fee_that_changes_is_a_conflict_and_the_first_counts(account: ExchangeAccount) -> None:
    see(account, fill(fees=FEE))
    before = stored_facts()

    see(account, fill(fees=(FeeReport("EUR", D("0.3")),)))

    assert stored_facts() == before
    assert Code.FILL_CONFLICT in live()


def test_a_fee_that_is_no_longer_told_is_no_conflict(account: ExchangeAccount) -> None:
    see(account, fill(fees=FEE))
    before = stored_facts()

    look(
        account,
        open_orders(make_order_report(filled=D(4), cost=D(8))),
        account_fills(fill()),
        balances(EUR="91.9", ADA="4"),
    )

    assert stored_facts() == before
    assert live() == []


def test_where_fees_are_paid_a_fill_without_one_is_told(account: ExchangeAccount) -> None:
    see(account, fill(fees=FEE), fill(external_id="f-2"), filled="8")

    [missing] = Discrepancy.objects.filter(state__in=Discrepancy.LIVE)
    assert (missing.code, missing.order) == (Code.FEE_MISSING, Order.objects.get())


def test_where_no_fees_are_paid_none_is_missing(account: ExchangeAccount) -> None:
    see(account, fill(), fill(external_id="f-2"), filled="8")

    assert live() == []


def test_strays_are_told_by_order_and_resolved_when_it_is_known(account: ExchangeAccount) -> None:
    strays = [fill("1", order="77", external_id=f"f-{number}") for number in range(3)]
    plain = open_orders(make_order_report())
    look(account, plain, account_fills(*strays), balances(EUR="94", ADA="3"))
    stray = Discrepancy.objects.get(code=Code.FILL_ORPHAN)
    assert stray.exchange == D(3)

    note_order(account, external_id="77", amount="3")
    look(account, plain, account_fills(*strays), balances(EUR="94", ADA="3"))

    stray.refresh_from_db()
    assert stray.state == Discrepancy.State.RESOLVED
    assert cash() == D(94)


def test_a_backtests_order_hides_no_fill_of_its_id(account: ExchangeAccount) -> None:
    backtest = make_portfolio(account, mode=Portfolio.Mode.BACKTEST)
    make_order(backtest, external_id="77", symbol="ADA/EUR")
    stray = fill("1", order="77")

    look(account, open_orders(), account_fills(stray), balances(EUR="98", ADA="1"))

    assert Fill.objects.get().order is None


def test_fills_without_the_id_of_an_order_stay_strays(account: ExchangeAccount) -> None:
    nameless = fill("1", order="", external_id="~abc:1")
    plain = open_orders(make_order_report())

    for _look in range(2):
        look(account, plain, account_fills(nameless), balances(EUR="98", ADA="1"))

    assert Fill.objects.get().order is None
    assert Position.objects.get(portfolio=None, asset="ADA").amount == D(1)


def test_a_fill_that_is_told_with_its_order_later_joins_it(account: ExchangeAccount) -> None:
    executed_at = timezone.now()
    see(account, fill(order="", executed_at=executed_at))

    see(account, fill(executed_at=executed_at))

    assert Fill.objects.get().order == Order.objects.get()
    assert (cash(), live()) == (D(92), [])


def test_a_fill_without_its_order_joins_none_that_has_no_id_yet(db: None) -> None:
    account = make_books()
    look(account, open_orders(), balances(EUR="100"))
    note_order(account, external_id="", client_order_id="sent-1")

    look(account, open_orders(), account_fills(fill(order="")), balances(EUR="92", ADA="4"))

    assert Fill.objects.get().order is None
    assert Order.objects.get().filled == 0


def test_whatever_the_order_of_lists_fills_are_stored_oldest_first(
    account: ExchangeAccount,
) -> None:
    now = timezone.now()
    rows = [
        fill("1", external_id=f"f-{number}", executed_at=now - timedelta(seconds=number))
        for number in range(3)
    ]

    see(account, *rows, filled="3")

    stored = Fill.objects.order_by("pk").values_list("external_id", flat=True)
    assert list(stored) == ["f-2", "f-1", "f-0"]


def test_rows_of_one_moment_have_an_order_of_their_own() -> None:
    now = timezone.now()
    rows = [fill(external_id=name, executed_at=now) for name in ("b", "a", "c")]

    assert oldest_first(rows) == oldest_first(reversed(rows))


def test_a_fill_in_two_lists_counts_once() -> None:
    one = fill()

    assert by_order([account_fills(one), account_fills(one)]) == {"1": [one]}


@pytest.mark.parametrize("order", ["1", "77"])
@pytest.mark.parametrize("is_flipped", [False, True])
def test_one_id_told_in_two_ways_by_one_read_is_a_conflict_and_the_first_by_content_counts(
    account: ExchangeAccount, order: str, is_flipped: bool
) -> None:
    more = fill(order=order)
    rows = [more, replace(more, amount=D(3), cost=D(6))]
    report = make_order_report(filled=D(0))

    told = account_fills(*(reversed(rows) if is_flipped else rows))
    look(account, open_orders(report), told, balances(EUR="94", ADA="3"))

    assert Fill.objects.get().amount == D(3)
    assert Code.FILL_CONFLICT in live()


def test_one_id_told_in_two_ways_by_two_reads_is_one_fill_and_a_conflict(
    account: ExchangeAccount,
) -> None:
    more = fill()
    less = replace(more, amount=D(3), cost=D(6))
    held = balances(EUR="94", ADA="3")

    run = look(
        account, open_orders(make_order_report()), fills_leg(more), account_fills(less), held
    )

    assert run.status == SyncRun.Status.SUCCEEDED
    assert Fill.objects.get().amount == D(3)
    assert Code.FILL_CONFLICT in live()


def test_a_fee_that_only_one_of_two_lists_tells_is_no_conflict(account: ExchangeAccount) -> None:
    plain = fill()
    paid = replace(plain, fees=FEE)
    report = make_order_report(filled=D(4), cost=D(8))

    look(
        account,
        open_orders(report),
        fills_leg(plain),
        account_fills(paid),
        balances(EUR="91.9", ADA="4"),
    )

    assert Fill.objects.get().fees == [{"asset": "EUR", "amount": "0.1"}]
    assert (cash(), live()) == (D("91.9"), [])


def test_a_fill_of_another_symbol_than_the_order_of_its_id_is_an_orphan(
    account: ExchangeAccount,
) -> None:
    other = fill(symbol="DOT/EUR")
    for _look in range(2):
        told = account_fills(other, symbol="DOT/EUR")
        look(account, open_orders(make_order_report()), told, balances(EUR="92", DOT="4"))

    assert Fill.objects.get().order is None
    assert Position.objects.get(portfolio=None, asset="DOT").amount == D(4)
    assert Code.FILL_ORPHAN in live()


def test_the_order_of_such_a_fill_is_asked_for_besides_the_known_one(
    account: ExchangeAccount,
) -> None:
    told = account_fills(fill(symbol="DOT/EUR"), symbol="DOT/EUR")
    look(account, open_orders(make_order_report()), told, balances(EUR="92", DOT="4"))

    asked = [(order.external_id, order.symbol, order.is_open) for order in known_orders(account)]

    assert asked == [("1", "ADA/EUR", True), ("1", "DOT/EUR", False)]


def test_an_order_is_asked_for_a_day_from_when_its_fill_was_first_seen_and_by_three_looks(
    account: ExchangeAccount,
) -> None:
    old = fill(order="2", executed_at=timezone.now() - timedelta(days=3))
    asked = []
    for _look in range(4):
        look(account, open_orders(make_order_report()), account_fills(old), balances(EUR="100"))
        now = [order.external_id for order in known_orders(account)]
        with time_machine.travel(timezone.now() + timedelta(days=1, seconds=1), tick=False):
            asked.append((now, [order.external_id for order in known_orders(account)]))

    both = ["1", "2"]
    assert asked == [(both, both), (both, both), (both, both), (both, ["1"])]
