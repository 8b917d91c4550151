"""Fills that the exchange told and tells no more: told as such, never unbooked (FILL_LOCAL_ONLY)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Fill, ReadCursor
from portfolios.services.cursors import cursors
from portfolios.services.denied_fills import find_denied_fills
from portfolios.services.discrepancies import Findings
from providers.reports import FillReport, Leg, LegKind
from tests.desk import KEY, Desk
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    fills_leg,
    look,
    make_books,
    make_fill_report,
    observed,
    open_orders,
    stored_facts,
)

D = Decimal
State = Discrepancy.State
Code = Discrepancy.Code
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    began = timezone.now() - timedelta(hours=23)
    ExchangeAccount.objects.update(baseline_at=began)
    opened.refresh_from_db()
    return opened


def made(minutes: float = 10, **values: Any) -> FillReport:
    at = timezone.now() - timedelta(minutes=minutes)
    return make_fill_report("4", "2", **{"executed_at": at} | values)


def see(account: ExchangeAccount, *lists: Leg) -> None:
    look(account, open_orders(), balances(EUR="92", ADA="4"), *lists)


def states() -> list[str]:
    rows = Discrepancy.objects.filter(code=Code.FILL_LOCAL_ONLY)
    return list(rows.values_list("state", flat=True))


def test_a_fill_that_two_whole_lists_of_its_time_leave_out_is_open_until_one_tells_it_again(
    account: ExchangeAccount,
) -> None:
    fill, seen = made(), []
    for lists in ([account_fills(fill)], [account_fills()], [account_fills()]):
        see(account, *lists)
        seen += states()

    see(account, account_fills(fill))

    assert seen == [State.SUSPECTED, State.OPEN]
    assert states() == [State.RESOLVED]


def test_a_fill_that_is_told_no_more_stays_booked(account: ExchangeAccount) -> None:
    see(account, account_fills(made()))
    before = stored_facts()

    see(account, account_fills())

    assert stored_facts() == before


@pytest.mark.parametrize(
    ("fill", "lists"),
    [
        (made(minutes=1), [account_fills()]),
        (made(), [account_fills(complete=False)]),
        (made(), [account_fills(symbol="BTC/EUR")]),
        (made(), [account_fills(since=None)]),
        (made(), []),
    ],
    ids=["young", "incomplete", "of another symbol", "of no time", "no list"],
)
def test_a_list_that_need_not_tell_the_fill_denies_nothing(
    account: ExchangeAccount, fill: FillReport, lists: list[Leg]
) -> None:
    see(account, account_fills(fill))

    see(account, *lists)

    assert states() == []


def test_the_lists_are_read_again_from_a_fill_that_is_told_no_more(
    account: ExchangeAccount,
) -> None:
    see(account, account_fills(made(minutes=60)))
    see(account, account_fills())

    [of_fills] = [x for x in cursors(account, timezone.now()) if x.kind is LegKind.ACCOUNT_FILLS]

    assert of_fills.covered_until == Fill.objects.get().executed_at


def at(desk: Desk, minutes: float) -> None:
    """Let what happens at the exchange have happened so many minutes ago."""
    desk.engine.clock = lambda: timezone.now() - timedelta(minutes=minutes)


def test_a_trade_that_the_exchange_has_undone_explains_what_is_missing_then(desk: Desk) -> None:
    at(desk, 60)
    desk.deposit("EUR", "1000")
    at(desk, 0)
    desk.open_portfolio("900")
    desk.sync()
    ExchangeAccount.objects.update(baseline_at=timezone.now() - timedelta(minutes=30))
    at(desk, 20)
    fill = desk.engine.fill_order(desk.engine.buy(KEY, "ADA/EUR", "4", "2").id, "4")
    at(desk, 0)
    desk.sync()
    desk.engine.bust_fill(KEY, fill.id)
    for _look in range(2):
        ReadCursor.objects.update(covered_until=timezone.now() - timedelta(minutes=25))
        desk.sync()

    more = desk.account.discrepancies.get(asset="EUR")

    assert states() == [State.OPEN]
    assert more.cause == f"explained: fill {fill.id} of 4 ADA/EUR was undone"


def test_the_fills_of_one_order_are_no_reason_to_read_those_of_all(
    account: ExchangeAccount,
) -> None:
    one, other = made(minutes=20), made(minutes=30, order="2", external_id="f-2")
    see(account, account_fills(one, other))

    with CaptureQueriesContext(connection) as asked:
        see(account, fills_leg(one))

    assert any('order_external_id" IN' in query["sql"] for query in asked)
    assert states() == []


def test_the_reads_of_a_thousand_orders_are_no_more_than_the_database_takes(
    account: ExchangeAccount,
) -> None:
    see(account, account_fills(made(order="1000")))
    reads = [observed(LegKind.FILLS, [], subject=str(number)) for number in range(1, 1001)]
    findings = Findings()

    find_denied_fills(account, reads, findings)

    assert [found.code for found in findings.found] == [Code.FILL_LOCAL_ONLY]
