"""What goes unread or unproved for long (SNAPSHOT_PARTIAL, SNAPSHOT_STALE)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount
from portfolios.reconciliation.fingerprints import Extent, fingerprint
from providers.reports import FillReport, Leg, LegKind
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    failed,
    flows_leg,
    look,
    make_books,
    make_fill_report,
    observed,
    open_orders,
    skipped,
    unsupported,
)

Code = Discrepancy.Code
State = Discrepancy.State
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    return opened


def told(code: Discrepancy.Code) -> list[tuple[str, str]]:
    return list(Discrepancy.objects.filter(code=code).values_list("state", "severity"))


def see(account: ExchangeAccount, *legs: Leg, eur: str = "100") -> None:
    look(account, open_orders(), balances(EUR=eur), *legs)


FAILS = [failed(LegKind.FLOWS), account_fills()]


def test_a_part_that_fails_in_three_runs_is_told_until_it_is_read_whole(
    account: ExchangeAccount,
) -> None:
    seen = []
    for _run in range(3):
        see(account, *FAILS)
        seen.append(told(Code.SNAPSHOT_PARTIAL))

    see(account, flows_leg(), account_fills())

    assert seen == [[], [], [(State.OPEN, "notice")]]
    assert told(Code.SNAPSHOT_PARTIAL) == [(State.RESOLVED, "notice")]


def test_a_run_that_had_not_to_read_the_part_does_not_count(account: ExchangeAccount) -> None:
    for legs in (FAILS, FAILS, [skipped(LegKind.FLOWS), account_fills()], FAILS):
        see(account, *legs)

    assert told(Code.SNAPSHOT_PARTIAL) == [(State.OPEN, "notice")]


def test_what_cannot_be_read_for_an_hour_is_warned_of(account: ExchangeAccount) -> None:
    for _run in range(3):
        see(account, *FAILS)

    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=1), tick=False):
        see(account, *FAILS)

    assert told(Code.SNAPSHOT_PARTIAL) == [(State.OPEN, "warning")]


def test_a_part_that_is_cut_short_is_told_with_why(account: ExchangeAccount) -> None:
    cut = observed(LegKind.FLOWS, [], subject="deposits", complete=False, why_incomplete="20 pages")
    for _run in range(3):
        see(account, cut, account_fills())

    row = Discrepancy.objects.get(code=Code.SNAPSHOT_PARTIAL)

    assert (row.symbol, row.cause) == ("deposits", "flows deposits: 20 pages")


@pytest.mark.parametrize(
    "legs",
    [
        [unsupported(LegKind.FLOWS), account_fills()],
        [flows_leg(), account_fills(complete=False)],
    ],
    ids=["what a market has not", "fills, which have a finding of their own"],
)
def test_what_is_told_elsewhere_is_not_told_twice(
    account: ExchangeAccount, legs: list[Leg]
) -> None:
    for _run in range(3):
        see(account, *legs)

    assert told(Code.SNAPSHOT_PARTIAL) == []


def test_an_account_of_which_nothing_can_be_read_is_failing_and_no_part_of_it(
    account: ExchangeAccount,
) -> None:
    for _run in range(4):
        look(account, failed(LegKind.OPEN_ORDERS), failed(LegKind.BALANCES), *FAILS[:1])

    assert told(Code.SNAPSHOT_PARTIAL) == []


def later(hours: float) -> datetime:
    return timezone.now() + timedelta(hours=hours)


def test_books_that_did_not_agree_for_hours_are_stale_until_they_do(
    account: ExchangeAccount,
) -> None:
    untold = balances("BTC", EUR="100")
    seen = []
    for hours in (5, 7, 7.1, 25):
        with time_machine.travel(later(hours), tick=False):
            look(account, open_orders(), untold)
            seen.append(told(Code.SNAPSHOT_STALE))

    with time_machine.travel(later(26), tick=False):
        see(account, unsupported(LegKind.FLOWS))

    assert seen == [
        [],
        [(State.SUSPECTED, "warning")],
        [(State.OPEN, "warning")],
        [(State.OPEN, "error")],
    ]
    assert told(Code.SNAPSHOT_STALE) == [(State.RESOLVED, "error")]


def test_where_an_asset_differs_only_that_is_told(account: ExchangeAccount) -> None:
    for hours in (1, 7, 8):
        with time_machine.travel(later(hours), tick=False):
            see(account, eur="90")

    assert told(Code.SNAPSHOT_STALE) == []


def test_what_differs_and_was_dismissed_is_not_told_as_stale(account: ExchangeAccount) -> None:
    with time_machine.travel(later(1), tick=False):
        see(account, eur="90")
    with time_machine.travel(later(2), tick=False):
        see(account, eur="90")
    Discrepancy.objects.update(state=State.DISMISSED, fingerprint="")
    row = Discrepancy.objects.get()
    row.fingerprint = fingerprint(row.code, Extent(row.low, row.high))
    row.save()

    for hours in (9, 10, 30):
        with time_machine.travel(later(hours), tick=False):
            see(account, eur="90")

    assert told(Code.SNAPSHOT_STALE) == []


def test_an_account_that_is_traded_without_a_pause_is_noticed_and_no_alarm() -> None:
    account = make_books(lag_seconds=60, grace_seconds=30)
    look(account, open_orders(), balances(EUR="1000"))
    fills: list[FillReport] = []
    for hours in (7, 7.1, 30, 30.1):
        with time_machine.travel(later(hours), tick=False):
            at = timezone.now() - timedelta(seconds=20)
            fills.append(make_fill_report("1", "2", external_id=f"f-{hours}", executed_at=at))
            held = balances(EUR=str(1000 - 2 * len(fills)), ADA=str(len(fills)))
            look(account, open_orders(), held, account_fills(*fills))

    assert {row.verdict for row in account.balances.all()} == {"CONSISTENT"}
    assert told(Code.SNAPSHOT_STALE) == [(State.OPEN, "notice")]
