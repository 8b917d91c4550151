from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone

from portfolios.models import LedgerEntry, Portfolio, PortfolioSnapshot
from portfolios.selectors import comparison as selector
from portfolios.selectors.comparison import AssetChange, ComparePage, Comparison, compare_page
from portfolios.selectors.listing import Query
from portfolios.selectors.portfolio import portfolio_frame
from providers.sandbox.books import Fee
from providers.sandbox.server import SandboxServer
from tests.builders import NOON, make_entry, make_portfolio, make_portfolio_snapshot
from tests.desk import Desk

D = Decimal
Cause = LedgerEntry.Cause
pytestmark = pytest.mark.django_db


@pytest.fixture
def alpha() -> Portfolio:
    return make_portfolio(trading_symbol="EUR", initialized=True)


def snapshot(alpha: Portfolio, amount: str, hours: int = 0) -> PortfolioSnapshot:
    return make_portfolio_snapshot(alpha, amount=amount, taken_at=NOON + timedelta(hours=hours))


def booked(alpha: Portfolio, amount: str, hours: int, cause: Cause = Cause.EXECUTION) -> None:
    with time_machine.travel(NOON + timedelta(hours=hours), tick=False):
        make_entry(alpha, asset="BTC", amount=D(amount), cause=cause)


def compared(alpha: Portfolio, **query: object) -> Comparison:
    found = page_of(alpha, {name: str(value) for name, value in query.items()}).comparison
    assert found is not None
    return found


def page_of(alpha: Portfolio, query: Query) -> ComparePage:
    frame = portfolio_frame(alpha.pk, timezone.now())
    assert frame is not None
    return compare_page(frame, query, timezone.now())


def causes(row: AssetChange) -> list[tuple[str, int, Decimal]]:
    return [(str(part.cause.label), part.count, part.amount) for part in row.causes]


def test_each_asset_has_what_it_was_what_it_is_and_what_was_booked_between(
    sandbox: SandboxServer,
) -> None:
    desk = Desk(sandbox)
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.sync()
    first = desk.portfolio().snapshots.get()
    order = desk.buy("10", "0.4")
    desk.engine.fill_order(order.id, fee=Fee("ADA", D("0.01")))
    desk.sync()

    found = compared(desk.portfolio(), **{"from": first.pk})

    by_asset = {row.asset: row for row in found.assets}
    assert causes(by_asset["ADA"]) == [("Execution", 1, D(10)), ("Fee", 1, D("-0.01"))]
    assert (by_asset["ADA"].before, by_asset["ADA"].change) == (D(0), D("9.99"))
    assert (by_asset["EUR"].change, by_asset["ADA"].cost_change) == (D(-4), D(4))
    assert {row.unexplained for row in found.assets} == {D(0)}


def test_what_was_booked_before_and_after_explains_nothing(alpha: Portfolio) -> None:
    before, after = snapshot(alpha, "1"), snapshot(alpha, "3", hours=2)
    booked(alpha, "1", hours=-1)
    booked(alpha, "1.5", hours=1)
    booked(alpha, "7", hours=3)

    [row] = compared(alpha, **{"from": before.pk, "to": after.pk}).assets

    assert causes(row) == [("Execution", 1, D("1.5"))]
    assert row.unexplained == D("0.5")


def test_an_asset_that_came_and_went_between_is_named(alpha: Portfolio) -> None:
    before = make_portfolio_snapshot(alpha, positions=[], taken_at=NOON)
    after = make_portfolio_snapshot(alpha, positions=[], taken_at=NOON + timedelta(hours=2))
    booked(alpha, "1", hours=1)
    booked(alpha, "-1", hours=1)

    [row] = compared(alpha, **{"from": before.pk, "to": after.pk}).assets

    assert (row.asset, row.change, row.unexplained) == ("BTC", D(0), D(0))


def test_of_cash_that_was_not_known_no_change_is_told(alpha: Portfolio) -> None:
    before = make_portfolio_snapshot(alpha, unallocated=None, taken_at=NOON)
    after = snapshot(alpha, "1", hours=1)

    found = compared(alpha, **{"from": before.pk, "to": after.pk})

    assert {str(figure.name): figure.change for figure in found.figures} == {
        "Unallocated": None,
        "Locked by orders": None,
        "Net size": None,
        "Value at cost": None,
    }


def test_a_moment_names_what_held_then(alpha: Portfolio) -> None:
    first, second = snapshot(alpha, "1"), snapshot(alpha, "2", hours=2)
    snapshot(alpha, "3", hours=4)

    found = compared(alpha, **{"from": "2026-11-22T13:59:59", "to": "2026-11-22T14:00:00"})

    assert (found.before.snapshot, found.after.snapshot) == (first, second)


def test_the_earlier_moment_comes_first_however_they_are_named(alpha: Portfolio) -> None:
    first, second = snapshot(alpha, "1"), snapshot(alpha, "2", hours=2)

    found = compared(alpha, **{"from": second.pk, "to": first.pk})

    assert (found.before.snapshot, found.after.snapshot) == (first, second)


def test_without_moments_the_newest_is_compared_with_the_one_before(alpha: Portfolio) -> None:
    snapshot(alpha, "1")
    second, third = snapshot(alpha, "2", hours=2), snapshot(alpha, "3", hours=4)

    found = compared(alpha)

    assert (found.before.snapshot, found.after.snapshot) == (second, third)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "9" * 30, "9999-12-31T23:59:59", "0001-01-01T00:00:00+14:00", "a\0b"]
)
def test_what_names_no_moment_is_none(alpha: Portfolio, text: str) -> None:
    assert page_of(alpha, {"from": text, "to": text}).comparison is None


def test_a_snapshot_of_another_portfolio_is_not_there(alpha: Portfolio) -> None:
    theirs = snapshot(make_portfolio(), "1")
    snapshot(alpha, "1")

    assert page_of(alpha, {"from": str(theirs.pk)}).comparison is None


def test_more_than_can_be_added_up_is_not_added_up(
    alpha: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selector, "MAX_SUMMED", 1)
    before, after = snapshot(alpha, "1"), snapshot(alpha, "3", hours=2)
    booked(alpha, "1", hours=1)
    booked(alpha, "1", hours=1)

    found = compared(alpha, **{"from": before.pk, "to": after.pk})

    assert found.entry_count is None
    assert [(row.causes, row.unexplained) for row in found.assets] == [([], None)]
