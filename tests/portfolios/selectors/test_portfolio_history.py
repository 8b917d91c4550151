from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from portfolios.models import Portfolio, SyncRun
from portfolios.selectors.portfolio_history import MAX_BANDS, MAX_POINTS, course, valued
from tests.builders import NOON, make_portfolio, make_portfolio_snapshot, make_run

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def alpha() -> Portfolio:
    return make_portfolio(trading_symbol="EUR", initialized=True)


@pytest.fixture
def run(alpha: Portfolio) -> SyncRun:
    return make_run(alpha.account)


def row(asset: str, amount: str, cost: str) -> dict[str, str]:
    return {"asset": asset, "amount": amount, "cost": cost}


def test_value_at_cost_is_the_cash_and_what_was_paid_for_the_rest(
    alpha: Portfolio, run: SyncRun
) -> None:
    rows = [row("EUR", "100.000000000000000001", "0"), row("BTC", "0.5", "30000")]
    snapshot = make_portfolio_snapshot(alpha, run, positions=rows)

    assert valued(snapshot, "EUR").value == D("30100.000000000000000001")


def test_books_that_are_not_opened_have_no_value(alpha: Portfolio, run: SyncRun) -> None:
    snapshot = make_portfolio_snapshot(alpha, run, unallocated=None)

    assert valued(snapshot, "EUR").value is None


def test_what_held_when_the_time_began_is_drawn_from_there(alpha: Portfolio, run: SyncRun) -> None:
    make_portfolio_snapshot(alpha, run, cost="7", taken_at=NOON - timedelta(days=90))
    make_portfolio_snapshot(alpha, run, cost="1", taken_at=NOON - timedelta(days=80))
    make_portfolio_snapshot(alpha, run, cost="2", taken_at=NOON - timedelta(hours=12))
    make_portfolio_snapshot(alpha, run, cost="2", taken_at=NOON)

    drawn = course(alpha, "day", NOON).values

    assert drawn is not None
    assert (drawn.start, drawn.end) == (NOON - timedelta(days=1), NOON)
    assert (drawn.low, drawn.lines[0]) == (D(1), "M0 160H300V0H600H600")


def test_of_many_snapshots_few_are_read_the_last_one_among_them(
    alpha: Portfolio, run: SyncRun
) -> None:
    for minute in range(MAX_POINTS + 30):
        make_portfolio_snapshot(
            alpha, run, cost=str(minute + 1), taken_at=NOON + timedelta(minutes=minute)
        )

    drawn = course(alpha, "day", NOON + timedelta(hours=4)).values

    assert drawn is not None
    assert drawn.lines[0].count("H") == MAX_POINTS
    assert (drawn.low, drawn.high) == (D(1), D(MAX_POINTS + 30))


def test_the_smallest_assets_are_summed_up(alpha: Portfolio, run: SyncRun) -> None:
    rows = [row(f"A{number}", "1", str(10 + number)) for number in range(MAX_BANDS + 1)]
    make_portfolio_snapshot(alpha, run, positions=rows, taken_at=NOON - timedelta(hours=1))
    make_portfolio_snapshot(alpha, run, positions=rows, taken_at=NOON)

    shares = course(alpha, "day", NOON).shares

    assert [share.name for share in shares] == ["A6", "A5", "A4", "A3", "A2", "Others"]
    assert shares[-1].cost == D(21)


def test_a_share_is_rounded_to_a_tenth_of_a_percent(alpha: Portfolio, run: SyncRun) -> None:
    rows = [row("BTC", "1", "1"), row("ETH", "1", "2"), row("ADA", "1", "-1")]
    make_portfolio_snapshot(alpha, run, positions=rows, taken_at=NOON)

    shares = course(alpha, "day", NOON).shares

    assert {share.name: share.percent for share in shares} == {
        "ETH": D("66.7"),
        "BTC": D("33.3"),
    }


def test_what_is_below_zero_now_has_no_share(alpha: Portfolio, run: SyncRun) -> None:
    before, now = [row("BTC", "1", "5")], [row("BTC", "1", "-1"), row("ETH", "1", "1")]
    make_portfolio_snapshot(alpha, run, positions=before, taken_at=NOON - timedelta(hours=1))
    make_portfolio_snapshot(alpha, run, positions=now, taken_at=NOON)

    shares = course(alpha, "day", NOON).shares

    assert [(share.name, share.cost, share.percent) for share in shares] == [
        ("BTC", D(-1), None),
        ("ETH", D(1), D(100)),
    ]


def test_a_portfolio_without_history_has_no_course(alpha: Portfolio) -> None:
    drawn = course(alpha, "all", NOON)

    assert (drawn.values, drawn.bands, drawn.shares) == (None, None, [])
