"""How far lists were read: cursors follow whole reads only, and go back to what is still to be completed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Flow, ReadCursor
from portfolios.services import facts
from portfolios.services.cursors import LONGEST_WAY, cursors, overlap
from providers.reports import (
    FeeReport,
    FillReport,
    FlowKind,
    FlowSource,
    FlowStatus,
    Leg,
    LegKind,
)
from tests.builders import make_account, make_discrepancy
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    flows_leg,
    look,
    make_books,
    make_fill_report,
    make_flow_report,
    note_order,
    open_orders,
    unsupported,
)

D = Decimal
Code = Discrepancy.Code
HOUR = timedelta(hours=1)
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    return opened


def read(account: ExchangeAccount, *legs: Leg, **totals: Any) -> None:
    look(account, open_orders(), balances(**{"EUR": "100"} | totals), *legs)


def reached(kind: LegKind = LegKind.ACCOUNT_FILLS) -> datetime | None:
    cursor = ReadCursor.objects.filter(kind=kind).first()
    return cursor.covered_until if cursor else None


def asked_from(account: ExchangeAccount, kind: LegKind) -> datetime:
    read_before = account.cursors.get(kind=kind).subject
    asked = {(x.kind, x.subject): x for x in cursors(account, timezone.now())}
    return asked[kind, read_before].covered_until


def test_a_whole_read_since_the_baseline_sets_the_cursor(account: ExchangeAccount) -> None:
    leg = account_fills(make_fill_report("1", "2"))

    read(account, leg)

    assert reached() == leg.until


def test_a_read_that_begins_after_the_baseline_sets_none(account: ExchangeAccount) -> None:
    now = timezone.now()

    read(account, account_fills(since=now, until=now + HOUR))

    assert reached() is None


def test_a_read_that_begins_after_the_cursor_does_not_move_it(account: ExchangeAccount) -> None:
    first = account_fills(make_fill_report("1", "2"))
    read(account, first)
    assert first.until is not None

    gap = timedelta(microseconds=1)
    read(account, account_fills(since=first.until + gap, until=first.until + HOUR))

    assert reached() == first.until


def test_a_read_that_begins_at_the_cursor_moves_it(account: ExchangeAccount) -> None:
    first = account_fills(make_fill_report("1", "2"))
    read(account, first)
    assert first.until is not None

    last = make_fill_report("1", "2", external_id="f-2")
    read(account, account_fills(last, since=first.until, until=first.until + HOUR))

    assert reached() == first.until + HOUR


def test_an_older_read_does_not_set_the_cursor_back(account: ExchangeAccount) -> None:
    first = account_fills(make_fill_report("1", "2"))
    read(account, first)
    assert first.until is not None

    read(account, account_fills(until=first.until - HOUR))

    assert reached() == first.until


def test_a_list_that_is_told_empty_moves_the_cursor_at_the_second_look(
    account: ExchangeAccount,
) -> None:
    first, second = account_fills(), account_fills(until=timezone.now() + HOUR)
    read(account, first)
    begun = reached()

    read(account, second)

    assert (begun, reached()) == (account.baseline_at, first.until)


def test_what_an_empty_list_left_out_is_asked_for_at_the_next_look(
    account: ExchangeAccount,
) -> None:
    first = account_fills(make_fill_report("1", "2"))
    read(account, first)
    assert first.until is not None

    read(account, account_fills(since=first.until, until=first.until + HOUR))

    assert asked_from(account, LegKind.ACCOUNT_FILLS) <= first.until


def test_a_list_that_the_market_does_not_have_sets_no_cursor(account: ExchangeAccount) -> None:
    read(account, unsupported(LegKind.FLOWS, subject=FlowSource.DEPOSITS))

    assert reached(LegKind.FLOWS) is None


def test_flows_and_their_cursor_are_stored_together_or_not_at_all(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_account: ExchangeAccount) -> None:
        assert reached(LegKind.FLOWS) is not None
        raise ValueError("crashed after the cursor moved")

    monkeypatch.setattr(facts, "rewrite_reserved", crash)
    read(account, flows_leg(make_flow_report("25")), EUR="125")

    assert (reached(LegKind.FLOWS), Flow.objects.count()) == (None, 0)


def test_a_movement_on_its_way_is_asked_for_again_until_it_ends(account: ExchangeAccount) -> None:
    asked_at = timezone.now() - timedelta(minutes=1)
    pending = make_flow_report(
        "25", status=FlowStatus.PENDING, occurred_at=asked_at, settled_at=None
    )
    read(account, flows_leg(pending))
    assert asked_from(account, LegKind.FLOWS) == asked_at

    done = flows_leg(make_flow_report("25", occurred_at=asked_at))
    read(account, done, EUR="125")

    assert asked_from(account, LegKind.FLOWS) == done.until


def test_a_movement_on_its_way_that_is_told_without_its_time_may_have_been_so_for_long(
    account: ExchangeAccount,
) -> None:
    timeless: dict[str, Any] = {
        "status": FlowStatus.PENDING,
        "occurred_at": None,
        "settled_at": None,
    }
    read(account, flows_leg(make_flow_report("25", **timeless)))

    asked = asked_from(account, LegKind.FLOWS)

    assert asked is not None
    assert timezone.now() - asked >= LONGEST_WAY


@pytest.mark.parametrize(
    ("hours_ago", "fee", "is_asked_for"), [(1, None, True), (1, "0.5", False), (25, None, False)]
)
def test_a_withdrawal_without_its_fee_is_asked_for_again_for_a_day(
    account: ExchangeAccount, hours_ago: int, fee: str | None, *, is_asked_for: bool
) -> None:
    left_at = timezone.now() - hours_ago * HOUR
    gone = make_flow_report(
        "-25",
        kind=FlowKind.WITHDRAWAL,
        fees=() if fee is None else (FeeReport("EUR", D(fee)),),
        occurred_at=left_at - timedelta(minutes=5),
        settled_at=left_at,
    )
    leg = flows_leg(gone)

    read(account, leg)

    expected = gone.occurred_at if is_asked_for else leg.until
    assert asked_from(account, LegKind.FLOWS) == expected


@pytest.mark.parametrize(("hours_ago", "expected"), [(3, 1), (0.5, 0.5)])
def test_a_new_difference_has_lists_read_from_before_all_agreed_but_not_before_the_baseline(
    account: ExchangeAccount, hours_ago: float, expected: float
) -> None:
    read(account, flows_leg(source=FlowSource.LEDGER))
    agreed_at = account.verified_at
    assert agreed_at is not None
    ExchangeAccount.objects.update(baseline_at=agreed_at - hours_ago * HOUR)
    ReadCursor.objects.update(covered_until=timezone.now())
    make_discrepancy(account, times_seen=1)
    account.refresh_from_db()

    assert asked_from(account, LegKind.FLOWS) == agreed_at - expected * HOUR


def test_a_new_difference_has_lists_of_what_is_asked_for_read_from_before_its_way(
    account: ExchangeAccount,
) -> None:
    read(account, flows_leg(source=FlowSource.WITHDRAWALS))
    make_discrepancy(account, times_seen=1)
    account.refresh_from_db()

    assert account.baseline_at is not None
    assert asked_from(account, LegKind.FLOWS) == account.baseline_at - LONGEST_WAY


def bought(number: int, executed_at: datetime, fee: str | None) -> FillReport:
    fees = () if fee is None else (FeeReport("EUR", D(fee)),)
    return make_fill_report(
        "1", "2", external_id=f"f-{number}", executed_at=executed_at, fees=fees, order="1"
    )


def test_a_fill_without_its_fee_is_asked_for_again_where_fees_are_paid(
    account: ExchangeAccount,
) -> None:
    now = timezone.now()
    note_order(account)
    with_fee, without = bought(1, now, "0.1"), bought(2, now - timedelta(minutes=1), None)

    read(account, account_fills(with_fee, without), EUR="95.9", ADA="2")

    assert asked_from(account, LegKind.ACCOUNT_FILLS) == without.executed_at


def test_a_fee_that_never_comes_is_not_waited_for_longer_than_a_day(
    account: ExchangeAccount,
) -> None:
    long_ago = timezone.now() - timedelta(hours=25)
    ExchangeAccount.objects.update(baseline_at=long_ago - HOUR)
    note_order(account)
    leg = account_fills(
        bought(1, timezone.now(), "0.1"), bought(2, long_ago, None), since=long_ago - 2 * HOUR
    )

    read(account, leg, EUR="95.9", ADA="2")

    assert asked_from(account, LegKind.ACCOUNT_FILLS) == leg.until


@pytest.mark.parametrize(("hours_ago", "is_asked_for"), [(1, True), (25, False)])
def test_a_fill_without_its_order_is_asked_for_again_for_a_day(
    account: ExchangeAccount, hours_ago: int, is_asked_for: bool
) -> None:
    executed_at = timezone.now() - hours_ago * HOUR
    ExchangeAccount.objects.update(baseline_at=executed_at - HOUR)
    account.refresh_from_db()
    fees = (FeeReport("EUR", D("0.1")),)
    nameless = make_fill_report("1", "2", order="", executed_at=executed_at, fees=fees)
    leg = account_fills(nameless, since=executed_at - 2 * HOUR)

    read(account, leg, EUR="97.9", ADA="1")

    expected = executed_at if is_asked_for else leg.until
    assert asked_from(account, LegKind.ACCOUNT_FILLS) == expected


def test_a_read_that_is_not_whole_is_a_gap_until_the_next_whole_one(
    account: ExchangeAccount,
) -> None:
    half = account_fills(complete=False, why_incomplete="one moment fills a page")
    read(account, half)
    gap = Discrepancy.objects.get(code=Code.FILL_COVERAGE_GAP)
    assert (gap.symbol, gap.cause) == ("ADA/EUR", "one moment fills a page")

    read(account, account_fills())

    gap.refresh_from_db()
    assert gap.state == Discrepancy.State.RESOLVED


def test_fills_that_the_exchange_no_longer_tells_are_a_gap_for_good(db: None) -> None:
    account = make_books(market="okx")
    look(account, open_orders(), balances(EUR="100"))
    half_a_year_ago = timezone.now() - timedelta(days=180)
    ExchangeAccount.objects.update(baseline_at=half_a_year_ago)

    read(account, account_fills(since=half_a_year_ago))
    read(account, account_fills())

    gap = Discrepancy.objects.get(code=Code.FILL_COVERAGE_GAP)
    assert (gap.state, "no longer told" in gap.cause) == (Discrepancy.State.OPEN, True)


@pytest.mark.parametrize(("lag_seconds", "expected"), [(0, 300), (290, 300), (600, 605)])
def test_the_overlap_is_five_minutes_and_more_where_the_exchange_lags_more(
    lag_seconds: int, expected: int
) -> None:
    assert overlap(make_account(lag_seconds=lag_seconds)).total_seconds() == expected
