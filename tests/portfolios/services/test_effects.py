"""What the books know about the time of a read: by the ledger, and when it happened as well as that is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from portfolios.models import ExchangeAccount
from portfolios.reconciliation.verdicts import Effect, Window
from portfolios.services.effects import effects_since, expected_by_wallet, expected_totals
from providers.reports import (
    FeeReport,
    FillReport,
    FlowKind,
    FlowReport,
    FlowSource,
    FlowStatus,
    OrderReport,
    OrderStatus,
)
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    fills_leg,
    flows_leg,
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
SECOND = timedelta(seconds=1)
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Return an account with 1000 EUR and an open order for 10 ADA at 2 EUR."""
    opened = make_books()
    note_order(opened)
    look(opened, open_orders(make_order_report()), balances(EUR="1000"))
    return opened


@pytest.fixture
def at(account: ExchangeAccount) -> datetime:
    """Return a moment after the baseline."""
    return timezone.now()


def effects(
    account: ExchangeAccount, at: datetime, seconds: float = -60
) -> dict[str, list[Effect]]:
    """Give the effects of the last minute before `at`, to compare with a read of that moment."""
    return effects_since(account, Window(at, at), at + seconds * SECOND)


def see(account: ExchangeAccount, order: OrderReport | None = None, *fills: FillReport) -> None:
    told = [order_leg(order)] if order else []
    told += [fills_leg(*fills)] if fills else []
    look(account, open_orders(), *told, balances(EUR="1000"))


def see_flow(account: ExchangeAccount, flow: FlowReport) -> None:
    look(account, open_orders(make_order_report()), balances(EUR="1000"), flows_leg(flow))


def closed(at: datetime, filled: str = "10", **values: Any) -> OrderReport:
    return make_order_report(status=OrderStatus.CLOSED, filled=D(filled), updated_at=at, **values)


def test_a_fill_and_its_fee_in_the_same_asset_are_one_effect(
    account: ExchangeAccount, at: datetime
) -> None:
    fees = (FeeReport("ADA", D("0.01")),)

    see(account, closed(at), make_fill_report("10", "2", executed_at=at, fees=fees))

    assert effects(account, at) == {
        "ADA": [Effect(at, D("9.99"), "fills")],
        "EUR": [Effect(at, D(-20), "fills")],
    }


def test_what_an_order_booked_beyond_its_fills_had_happened_when_it_was_last_changed(
    account: ExchangeAccount, at: datetime
) -> None:
    see(account, closed(at), make_fill_report("4", "2", executed_at=at - 30 * SECOND))

    assert effects(account, at)["ADA"] == [
        Effect(at - 30 * SECOND, D(4), "fills"),
        Effect(None, D(6), "orders", until=at),
    ]


def test_where_no_change_is_told_it_had_happened_when_the_run_began_that_booked_it(
    account: ExchangeAccount, at: datetime
) -> None:
    order = replace(closed(at), updated_at=None)

    see(account, order, make_fill_report("4", "2", executed_at=at - 30 * SECOND))

    began = account.runs.latest("pk").started_at
    assert effects(account, at)["ADA"][1:] == [Effect(None, D(6), "orders", until=began)]


def test_what_was_filled_before_is_no_effect(account: ExchangeAccount, at: datetime) -> None:
    see(account, closed(at), make_fill_report("10", "2", executed_at=at))

    assert effects(account, at, seconds=1) == {}


def test_a_fill_of_before_the_baseline_that_is_told_later_is_no_effect(
    account: ExchangeAccount, at: datetime
) -> None:
    note_order(account, external_id="2", filled="10")
    fill = make_fill_report("10", "2", order="2", executed_at=at - 30 * SECOND)
    order = make_order_report("2", status=OrderStatus.CLOSED, filled=D(10))

    look(
        account,
        open_orders(make_order_report()),
        order_leg(order),
        fills_leg(fill),
        balances(EUR="1000"),
    )

    assert effects(account, at) == {}


def test_a_backtest_moves_nothing(account: ExchangeAccount, at: datetime) -> None:
    see(account, closed(at), make_fill_report("10", "2", executed_at=at))
    account.orders.update(is_backtest=True)

    assert effects(account, at) == {}


def test_a_fill_whose_order_is_not_known_counts_if_it_is_younger_than_the_baseline(
    account: ExchangeAccount, at: datetime
) -> None:
    young = make_fill_report("1", "2", order="7", external_id="a", executed_at=at)
    old = make_fill_report("3", "2", order="8", external_id="b", executed_at=at - 30 * SECOND)

    look(
        account,
        open_orders(make_order_report()),
        balances(EUR="1000"),
        account_fills(young, old),
    )

    assert effects(account, at)["ADA"] == [Effect(at, D(1), "fills")]


def test_a_deposit_shows_when_it_is_settled(account: ExchangeAccount, at: datetime) -> None:
    see_flow(account, make_flow_report("5", occurred_at=at - 30 * SECOND, settled_at=at))

    assert effects(account, at)["EUR"] == [Effect(at, D(5), "flows")]


def test_a_deposit_of_which_nobody_says_when_it_came_had_come_when_it_was_booked(
    account: ExchangeAccount, at: datetime
) -> None:
    see_flow(account, make_flow_report("5", occurred_at=at, settled_at=None))

    booked_at = account.ledger_entries.get(cause="deposit").booked_at
    assert effects(account, at)["EUR"] == [Effect(None, D(5), "flows", until=booked_at)]


def test_what_the_baseline_holds_is_no_effect(account: ExchangeAccount, at: datetime) -> None:
    before = at - 30 * SECOND
    see_flow(account, make_flow_report("5", occurred_at=before, settled_at=before))

    assert effects(account, at) == {}


def withdrawal(asked: datetime, settled: datetime | None, status: FlowStatus) -> FlowReport:
    return make_flow_report(
        "-5",
        source=FlowSource.WITHDRAWALS,
        kind=FlowKind.WITHDRAWAL,
        status=status,
        occurred_at=asked,
        settled_at=settled,
    )


def test_a_withdrawal_leaves_some_time_until_it_is_settled(
    account: ExchangeAccount, at: datetime
) -> None:
    see_flow(account, withdrawal(at, at + 9 * SECOND, FlowStatus.DONE))

    assert effects(account, at)["EUR"] == [Effect(None, D(-5), "flows", until=at + 9 * SECOND)]


def test_a_withdrawal_that_was_asked_for_after_a_read_is_later_than_it(
    account: ExchangeAccount, at: datetime
) -> None:
    see_flow(account, withdrawal(at + SECOND, at + 9 * SECOND, FlowStatus.DONE))

    assert effects(account, at)["EUR"] == [Effect(at + SECOND, D(-5), "flows")]


def test_a_withdrawal_that_failed_left_and_came_back(
    account: ExchangeAccount, at: datetime
) -> None:
    see_flow(account, withdrawal(at, at + 9 * SECOND, FlowStatus.FAILED))

    assert effects(account, at)["EUR"] == [
        Effect(at, D(-5), "flows"),
        Effect(at + 9 * SECOND, D(5), "flows"),
    ]


def test_however_many_fills_there_are_the_queries_are_as_many(
    account: ExchangeAccount, at: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fills = [
        make_fill_report("1", "2", external_id=f"f-{number}", executed_at=at)
        for number in range(10)
    ]
    see(account, closed(at), *fills)

    with django_assert_num_queries(5):
        assert len(effects(account, at)["ADA"]) == 10


def test_the_ledger_up_to_an_entry_tells_what_was_expected_then(
    account: ExchangeAccount, at: datetime
) -> None:
    then, last = expected_totals(account), account.ledger_entries.latest("pk").pk
    see(account, closed(at), make_fill_report("10", "2", executed_at=at))

    assert expected_by_wallet(account, last) == {"spot": then}
    assert expected_totals(account) != then
