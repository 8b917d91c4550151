"""Reads too strange to be believed: kept, neither judged nor zeroing anything, until further looks say the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import AssetBalance, Discrepancy, ExchangeAccount, Order, Quarantine
from providers.reports import (
    BalanceReport,
    FlowKind,
    FlowSource,
    Leg,
    LegKind,
    LegStatus,
    OrderStatus,
)
from providers.sandbox.faults import DistortionKind, Fault
from tests.desk import Desk
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    denial,
    flows_leg,
    later,
    look,
    make_books,
    make_flow_report,
    make_order_report,
    note_order,
    observed,
    open_orders,
    order_leg,
    stored_facts,
)

D = Decimal
Code = Discrepancy.Code
State = Discrepancy.State
GRACE = 30
HELD: dict[str, Any] = {"EUR": "100", "ADA": "5", "DOT": "7", "BTC": "1"}
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    opened = make_books(grace_seconds=GRACE)
    look(opened, open_orders(), balances(**HELD))
    return opened


def read(account: ExchangeAccount, *legs: Leg, seconds: float = 0, **held: Any) -> None:
    look(account, *later([open_orders(), balances(**held), *legs], seconds))


def judged() -> list[Any]:
    rows = AssetBalance.objects.order_by("asset")
    return list(rows.values_list("asset", "free", "used", "total", "expected", "residual"))


def live(account: ExchangeAccount) -> dict[str, str]:
    rows = account.discrepancies.filter(state__in=Discrepancy.LIVE)
    return {f"{row.code} {row.asset}".strip(): row.state for row in rows}


def test_b07_empty_balances_are_neither_judged_nor_zero(account: ExchangeAccount) -> None:
    before = (stored_facts(), judged())

    read(account)

    assert (stored_facts(), judged()) == before
    assert live(account) == {Code.SNAPSHOT_IMPLAUSIBLE: State.OPEN}


def test_b07_a_good_look_after_it_forgets_it(account: ExchangeAccount) -> None:
    read(account)

    read(account, seconds=GRACE, **HELD)

    assert live(account) == {}
    assert not Quarantine.objects.exists()


def test_b07_it_is_believed_when_two_further_looks_say_the_same(account: ExchangeAccount) -> None:
    for number in range(2):
        read(account, seconds=number * GRACE)
    assert list(live(account)) == [Code.SNAPSHOT_IMPLAUSIBLE]

    read(account, seconds=2 * GRACE)

    assert set(AssetBalance.objects.values_list("total", flat=True)) == {D(0)}
    assert {code.split()[0] for code in live(account)} == {Code.BALANCE_SHORT}


def test_b07_it_stays_believed(account: ExchangeAccount) -> None:
    for number in range(3):
        read(account, seconds=number * GRACE)

    read(account, seconds=3 * GRACE)

    assert Code.SNAPSHOT_IMPLAUSIBLE not in live(account)
    assert set(AssetBalance.objects.values_list("total", flat=True)) == {D(0)}


@pytest.mark.parametrize("apart", [0, GRACE - 1])
def test_looks_less_than_a_grace_apart_confirm_nothing(
    account: ExchangeAccount, apart: float
) -> None:
    for number in range(3):
        read(account, seconds=number * apart / 2)

    assert list(live(account)) == [Code.SNAPSHOT_IMPLAUSIBLE]


def test_looks_that_say_different_things_confirm_nothing(account: ExchangeAccount) -> None:
    read(account)
    read(account, seconds=GRACE, EUR="1")
    read(account, seconds=2 * GRACE)
    read(account, seconds=3 * GRACE, EUR="1")

    assert list(live(account)) == [Code.SNAPSHOT_IMPLAUSIBLE]


def test_looks_confirm_that_assets_are_gone_while_what_is_left_moves(
    account: ExchangeAccount,
) -> None:
    for number in range(3):
        read(account, seconds=number * GRACE, EUR=str(90 - number))

    assert Code.SNAPSHOT_IMPLAUSIBLE not in live(account)
    assert AssetBalance.objects.get(asset="EUR").total == D(88)


def test_an_asset_told_as_zero_is_as_gone_as_one_that_is_not_told(
    account: ExchangeAccount,
) -> None:
    read(account, EUR="90", ADA="0")
    read(account, seconds=GRACE, EUR="90")
    read(account, seconds=2 * GRACE, EUR="90", DOT="0")

    assert Code.SNAPSHOT_IMPLAUSIBLE not in live(account)


def test_two_of_four_assets_gone_is_not_strange(account: ExchangeAccount) -> None:
    read(account, EUR="100", ADA="5")

    assert set(live(account)) == {f"{Code.BALANCE_SHORT} BTC", f"{Code.BALANCE_SHORT} DOT"}


def test_three_of_four_assets_gone_is(account: ExchangeAccount) -> None:
    read(account, EUR="100")

    assert list(live(account)) == [Code.SNAPSHOT_IMPLAUSIBLE]


def test_assets_whose_totals_are_not_told_are_not_gone(account: ExchangeAccount) -> None:
    untold: dict[str, Any] = {
        asset: BalanceReport(asset, free=None, used=None, total=None)
        for asset in ("ADA", "DOT", "BTC")
    }

    read(account, EUR="100", **untold)

    assert Code.SNAPSHOT_IMPLAUSIBLE not in live(account)


def test_b08_an_account_that_was_emptied_with_records_is_believed_at_once(
    account: ExchangeAccount,
) -> None:
    withdrawn = [
        make_flow_report(
            f"-{amount}",
            asset,
            source=FlowSource.WITHDRAWALS,
            kind=FlowKind.WITHDRAWAL,
            external_id=f"w-{asset}",
        )
        for asset, amount in HELD.items()
    ]

    read(account, flows_leg(*withdrawn, source=FlowSource.WITHDRAWALS))

    assert set(AssetBalance.objects.values_list("total", "residual")) == {(D(0), D(0))}
    assert Code.SNAPSHOT_IMPLAUSIBLE not in live(account)


def test_balances_that_are_not_whole_prove_nothing_and_are_not_set_aside(
    account: ExchangeAccount,
) -> None:
    partial = observed(LegKind.BALANCES, [], subject="spot", complete=False)

    look(account, open_orders(), partial)

    assert not Quarantine.objects.exists()


def with_three_orders(account: ExchangeAccount) -> None:
    for number in range(3):
        note_order(account, external_id=str(number), amount="1", created_at="2026-01-01T00:00:00Z")
    listed = [make_order_report(str(number), amount=D(1)) for number in range(3)]
    look(account, open_orders(*listed), balances(**HELD))


def test_an_empty_list_where_three_orders_were_open_makes_no_denial_count(
    account: ExchangeAccount,
) -> None:
    with_three_orders(account)

    read(account, *denial("0"), *denial("1"), *denial("2"), **HELD)

    assert set(Order.objects.values_list("strikes", flat=True)) == {0}
    assert live(account)[Code.SNAPSHOT_IMPLAUSIBLE] == State.OPEN


def test_what_single_orders_say_applies_beside_an_empty_list(account: ExchangeAccount) -> None:
    with_three_orders(account)
    ended = order_leg(make_order_report("0", amount=D(1), status=OrderStatus.CANCELED))

    read(account, ended, *denial("1"), *denial("2"), **HELD)

    assert Order.objects.get(external_id="0").status == OrderStatus.CANCELED


def test_an_empty_list_is_plausible_where_all_orders_have_ended(account: ExchangeAccount) -> None:
    with_three_orders(account)
    ended = [
        order_leg(make_order_report(str(number), amount=D(1), status=OrderStatus.CANCELED))
        for number in range(3)
    ]

    read(account, *ended, **HELD)

    assert live(account) == {}


def test_b07_empty_balances_over_http_zero_nothing(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.deposit("ADA", "5")
    desk.open_portfolio("1000")
    desk.sync()
    before = (stored_facts()["LedgerEntry"], judged())
    desk.server.faults.append(Fault(DistortionKind.EMPTY_BALANCES, times=1))

    run = desk.sync()

    assert (stored_facts()["LedgerEntry"], judged()) == before
    assert [row.code for row in desk.differences()] == [Code.SNAPSHOT_IMPLAUSIBLE]
    assert run.legs.get(kind="balances").status == LegStatus.OBSERVED

    desk.sync()
    assert desk.differences() == []


def test_a_first_look_without_anything_that_the_books_claim_is_no_baseline_at_once(
    db: None,
) -> None:
    account = make_books("claims", {"ADA": "50"})

    look(account, open_orders(), balances())
    is_set_at_once = account.baseline_at is not None
    look(account, open_orders(), balances(ADA="50", EUR="100"))

    assert not is_set_at_once
    assert AssetBalance.objects.get(asset="ADA").expected == D(50)
    assert Discrepancy.objects.get().state == State.RESOLVED


def test_a_first_look_that_three_say_without_what_the_books_claim_is_the_baseline(db: None) -> None:
    account = make_books("claims", {"ADA": "50"})

    for _look in range(3):
        look(account, open_orders(), balances())

    assert account.baseline_at is not None
