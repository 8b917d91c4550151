from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from portfolios.models import Portfolio, PortfolioSnapshot
from portfolios.selectors import report
from portfolios.services.portfolio_snapshots import position_row, take_snapshots
from tests.builders import make_account, make_portfolio, make_position, make_run

D = Decimal
LATER = datetime(2100, 11, 23, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def alpha() -> Portfolio:
    """Open a portfolio of 1000 EUR, 20 of them locked, that has gained 5."""
    alpha = make_portfolio(
        trading_symbol="EUR", initialized=True, opening_cash=D(1000), realized_gain=D(5)
    )
    make_position(alpha, asset="EUR", amount=D(1000), reserved=D(20), cost=D(0))
    make_position(alpha, asset="BTC")
    return alpha


def test_a_snapshot_is_the_portfolio_as_the_report_tells_it(alpha: Portfolio) -> None:
    run = make_run(alpha.account)

    assert take_snapshots(run) == 1

    taken = PortfolioSnapshot.objects.get()
    told = report.portfolio_row(alpha)
    assert (taken.unallocated, taken.net_size, taken.pending) == (D(980), D(1005), D(20))
    assert taken.positions == sorted(told["positions"], key=lambda row: row["asset"])
    assert (taken.first_run, taken.last_run) == (run, run)


def test_a_position_is_written_as_the_report_does(alpha: Portfolio) -> None:
    for position in alpha.positions.all():
        assert position_row(position) == report.position_row(position)


def test_while_nothing_changes_the_last_one_is_confirmed(alpha: Portfolio) -> None:
    first, second = make_run(alpha.account), make_run(alpha.account)
    take_snapshots(first)

    with time_machine.travel(LATER, tick=False):
        assert take_snapshots(second) == 0

    taken = PortfolioSnapshot.objects.get()
    assert (taken.first_run, taken.last_run) == (first, second)
    assert taken.taken_at < taken.confirmed_at == LATER


@pytest.mark.parametrize("column", ["amount", "reserved", "cost"])
def test_a_change_is_another_snapshot(alpha: Portfolio, column: str) -> None:
    take_snapshots(make_run(alpha.account))
    alpha.positions.filter(asset="BTC").update(**{column: "0.000000000000000001"})

    assert take_snapshots(make_run(alpha.account)) == 1
    assert alpha.snapshots.count() == 2


def test_of_a_portfolio_that_is_not_opened_no_cash_is_told(alpha: Portfolio) -> None:
    Portfolio.objects.update(initialized=False, opening_cash=None)

    take_snapshots(make_run(alpha.account))

    taken = PortfolioSnapshot.objects.get()
    assert (taken.unallocated, taken.net_size, taken.pending) == (None, None, None)


def test_backtests_and_other_accounts_are_left_out(alpha: Portfolio) -> None:
    make_portfolio(alpha.account, mode=Portfolio.Mode.BACKTEST)
    make_portfolio(make_account())

    take_snapshots(make_run(alpha.account))

    assert [row.portfolio for row in PortfolioSnapshot.objects.all()] == [alpha]


def test_a_snapshot_tells_of_all_runs_between_two_that_found_the_same(alpha: Portfolio) -> None:
    runs = [make_run(alpha.account) for _number in range(4)]
    take_snapshots(runs[1])
    take_snapshots(runs[3])

    taken = PortfolioSnapshot.objects.get()
    assert (taken.first_run, taken.last_run) == (runs[1], runs[3])


def test_many_portfolios_take_no_more_queries_than_one(
    alpha: Portfolio, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    runs = [make_run(alpha.account) for _number in range(2)]
    take_snapshots(runs[0])
    for _number in range(5):
        make_position(make_portfolio(alpha.account))

    with django_assert_num_queries(5):
        take_snapshots(runs[1])
