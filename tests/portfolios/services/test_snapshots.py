"""When a read of balances is settled, and what is shown, suspected and asked of the exchange until then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import AssetBalance, Discrepancy, ExchangeAccount, SyncRun
from portfolios.models.choices import Verdict
from portfolios.services.snapshot_requests import reading_depth, snapshot_request
from providers.reports import Depth, FillReport, Leg, LegKind
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    failed,
    flows_leg,
    later,
    look,
    make_books,
    make_fill_report,
    observed,
    open_orders,
    skipped,
)

D = Decimal
State = Discrepancy.State
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Return an account whose reads may trail its trades by a minute, and whose baseline is 1000 EUR."""
    account = make_books(lag_seconds=60, grace_seconds=30)
    look(account, open_orders(), balances(EUR="1000"))
    return account


def see(
    account: ExchangeAccount, eur: str, seconds: float, *more: Leg, cheap: bool = False
) -> SyncRun:
    """Look so many seconds from now; lists of fills and flows, unless told otherwise, are whole and empty."""
    legs = [open_orders(), balances(EUR=eur)]
    depth = {"depth": Depth.CHEAP} if cheap else {}
    return look(account, *later([*legs, *more], seconds), *_lists(more, seconds, cheap), **depth)


def _lists(more: Sequence[Leg], seconds: float, cheap: bool) -> list[Leg]:
    return [] if more or cheap else later([account_fills(), flows_leg()], seconds)


def row(account: ExchangeAccount, asset: str = "EUR") -> AssetBalance:
    return account.balances.get(asset=asset)


def shown(account: ExchangeAccount) -> tuple[str, Decimal | None, bool]:
    eur = row(account)
    return eur.verdict, eur.total, eur.provisional


def settled(account: ExchangeAccount) -> list[bool]:
    return [each.settled_at is not None for each in account.snapshots.all()]


def states(account: ExchangeAccount) -> list[str]:
    return list(account.discrepancies.values_list("state", flat=True))


def test_the_baseline_is_settled_by_itself(account: ExchangeAccount) -> None:
    assert (settled(account), shown(account)) == ([True], (Verdict.VERIFIED, D(1000), False))


def test_what_is_as_before_is_settled_at_once(account: ExchangeAccount) -> None:
    see(account, "1000", 5, cheap=True)

    assert (settled(account), shown(account)) == ([True, True], (Verdict.VERIFIED, D(1000), False))


def test_a_read_is_settled_by_lists_that_were_asked_for_after_the_lag(
    account: ExchangeAccount,
) -> None:
    see(account, "900", 100)
    before = settled(account)

    see(account, "900", 161)

    assert (before, settled(account)) == ([True, False], [True, True, True])


def test_within_the_lag_it_is_not(account: ExchangeAccount) -> None:
    see(account, "900", 100)

    see(account, "900", 150)

    assert settled(account) == [True, False, False]


@pytest.mark.parametrize(
    "unread",
    [
        failed(LegKind.FLOWS),
        observed(LegKind.ACCOUNT_FILLS, [], complete=False, why_incomplete="broken off"),
        skipped(LegKind.ACCOUNT_FILLS, subject="ADA/EUR"),
    ],
)
def test_lists_that_failed_or_were_cut_short_settle_nothing(
    account: ExchangeAccount, unread: Leg
) -> None:
    see(account, "900", 100)

    see(account, "900", 200, account_fills(), flows_leg(), unread)

    assert settled(account) == [True, False, False]


def test_symbols_that_nobody_asks_for_keep_nothing_waiting(account: ExchangeAccount) -> None:
    see(account, "900", 100)

    see(account, "900", 200, flows_leg(), skipped(LegKind.ACCOUNT_FILLS, subject="*"))

    assert settled(account) == [True, True, True]


def test_a_list_that_the_key_may_not_read_keeps_nothing_waiting(account: ExchangeAccount) -> None:
    see(account, "900", 100)

    see(account, "900", 200, account_fills(), failed(LegKind.FLOWS, "permission"))

    assert settled(account) == [True, True, True]
    assert states(account) == [State.OPEN]


def test_after_an_hour_without_whole_lists_what_moved_is_not_verifiable(
    account: ExchangeAccount,
) -> None:
    see(account, "900", 100, account_fills(), failed(LegKind.FLOWS))

    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        see(account, "900", 0, account_fills(), failed(LegKind.FLOWS))

    assert (row(account).verdict, row(account).reason) == (
        Verdict.NOT_VERIFIABLE,
        "what happened meanwhile is not all read yet",
    )
    assert states(account) == [State.SUSPECTED]


def test_several_reads_within_the_lag_are_all_settled_by_what_comes_after_it(
    account: ExchangeAccount,
) -> None:
    for seconds in (100, 120, 140, 161):
        see(account, "900", seconds)

    assert settled(account) == [True] * 5


def test_a_difference_is_suspected_at_once_and_opens_by_two_settled_looks(
    account: ExchangeAccount,
) -> None:
    see(account, "900", 100)
    suspected = states(account)
    see(account, "900", 161)

    [found] = account.discrepancies.all()
    assert suspected == [State.SUSPECTED]
    assert (found.state, found.difference, found.times_seen) == (State.OPEN, D(-100), 2)


def test_a_suspicion_is_no_look(account: ExchangeAccount) -> None:
    see(account, "900", 100)
    see(account, "900", 140)

    [found] = account.discrepancies.all()
    assert (found.state, found.times_seen) == (State.SUSPECTED, 1)


def test_a_suspicion_that_a_record_explains_later_is_a_transient(account: ExchangeAccount) -> None:
    at = timezone.now() + timedelta(seconds=20)
    see(account, "980", 100)

    see(account, "980", 200, account_fills(bought(at)), flows_leg())

    found = account.discrepancies.get(key="balance:spot:EUR")
    assert (found.state, found.is_transient) == (State.RESOLVED, True)


def bought(at: datetime) -> FillReport:
    return make_fill_report("10", "2", order="", executed_at=at)


def test_while_a_difference_waits_the_row_keeps_what_is_settled(account: ExchangeAccount) -> None:
    see(account, "900", 100)

    assert shown(account) == (Verdict.VERIFIED, D(1000), True)
    assert row(account).newest_total == D(900)


def test_a_newer_read_that_agrees_is_shown_and_waits(account: ExchangeAccount) -> None:
    at = timezone.now() + timedelta(seconds=20)

    see(account, "980", 100, account_fills(bought(at)), flows_leg())

    assert shown(account) == (Verdict.VERIFIED, D(980), True)


def test_what_differs_agrees_again_only_once_that_is_settled(account: ExchangeAccount) -> None:
    see(account, "900", 100)
    see(account, "900", 161)

    see(account, "1000", 200)
    waiting = (shown(account), states(account))
    see(account, "1000", 261)

    assert waiting == ((Verdict.DIFFERS, D(900), True), [State.OPEN])
    assert (shown(account), states(account)) == (
        (Verdict.VERIFIED, D(1000), False),
        [State.RESOLVED],
    )


def test_a_new_asset_is_provisional_until_it_is_settled(account: ExchangeAccount) -> None:
    look(account, *later([open_orders(), balances(EUR="1000", XYZ="5")], 100))

    xyz = row(account, "XYZ")
    assert (xyz.verdict, xyz.residual, xyz.provisional) == (Verdict.PROVISIONAL, D(5), True)


def test_a_trade_just_before_the_read_leaves_it_consistent_then_verified(
    account: ExchangeAccount,
) -> None:
    at = timezone.now() + timedelta(seconds=290)
    fills = account_fills(bought(at))
    see(account, "980", 300, fills, flows_leg())
    see(account, "980", 370, fills, flows_leg())
    first, second = account.snapshots.order_by("pk")[1:]

    said = [each.content.rows["spot"]["EUR"] for each in (first, second) if each.content]

    assert [(eur["verdict"], eur["low"], eur["high"]) for eur in said] == [
        ("CONSISTENT", "-20", "0"),
        ("VERIFIED", "0", "0"),
    ]


def test_everything_is_verified_when_the_settled_read_saw_it(account: ExchangeAccount) -> None:
    see(account, "1000", 100)

    assert account.verified_at == account.snapshots.latest("pk").seen_at


def test_what_waits_is_read_about_fully(account: ExchangeAccount) -> None:
    see(account, "900", 100)
    waits = reading_depth(account, timezone.now() + timedelta(seconds=200))
    see(account, "1000", 300)
    see(account, "1000", 361)

    depths = (waits, reading_depth(account, timezone.now() + timedelta(seconds=370)))

    assert depths == (Depth.FULL, Depth.CHEAP)


def test_what_differs_is_looked_at_again_as_soon_as_it_can_be_settled(
    account: ExchangeAccount,
) -> None:
    see(account, "900", 100)

    seen_at = account.snapshots.latest("pk").seen_at
    assert account.next_sync_at == seen_at + timedelta(seconds=61)


def test_lists_that_cannot_be_read_do_not_make_it_look_ever_more_often(
    account: ExchangeAccount,
) -> None:
    see(account, "900", 1, failed(LegKind.FLOWS))
    ExchangeAccount.objects.update(next_sync_at=timezone.now())

    see(account, "900", 2, failed(LegKind.FLOWS))

    assert account.next_sync_at is not None
    assert account.next_sync_at > timezone.now() + timedelta(seconds=200)


def test_a_request_tells_the_last_read_under_the_names_of_the_exchange(
    account: ExchangeAccount,
) -> None:
    account.asset_rules.create(kind="alias", asset="LDEUR", counts_as="EUR")

    look(account, *later([open_orders(), balances(EUR="600", LDEUR="400")], 100))

    told = {each.asset: each.total for each in snapshot_request(account).last_balances}
    assert told == {"EUR": D(600), "LDEUR": D(400)}


def test_what_counts_as_another_asset_is_judged_with_it(account: ExchangeAccount) -> None:
    account.asset_rules.create(kind="alias", asset="LDEUR", counts_as="EUR")

    look(account, *later([open_orders(), balances(EUR="600", LDEUR="400")], 100))

    assert [(each.asset, each.verdict) for each in account.balances.all()] == [("EUR", "VERIFIED")]


def test_a_difference_below_the_dust_limit_is_information(account: ExchangeAccount) -> None:
    account.asset_rules.create(kind="dust", asset="EUR", amount=D(1))

    see(account, "999.5", 100)

    assert account.discrepancies.get().severity == "info"


def test_forty_assets_are_judged_by_as_many_queries_as_two() -> None:
    counts = []
    for label, assets in (("few", 1), ("many", 39)):
        held: dict[str, Any] = {f"X{number}": "1" for number in range(assets)}
        books = make_books(label)
        for _look in range(2):
            look(books, open_orders(), balances(EUR="1000", **held))
        with CaptureQueriesContext(connection) as queries:
            look(books, open_orders(), balances(EUR="900", **held))
        counts.append(len(queries))

    assert counts[0] == counts[1]
