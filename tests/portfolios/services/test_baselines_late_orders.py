"""What an order had moved before the baseline, and what is told of it only later, is counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.amounts import exact_sum
from portfolios.models import ExchangeAccount, Order
from portfolios.services.effects import expected_totals
from portfolios.services.verification import verify_books
from providers.reports import (
    FeeReport,
    FillReport,
    Leg,
    LegKind,
    OrderReport,
    OrderSide,
    OrderStatus,
)
from tests.builders import make_claim_rule
from tests.portfolios.services.decisions.cases import Kind, do
from tests.portfolios.services.reads import (
    account_fills,
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
    open_orders,
    order_leg,
)

D = Decimal
pytestmark = pytest.mark.django_db
# What the account holds all along.
HELD = {"EUR": D(80), "ADA": D(10)}
BEFORE = timedelta(seconds=90)
UNACKNOWLEDGED = {"external_id": "", "client_order_id": "g-1"}
NAMED = {"external_id": "1", "client_order_id": "g-1"}


def held() -> Leg:
    return balances(EUR="80", ADA="10")


def begin_books(order: dict[str, str] | None, *shown: Leg) -> ExchangeAccount:
    """Take the baseline, which has what was bought by the order, though that is told as `shown` then."""
    opened = make_books(lag_seconds=20)
    if order is not None:
        note_order(opened, **order)
    look(opened, *shown, held())
    assert opened.baseline_at is not None
    return opened


def ended(account: ExchangeAccount) -> OrderReport:
    assert account.baseline_at is not None
    return make_order_report(
        client_order_id="g-1",
        status=OrderStatus.CLOSED,
        raw_status="FILLED",
        filled=D(10),
        cost=D(20),
        updated_at=account.baseline_at - BEFORE,
    )


def filled(account: ExchangeAccount, amount: str, external_id: str, *fees: FeeReport) -> FillReport:
    assert account.baseline_at is not None
    at = account.baseline_at - BEFORE
    return make_fill_report(amount, "2", external_id=external_id, executed_at=at, fees=fees)


def see(account: ExchangeAccount, order: OrderReport, fills: Sequence[FillReport]) -> None:
    look(account, *later([open_orders(), order_leg(order), account_fills(*fills), held()], 60))


@pytest.mark.parametrize("are_fills_listed", [True, False])
@pytest.mark.parametrize(
    ("order", "shown"),
    [
        pytest.param(UNACKNOWLEDGED, [open_orders()], id="found by its client id"),
        pytest.param({}, [open_orders(), *denial()], id="denied"),
        pytest.param({}, [open_orders(make_order_report())], id="shown as it was"),
    ],
)
def test_an_order_that_was_filled_before_the_baseline_and_is_told_later_counts_once(
    order: dict[str, str], shown: Sequence[Leg], are_fills_listed: bool
) -> None:
    opened = begin_books(order, *shown)

    see(opened, ended(opened), [filled(opened, "10", "f-1")] if are_fills_listed else [])

    assert expected_totals(opened) == HELD
    assert opened.positions.get(asset="ADA", portfolio__isnull=False).amount == D(10)
    assert verify_books().difference is None


def test_an_order_whose_id_a_book_tells_after_the_baseline_counts_once_too() -> None:
    opened = begin_books(UNACKNOWLEDGED, open_orders())
    note_order(opened, **NAMED)

    see(opened, ended(opened), [filled(opened, "10", "f-1")])

    assert Order.objects.count() == 1
    assert expected_totals(opened) == HELD


@pytest.mark.parametrize("is_claimed", [False, True])
def test_an_order_of_nobody_that_was_shown_as_it_had_been_counts_once(is_claimed: bool) -> None:
    opened = begin_books(None, open_orders(make_order_report()))

    see(opened, ended(opened), [filled(opened, "10", "f-1")])
    if is_claimed:
        note_order(opened)

    assert expected_totals(opened) == HELD
    assert verify_books().difference is None


def test_what_a_book_counts_of_an_order_of_nobody_stays_with_nobody() -> None:
    opened = begin_books(None, open_orders(make_order_report()))
    assert opened.baseline_at is not None
    after = opened.baseline_at + timedelta(seconds=40)
    fill = make_fill_report("4", "2", external_id="f-1", executed_at=after)
    begun = make_order_report(filled=D(4), cost=D(8))
    look(
        opened, *later([open_orders(begun), account_fills(fill), balances(EUR="72", ADA="14")], 60)
    )
    note_order(opened, filled="4")

    look(
        opened, *later([open_orders(begun), account_fills(fill), balances(EUR="72", ADA="14")], 90)
    )

    assert expected_totals(opened) == {"EUR": D(72), "ADA": D(14)}
    assert verify_books().difference is None


def test_an_order_that_is_released_gives_back_what_its_portfolio_had_by_the_baseline() -> None:
    opened = make_books(lag_seconds=20)
    make_claim_rule(opened.portfolios.get())
    look(opened, open_orders(make_order_report()), failed(LegKind.BALANCES))
    long_ago = timezone.now() - BEFORE
    fill = make_fill_report("10", "2", executed_at=long_ago)
    end = make_order_report(status=OrderStatus.CLOSED, filled=D(10), cost=D(20))
    look(opened, open_orders(), order_leg(end), fills_leg(fill), held())

    do(opened, Kind.RELEASE_ORDER, order=Order.objects.get().pk)

    assert expected_totals(opened) == HELD
    assert verify_books().difference is None


def test_what_was_booked_by_the_baseline_is_not_taken_out_of_it() -> None:
    begun = make_order_report(filled=D(4), cost=D(8))
    opened = begin_books({}, open_orders(begun))

    see(opened, ended(opened), [filled(opened, "4", "f-1"), filled(opened, "6", "f-2")])

    assert expected_totals(opened) == HELD
    assert verify_books().difference is None


def test_a_fee_of_before_the_baseline_that_is_told_later_counts_once() -> None:
    opened = begin_books({}, open_orders(make_order_report(filled=D(4), cost=D(8))))
    fee = FeeReport("EUR", D("0.5"))

    see(opened, ended(opened), [filled(opened, "10", "f-1", fee)])

    assert expected_totals(opened) == HELD
    assert verify_books().difference is None


def test_a_fee_that_was_booked_by_the_baseline_stays_though_no_fill_tells_it() -> None:
    fee = FeeReport("EUR", D("0.1"))
    begun = make_order_report(filled=D(4), cost=D(8), fees=(fee,))
    opened = begin_books({}, open_orders(begun))

    look(
        opened, *later([open_orders(begun), account_fills(filled(opened, "4", "f-1")), held()], 60)
    )

    assert expected_totals(opened) == HELD


def test_a_rebate_that_was_booked_by_the_baseline_makes_no_later_fee_one_of_before() -> None:
    rebated = make_order_report(filled=D(4), cost=D(8), fees=(FeeReport("EUR", D("-0.2")),))
    opened = begin_books({}, open_orders(rebated))
    assert opened.baseline_at is not None
    after = opened.baseline_at + timedelta(seconds=40)
    fees = (FeeReport("EUR", D("0.1")),)
    fill = make_fill_report("1", "2", external_id="f-2", executed_at=after, fees=fees)
    charged = make_order_report(filled=D(5), cost=D(10), fees=(FeeReport("EUR", D("0.3")),))

    look(opened, *later([open_orders(charged), account_fills(fill), held()], 60))

    assert not opened.ledger_entries.filter(key__startswith="before:").exists()


# --- what a book counts since the baseline, of an order that nobody claimed then ------------------


def seen_at_the_baseline(**order: Any) -> ExchangeAccount:
    opened = make_books()
    report = make_order_report("7", created_at=timezone.now(), **order)
    look(opened, balances(EUR="100", ADA="20"), open_orders(report))
    return opened


def total(account: ExchangeAccount) -> dict[str, Decimal]:
    held = account.ledger_entries.values_list("asset", "amount")
    return {asset: exact_sum(x for each, x in held if each == asset) for asset in ("ADA", "EUR")}


def test_what_was_filled_since_and_a_book_counts_is_booked_when_its_fill_is_told() -> None:
    order = {"amount": D(6), "price": D(3)}
    account = seen_at_the_baseline(**order)
    bought = make_fill_report("6", "3", order="7", external_id="f-7", executed_at=timezone.now())
    note_order(account, external_id="7", amount="6", price="3", filled="6")
    done = make_order_report("7", **order, filled=D(6), cost=D(18), status=OrderStatus.CLOSED)

    for _look in range(2):
        held = balances(EUR="82", ADA="26")
        look(account, held, open_orders(), order_leg(done), account_fills(bought))
        assert total(account) == {"ADA": D(26), "EUR": D(82)}
    assert verify_books().difference is None


def test_a_late_fee_of_what_a_book_counts_is_booked() -> None:
    order = {"side": OrderSide.SELL, "amount": D(16)}
    account = seen_at_the_baseline(**order)
    sold = make_fill_report("16", "2", order="7", side=OrderSide.SELL, executed_at=timezone.now())
    done = make_order_report("7", **order, filled=D(16), cost=D(32), status=OrderStatus.CLOSED)
    held = balances(EUR="131.992", ADA="4")
    look(account, held, open_orders(), order_leg(done), account_fills(sold))
    note_order(account, external_id="7", side="sell", amount="16", price="2", filled="16")

    told = replace(sold, fees=(FeeReport("EUR", D("0.008")),))
    for _look in range(2):
        look(account, held, open_orders(), order_leg(done), account_fills(told))
        assert total(account) == {"ADA": D(4), "EUR": D("131.992")}
    assert verify_books().difference is None


def test_a_late_rebate_of_before_is_taken_out_in_full_whatever_fee_was_paid_since() -> None:
    account = make_books()
    began = timezone.now() - timedelta(hours=1)
    note_order(account, external_id="7", amount="16", price="1", created_at=began.isoformat())
    terms = {"amount": D(16), "price": D(1), "created_at": began}
    first = make_fill_report(
        "11", "1", order="7", external_id="f-1", executed_at=began + timedelta(minutes=1)
    )
    part = make_order_report("7", **terms, filled=D(11), cost=D(11))
    look(account, balances(EUR="89.008", ADA="11"), open_orders(part), fills_leg(first))
    fee = (FeeReport("EUR", D("0.005")),)
    second = make_fill_report(
        "5", "1", order="7", external_id="f-2", executed_at=timezone.now(), fees=fee
    )
    done = make_order_report("7", **terms, filled=D(16), cost=D(16), status=OrderStatus.CLOSED)
    held = balances(EUR="84.003", ADA="16")
    look(account, held, open_orders(), order_leg(done), account_fills(first, second))

    told = replace(first, fees=(FeeReport("EUR", D("-0.008")),))
    for _look in range(2):
        look(account, held, open_orders(), order_leg(done), account_fills(told, second))
        assert total(account) == {"ADA": D(16), "EUR": D("84.003")}
    assert verify_books().difference is None


# --- of which some old fills are never listed -----------------------------------------------------


@pytest.mark.parametrize("how", ["read", "gap", "claim", "release"])
def test_a_new_fill_is_none_of_the_old_ones_that_are_not_listed(how: str) -> None:
    account, began = make_books(), timezone.now() - timedelta(hours=1)
    terms = {"amount": D(3), "price": D(1), "created_at": began}
    old = make_fill_report(
        "0.7",
        "1",
        order="7",
        external_id="f-old",
        executed_at=began + timedelta(minutes=2),
        fees=(FeeReport("EUR", D("0.004")),),
    )
    then = make_order_report("7", **terms, filled=D("1.7"), cost=D("1.7"))
    look(account, balances(EUR="100", ADA="1.7"), open_orders(then), fills_leg(old))
    now = timezone.now()
    fee = (FeeReport("EUR", D("0.001")),)
    new = make_fill_report("0.12", "1", order="7", external_id="f-new", executed_at=now, fees=fee)
    told = make_order_report("7", **terms, filled=D("1.82"), cost=D("1.82"), updated_at=now)
    held = balances(EUR="99.879", ADA="1.82")
    if how != "read":
        look(account, held, open_orders(told), failed(LegKind.FILLS, subject="7"))
    if how in ("claim", "release"):
        order = Order.objects.get()
        do(account, Kind.CLAIM_ORDER, order=order.pk, portfolio=account.portfolios.get().pk)
        if how == "release":
            do(account, Kind.RELEASE_ORDER, order=order.pk)

    for _look in range(3):
        look(account, held, open_orders(told), fills_leg(old, new), account_fills(old, new))

    assert total(account) == {"ADA": D("1.82"), "EUR": D("99.879")}
    assert verify_books().difference is None


def test_what_was_taken_for_old_until_its_fill_was_told_is_given_back_to_the_unassigned_part() -> (
    None
):
    account, began = make_books(), timezone.now()
    terms = {"amount": D(14), "price": D(2), "created_at": began}
    look(account, balances(EUR="100"), open_orders(make_order_report("7", **terms, filled=None)))
    bought = make_fill_report("8.4", "2", order="7", external_id="f-7", executed_at=timezone.now())
    held = balances(EUR="83.2", ADA="8.4")
    told = make_order_report("7", **terms, filled=D("8.4"), cost=D("16.8"))
    look(account, held, open_orders(told))
    note_order(account, external_id="7", amount="14", price="2")
    ended_now = replace(told, status=OrderStatus.CANCELED)

    for _look in range(3):
        look(account, held, open_orders(), order_leg(ended_now), account_fills(bought))

    assert total(account) == {"ADA": D("8.4"), "EUR": D("83.2")}
    assert verify_books().difference is None


def test_what_the_baseline_was_taken_to_hold_is_booked_as_soon_as_that_is_known_to_be_wrong() -> (
    None
):
    account, began = make_books(), timezone.now()
    terms = {"amount": D(10), "price": D(2), "created_at": began}
    untold = make_order_report("7", **terms, filled=None)
    look(account, balances(EUR="100"), open_orders(untold))
    bought = make_fill_report("10", "2", order="7", external_id="f-7", executed_at=timezone.now())
    held, ended_now = balances(EUR="80", ADA="10"), replace(untold, status=OrderStatus.CLOSED)

    look(account, held, open_orders(), order_leg(ended_now), account_fills(bought))
    # Of the order nothing is told any more, and of its fill nothing new.
    look(account, held, open_orders(), account_fills(bought))

    assert total(account) == {"ADA": D(10), "EUR": D(80)}
    assert verify_books().difference is None
