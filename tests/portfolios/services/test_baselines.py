"""The baseline was a read like any other: a later look proves which of the trades about its time it contains."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portfolios.models import ExchangeAccount, LedgerEntry
from portfolios.models.choices import Verdict
from portfolios.services.effects import expected_totals
from portfolios.services.verification import verify_books
from providers.reports import FeeReport, FillReport, FlowReport, Leg, OrderStatus
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    fills_leg,
    flows_leg,
    later,
    look,
    make_books,
    make_fill_report,
    make_flow_report,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
)

D = Decimal
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open the books of an account that shows an order of 10 ADA as open, then a balance that has them already."""
    opened = make_books(lag_seconds=20)
    note_order(opened)
    look(opened, open_orders(make_order_report()), balances(EUR="80", ADA="10"))
    return opened


def fill(seconds: float) -> FillReport:
    """Report the order as filled at so many seconds from the baseline."""
    baseline_at = ExchangeAccount.objects.get().baseline_at
    assert baseline_at is not None
    return make_fill_report("10", "2", executed_at=baseline_at + timedelta(seconds=seconds))


def see(account: ExchangeAccount, *fills: FillReport, flow: FlowReport | None = None) -> None:
    """Look a minute later, when the balances are as they were."""
    flows = (flow,) if flow else ()
    held = balances(EUR="80", ADA="10")
    legs: list[Leg] = [open_orders(), held, account_fills(*fills), flows_leg(*flows)]
    if fills:
        ended = make_order_report(status=OrderStatus.CLOSED, raw_status="FILLED", filled=D(10))
        legs += [order_leg(ended), fills_leg(*fills)]
    else:
        legs[0] = open_orders(make_order_report())
    look(account, *later(legs, 60))


def outcome(account: ExchangeAccount) -> dict[str, Any]:
    agreed = {row.verdict for row in account.balances.all()} == {Verdict.VERIFIED}
    is_settled = account.baseline_settled_at is not None
    return {"agreed": agreed, "settled": is_settled, "expected": expected_totals(account)}


HELD = {"agreed": True, "settled": True, "expected": {"EUR": D(80), "ADA": D(10)}}


@pytest.mark.parametrize("seconds", [-0.1, 0.1, 4])
def test_a_fill_that_the_baseline_contains_and_that_is_told_later_counts_once(
    account: ExchangeAccount, seconds: float
) -> None:
    see(account, fill(seconds))

    assert outcome(account) == HELD


def test_fills_that_the_baseline_contains_count_once_although_one_brought_a_rebate() -> None:
    opened = make_books(lag_seconds=20)
    note_order(opened)
    held = balances(EUR="80", ADA="10", BNB="7")
    look(opened, open_orders(make_order_report()), held)
    at = opened.baseline_at
    fills = [
        make_fill_report(
            amount, "2", external_id=fee, executed_at=at, fees=(FeeReport("BNB", D(fee)),)
        )
        for amount, fee in (("5", "-1"), ("3", "3"), ("2", "2.5"))
    ]
    ended = make_order_report(status=OrderStatus.CLOSED, raw_status="FILLED", filled=D(10))
    lists = [account_fills(*fills), flows_leg(), order_leg(ended), fills_leg(*fills)]

    look(opened, *later([open_orders(), held, *lists], 60))

    assert outcome(opened) == HELD | {"expected": {"EUR": D(80), "ADA": D(10), "BNB": D(7)}}


def test_a_fill_that_the_baseline_was_behind_counts_although_its_order_was_filled_on() -> None:
    opened = make_books(lag_seconds=20)
    note_order(opened)
    at = timezone.now() - timedelta(seconds=0.1)
    first = make_fill_report("4", "2", executed_at=at)
    part = make_order_report(filled=D(4))
    look(opened, open_orders(part), balances(EUR="100"), order_leg(part), fills_leg(first))
    second = make_fill_report("6", "2", external_id="f-2", executed_at=at + timedelta(seconds=30))

    see(opened, first, second)

    assert outcome(opened) == HELD


def test_what_the_baseline_contains_of_an_order_stays_booked_in_its_portfolio(
    account: ExchangeAccount,
) -> None:
    see(account, fill(-0.1))

    assert account.portfolios.get().positions.get(asset="ADA").amount == D(10)
    assert account.positions.get(portfolio=None, asset="ADA").amount == D(0)


def test_a_deposit_that_the_baseline_contains_counts_once_though_the_clocks_differ(
    account: ExchangeAccount,
) -> None:
    assert account.baseline_at is not None
    at = account.baseline_at + timedelta(seconds=1)

    see(account, flow=make_flow_report("80", occurred_at=at, settled_at=at))

    assert outcome(account) == HELD


def test_the_first_look_that_can_tell_proves_the_baseline_even_after_days(
    account: ExchangeAccount,
) -> None:
    days_ago = timezone.now() - timedelta(days=2)
    ExchangeAccount.objects.update(baseline_booked_at=days_ago)
    account.refresh_from_db()

    see(account, fill(0.1))

    assert outcome(account) == HELD


def see_drifted(account: ExchangeAccount, eur: str, ada: str) -> None:
    """Look when the fill of the baseline's time is told and the balances are other ones, and after an hour again."""
    told = fill(0.1)
    ended = make_order_report(status=OrderStatus.CLOSED, raw_status="FILLED", filled=D(10))
    legs = [open_orders(), balances(EUR=eur, ADA=ada), account_fills(told), flows_leg()]
    look(account, *later([*legs, order_leg(ended), fills_leg(told)], 60))
    ExchangeAccount.objects.update(baseline_booked_at=timezone.now() - timedelta(minutes=61))
    account.refresh_from_db()
    look(account, *later(legs, 120))


def test_what_moved_without_a_record_hides_no_trade_that_the_baseline_contains(
    account: ExchangeAccount,
) -> None:
    see_drifted(account, "93", "10")

    assert outcome(account) == HELD | {"agreed": False}


def test_what_moved_in_both_assets_of_a_trade_proves_nothing_of_the_baseline(
    account: ExchangeAccount,
) -> None:
    see_drifted(account, "93", "11")

    assert outcome(account)["expected"] == {"EUR": D(60), "ADA": D(20)}


def test_a_difference_that_no_look_saw_before_may_be_a_fee_that_is_told_late(
    account: ExchangeAccount,
) -> None:
    ExchangeAccount.objects.update(baseline_booked_at=timezone.now() - timedelta(minutes=61))
    account.refresh_from_db()
    ended = make_order_report("9", status=OrderStatus.CLOSED, raw_status="FILLED", filled=D(10))
    untold = replace(fill(-0.1), order_external_id="9", external_id="f-9")
    charged = replace(untold, fees=(FeeReport("EUR", D("0.5")),))
    for seconds, told in ((60, untold), (120, charged)):
        legs = [open_orders(make_order_report()), balances(EUR="59.5", ADA="20"), flows_leg()]
        legs += [order_leg(ended), account_fills(told), fills_leg(told)]
        look(account, *later(legs, seconds))

    assert outcome(account)["expected"] == {"EUR": D("59.5"), "ADA": D(20)}


def test_a_fill_from_long_after_the_baseline_corrects_nothing(account: ExchangeAccount) -> None:
    see(account, fill(30))

    settled = LedgerEntry.objects.filter(key__contains=":settled:")
    assert not settled.exists()


def test_an_order_that_joins_at_the_very_moment_of_the_baseline_is_not_counted_twice() -> None:
    opened = make_books()
    look(opened, open_orders(), balances(EUR="80", ADA="10"))
    assert opened.baseline_booked_at is not None
    with time_machine.travel(opened.baseline_booked_at, tick=False):
        note_order(opened)

    see(opened, fill(-90))

    assert outcome(opened)["expected"] == HELD["expected"]


def test_a_clock_that_was_behind_when_the_books_began_makes_no_opening_later_than_them() -> None:
    opened = make_books("behind", {"ADA": "10"})
    with time_machine.travel(timezone.now() - timedelta(minutes=5)):
        look(opened, open_orders(), balances(EUR="80", ADA="10"))

    assert verify_books().difference is None


def test_lists_that_tell_nothing_prove_the_baseline_at_the_second_look_only(
    account: ExchangeAccount,
) -> None:
    told_until = timezone.now() + timedelta(minutes=1)
    lists = [account_fills(until=told_until), flows_leg(until=told_until)]
    settled = []
    for seconds in (60, 120):
        look(account, *later([open_orders(), balances(EUR="80", ADA="10"), *lists], seconds))
        account.refresh_from_db()
        settled.append(account.baseline_settled_at is not None)

    assert settled == [False, True]


def clocked(offset: float) -> list[Leg]:
    """Read an account whose exchange's clock is so many seconds from the host's."""
    return [replace(leg, clock_offset=offset) for leg in (open_orders(), balances(EUR="80"))]


@pytest.mark.parametrize(
    ("offsets", "is_taken"),
    [
        ([4.0], True),
        ([600.0], False),
        ([600.0, 598.0], True),
        ([600.0, 0.0], True),
        ([600.0, -300.0], False),
        ([600.0, -300.0, -300.0], True),
    ],
)
def test_a_clock_that_is_far_off_is_believed_at_the_second_look(
    db: None, offsets: list[float], *, is_taken: bool
) -> None:
    new = make_books()
    for offset in offsets:
        look(new, *clocked(offset))

    assert (new.baseline_at is not None) is is_taken


def test_a_clock_that_is_not_believed_is_told(db: None) -> None:
    run = look(make_books(), *clocked(600.0))

    incident = run.account.incidents.get()
    assert (run.status, incident.category) == ("partial", "clock")
    assert "+600 s from this host's" in incident.message
