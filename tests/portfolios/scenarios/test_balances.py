"""Balances against the books: what agrees, what differs, and what only looks as if it did (B01-B20)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount
from portfolios.models.choices import Verdict
from portfolios.services.effects import expected_totals
from portfolios.services.snapshot_requests import snapshot_request
from providers.reports import (
    BalanceReport,
    FillReport,
    FlowKind,
    FlowSource,
    Leg,
    OrderStatus,
)
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    account_fills,
    balances,
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
    stored_facts,
)

D = Decimal
State = Discrepancy.State


def differing(account: ExchangeAccount) -> list[tuple[str, str, Decimal | None, str]]:
    rows = account.discrepancies.filter(key__startswith="balance:", state__in=Discrepancy.LIVE)
    return [(row.code, row.asset, row.difference, row.state) for row in rows.order_by("key")]


def verdicts(account: ExchangeAccount) -> set[str]:
    return set(account.balances.values_list("verdict", flat=True))


def test_b01_forty_assets_of_a_clean_account_are_verified(db: None) -> None:
    account = make_books()
    held: dict[str, Any] = {f"X{number}": f"{number}.000000000000000001" for number in range(39)}

    for _look in range(2):
        look(account, open_orders(), balances(EUR="100", **held))

    assert account.balances.filter(verdict=Verdict.VERIFIED, residual=D(0)).count() == 40
    assert differing(account) == []


def test_b02_what_is_gone_without_a_record_is_a_shortage_and_nothing_is_booked(
    account: ExchangeAccount,
) -> None:
    before = stored_facts()

    look(account, open_orders(), balances(EUR="75"))
    first = differing(account)
    look(account, open_orders(), balances(EUR="75"))

    assert first == [("BALANCE_SHORT", "EUR", D(-25), State.SUSPECTED)]
    assert differing(account) == [("BALANCE_SHORT", "EUR", D(-25), State.OPEN)]
    assert stored_facts() == before


def test_b02_over_http_a_balance_that_fell_opens_at_the_second_sync(trader: Desk) -> None:
    trader.take_away("EUR", "25")

    trader.sync()
    trader.sync()

    assert differing(trader.account) == [("BALANCE_SHORT", "EUR", D(-25), State.OPEN)]


def test_b03_a_deposit_with_a_record_goes_to_the_unassigned_part_and_is_no_gain(
    account: ExchangeAccount,
) -> None:
    look(account, open_orders(), balances(EUR="400"), flows_leg(make_flow_report("300")))
    look(account, open_orders(), balances(EUR="400"))

    assert (verdicts(account), differing(account)) == ({Verdict.VERIFIED}, [])
    assert account.positions.get(portfolio=None, asset="EUR").amount == D(300)
    assert account.portfolios.get().realized_gain == D(0)


def test_b04_what_came_without_a_record_is_a_surplus_and_no_deposit(
    account: ExchangeAccount,
) -> None:
    for _look in range(2):
        look(account, open_orders(), balances(EUR="400"))

    assert differing(account) == [("BALANCE_SURPLUS", "EUR", D(300), State.OPEN)]
    assert not account.ledger_entries.filter(cause="deposit").exists()
    assert expected_totals(account) == {"EUR": D(100)}


def test_b10_over_http_a_reward_is_booked_before_anybody_is_told_of_it(trader: Desk) -> None:
    ExchangeAccount.objects.update(baseline_settled_at=timezone.now())
    trader.engine.reward(KEY, "BNB", "0.25")

    trader.sync()
    first = differing(trader.account)
    trader.sync()

    assert first == [("BALANCE_SURPLUS", "BNB", D("0.25"), State.SUSPECTED)]
    assert differing(trader.account) == []
    assert trader.position("BNB", None).amount == D("0.25")
    assert trader.account.flows.get(source=FlowSource.REWARDS).kind == FlowKind.REWARD
    assert trader.account.seldom_read_at is not None


def test_b17_over_http_what_moves_to_another_wallet_and_back_is_booked(trader: Desk) -> None:
    for source, target, amount in (("spot", "funding", "40"), ("funding", "spot", "15")):
        trader.engine.transfer(KEY, "EUR", amount, source=source, target=target)
        trader.sync()
        trader.sync()

    moved = trader.account.flows.filter(kind=FlowKind.TRANSFER).order_by("pk")
    assert list(moved.values_list("amount", flat=True)) == [D(-40), D(15)]
    assert differing(trader.account) == []


@pytest.mark.parametrize(
    ("minutes_ago", "seen", "is_wanted"),
    [(None, 0, True), (6, 8, True), (6, 20, False), (61, 90, True)],
)
def test_lists_that_seldom_tell_anything_are_read_for_each_difference_and_hourly(
    account: ExchangeAccount, minutes_ago: int | None, seen: int, *, is_wanted: bool
) -> None:
    for _look in range(2):
        look(account, open_orders(), balances(EUR="400"))
    now = timezone.now()
    account.discrepancies.update(first_seen=now - timedelta(minutes=seen))
    account.baseline_settled_at = now
    if minutes_ago is not None:
        account.seldom_read_at = now - timedelta(minutes=minutes_ago)

    assert snapshot_request(account).has_differences is is_wanted


def test_they_are_read_at_each_look_while_a_difference_is_suspected(
    account: ExchangeAccount,
) -> None:
    look(account, open_orders(), balances(EUR="400"))
    now = timezone.now()
    account.discrepancies.update(first_seen=now - timedelta(minutes=20))
    account.baseline_settled_at, account.seldom_read_at = now, now - timedelta(minutes=6)

    assert snapshot_request(account).has_differences


def test_where_nothing_differs_they_are_read_for_the_baseline_only(trader: Desk) -> None:
    asked = [snapshot_request(trader.account).has_differences]
    trader.deposit("EUR", "1")
    trader.sync()
    asked.append(snapshot_request(trader.account).has_differences)

    assert asked == [True, False]


def test_b06_an_order_that_was_canceled_between_two_reads_leaves_no_difference(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    locked = BalanceReport("EUR", free=D(80), used=D(20), total=D(100))
    look(account, open_orders(make_order_report()), balances(EUR=locked))

    canceled = make_order_report(status=OrderStatus.CANCELED)
    look(account, open_orders(), order_leg(canceled), balances(EUR=locked))
    look(account, open_orders(), balances(EUR="100"))

    assert (verdicts(account), differing(account)) == ({Verdict.VERIFIED}, [])
    assert not account.flows.exists()


def test_b08_what_left_with_records_is_all_verified_as_none(account: ExchangeAccount) -> None:
    gone = make_flow_report("-100", source=FlowSource.WITHDRAWALS, kind=FlowKind.WITHDRAWAL)

    look(account, open_orders(), balances(), flows_leg(gone, source=FlowSource.WITHDRAWALS))
    look(account, open_orders(), balances())

    row = account.balances.get(asset="EUR")
    assert (row.verdict, row.total, row.expected) == (Verdict.VERIFIED, D(0), D(0))


def test_b09_an_asset_that_vanished_is_told_as_that(db: None) -> None:
    account = make_books(positions={"BTC": "2"})
    look(account, open_orders(), balances(EUR="100", BTC="2"))

    for _look in range(2):
        look(account, open_orders(), balances(EUR="100"))

    assert differing(account) == [("BALANCE_SHORT", "BTC", D(-2), State.OPEN)]
    assert account.discrepancies.get(asset="BTC").cause == "vanished"


def test_b12_a_total_alone_is_verified_and_what_is_in_use_is_not(account: ExchangeAccount) -> None:
    look(account, open_orders(), balances(EUR=BalanceReport("EUR", None, None, D(100))))

    row = account.balances.get(asset="EUR")
    assert (row.verdict, row.free, row.used) == (Verdict.VERIFIED, None, None)
    assert row.used_verdict == Verdict.NOT_VERIFIABLE


# --- a busy account whose reads trail its trades --------------------------------------------------


def busy_fills(chance: Random, begins: datetime, seconds: int) -> list[FillReport]:
    """Draw a fill every ten seconds, of amounts that no sum of others makes up."""
    return [
        make_fill_report(
            f"0.{chance.randrange(10**6, 10**7)}",
            "2",
            order="",
            external_id=f"f-{at}",
            executed_at=begins + timedelta(seconds=at + chance.random()),
        )
        for at in range(5, seconds, 10)
    ]


def held_by(fills: Iterable[FillReport], shown: datetime) -> dict[str, Any]:
    seen = [fill for fill in fills if fill.executed_at and fill.executed_at <= shown]
    ada, eur = sum(fill.amount for fill in seen), 1000 - sum(fill.cost for fill in seen)
    return {"ADA": str(ada), "EUR": str(eur)}


def states_of_busy_looks(seed: int, looks: int, missed: int | None = None) -> list[list[str]]:
    """Look once a minute, at balances of up to 25 s ago; the list leaves the fill of that number out."""
    chance = Random(seed)  # noqa: S311 - no secret
    account = make_books(f"busy {seed}", lag_seconds=30, grace_seconds=10)
    look(account, open_orders(), balances(EUR="1000"))
    begins = timezone.now() + timedelta(seconds=60)
    fills = busy_fills(chance, begins, 60 * looks)
    told = [fill for number, fill in enumerate(fills) if number != missed]
    found = []
    for number in range(1, looks + 1):
        at = begins + timedelta(seconds=60 * number)
        held = held_by(fills, at - timedelta(seconds=25 * chance.random()))
        _read_at(account, at, held, told)
        found.append([state for *_, state in differing(account)])
    return found


def _read_at(
    account: ExchangeAccount, at: datetime, held: dict[str, Any], told: Sequence[FillReport]
) -> None:
    listed = [fill for fill in told if fill.executed_at and fill.executed_at <= at]
    legs: list[Leg] = [open_orders(), balances(**held), account_fills(*listed), flows_leg()]
    look(account, *later(legs, (at - timezone.now()).total_seconds()))


def test_b19_a_busy_account_whose_books_are_right_is_never_suspected(db: None) -> None:
    assert states_of_busy_looks(seed=1, looks=4) == [[]] * 4


def test_b20_a_fill_that_the_list_left_out_opens_by_the_sixth_settled_look(db: None) -> None:
    # The seventh look settles the sixth.
    assert states_of_busy_looks(seed=2, looks=7, missed=3)[-1] == [State.OPEN, State.OPEN]
