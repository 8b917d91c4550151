"""What is asked of an exchange: cheaply while nothing moves, fully when something did, and at least hourly."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount
from portfolios.models.choices import Verdict
from portfolios.services.snapshot_requests import reading_depth, snapshot_request
from providers.reports import BalanceReport, Depth, LegKind
from providers.sandbox.books import Fee
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_discrepancy,
    make_order,
    make_portfolio,
)
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import stored_facts

D = Decimal
MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.django_db


def account_read(full_read_at: datetime | None, **values: object) -> ExchangeAccount:
    return make_account(
        baseline_at=NOON,
        baseline_booked_at=NOON,
        full_read_at=full_read_at,
        lag_seconds=60,
        **values,
    )


def test_the_first_look_takes_the_account_as_it_is() -> None:
    assert reading_depth(make_account(), NOON) is Depth.CHEAP


@pytest.mark.parametrize(("minutes", "depth"), [(59, Depth.CHEAP), (60, Depth.FULL)])
def test_everything_is_read_at_least_hourly(minutes: int, depth: Depth) -> None:
    assert reading_depth(account_read(NOON), NOON + minutes * MINUTE) is depth


def test_the_hour_begins_with_the_baseline() -> None:
    assert reading_depth(account_read(None), NOON + 60 * MINUTE) is Depth.FULL


def test_after_a_movement_everything_is_read_until_the_lag_is_over() -> None:
    soon_after = account_read(NOON + timedelta(seconds=59), moved_at=NOON)
    long_after = account_read(NOON + timedelta(seconds=60), moved_at=NOON)

    depths = [reading_depth(x, NOON + 2 * MINUTE) for x in (soon_after, long_after)]

    assert depths == [Depth.FULL, Depth.CHEAP]


@pytest.mark.parametrize(
    ("verdict", "depth"),
    [
        (Verdict.DIFFERS, Depth.FULL),
        (Verdict.CONSISTENT, Depth.FULL),
        (Verdict.VERIFIED, Depth.CHEAP),
        (Verdict.NOT_VERIFIABLE, Depth.CHEAP),
    ],
)
def test_while_something_does_not_agree_beyond_doubt_everything_is_read(
    verdict: Verdict, depth: Depth
) -> None:
    account = account_read(NOON)
    make_balance(account, verdict=verdict)

    assert reading_depth(account, NOON + MINUTE) is depth


@pytest.mark.parametrize(("state", "depth"), [("SUSPECTED", Depth.FULL), ("OPEN", Depth.CHEAP)])
def test_while_it_is_suspected_that_something_else_is_in_use_everything_is_read(
    state: str, depth: Depth
) -> None:
    account = account_read(NOON)
    make_discrepancy(account, code="BALANCE_LOCK_MISMATCH", state=state)

    assert reading_depth(account, NOON + MINUTE) is depth


def test_a_request_says_what_the_last_look_saw_and_what_the_books_name() -> None:
    account = account_read(NOON, symbols=["DOT/EUR"])
    make_balance(account, asset="ADA", free=D(3), used=D(2), total=D(5))
    order = make_order(make_portfolio(account, trading_symbol="EUR"), symbol="ADA/EUR")

    request = snapshot_request(account)

    assert request.last_balances == (BalanceReport("ADA", D(3), D(2), D(5)),)
    assert request.symbols == ("ADA/EUR", "DOT/EUR")
    assert request.assets == ("EUR",)
    assert request.known_order_ids == {order.external_id}
    assert request.facts_since == NOON


def test_nothing_is_asked_of_the_time_before_the_baseline() -> None:
    assert snapshot_request(make_account()).facts_since is None


# --- what it costs over HTTP --------------------------------------------------------------------


@pytest.fixture
def trader(desk: Desk) -> Desk:
    """Sync an account whose facts are older than any read that follows."""
    long_ago = timezone.now() - timedelta(days=1)
    desk.engine.deposit(KEY, "EUR", "1100", long_ago)
    desk.open_portfolio("1000")
    desk.sync()
    desk.sync()
    return desk


def requests_of_a_sync(desk: Desk) -> list[str]:
    desk.server.requests.clear()
    desk.sync()
    return [path.rpartition("/")[2] for path in desk.requests()]


def test_an_unchanged_account_costs_two_requests(trader: Desk) -> None:
    assert sorted(requests_of_a_sync(trader)) == ["account", "openOrders"]


@pytest.mark.parametrize("movement", ["deposit", "take_away"])
def test_a_balance_that_moved_is_read_about_fully(trader: Desk, movement: str) -> None:
    getattr(trader, movement)("EUR", "5")

    asked = requests_of_a_sync(trader)

    assert {"hisrec", "history"} <= set(asked)
    assert trader.account.moved_at is not None


def test_a_movement_costs_one_full_read_and_the_next_look_two_requests_again(
    trader: Desk,
) -> None:
    order = trader.buy("10", "5")
    trader.sync()
    trader.sync()
    trader.engine.fill_order(order.id, fee=Fee("EUR", D("0.1")))

    first = requests_of_a_sync(trader)
    second = requests_of_a_sync(trader)

    assert {"hisrec", "history", "myTrades"} <= set(first)
    assert sorted(second) == ["account", "openOrders"]


def test_a_full_read_that_finds_nothing_changes_nothing(trader: Desk) -> None:
    trader.engine.fill_order(trader.buy("10", "5").id, fee=Fee("EUR", D("0.1")))
    trader.sync()
    trader.sync()
    before = stored_facts()
    two_hours_ago = timezone.now() - timedelta(hours=2)
    ExchangeAccount.objects.update(full_read_at=two_hours_ago)

    trader.sync()

    assert stored_facts() == before
    full_read_at = trader.account.full_read_at
    assert full_read_at is not None
    assert full_read_at > two_hours_ago


def test_a_full_read_asks_from_the_cursor_on(trader: Desk) -> None:
    trader.engine.fill_order(trader.buy("10", "5").id)
    trader.sync()

    request = snapshot_request(trader.account)

    subjects = {
        cursor.subject for cursor in request.cursors if cursor.kind is LegKind.ACCOUNT_FILLS
    }
    assert "ADA/EUR" in subjects
    assert request.overlap_seconds == 300
