from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Portfolio
from portfolios.selectors.portfolio_history import portfolio_history
from portfolios.services.portfolio_snapshots import take_snapshots
from tests.builders import make_portfolio, make_run

D = Decimal


@pytest.fixture
def alpha(db: None) -> Portfolio:
    """Open a portfolio whose net size was not known, then 1000, 1005, 1002."""
    alpha = make_portfolio()
    for gain in (None, 0, 5, 2):
        if gain is not None:
            Portfolio.objects.update(initialized=True, opening_cash="1000", realized_gain=gain)
        take_snapshots(make_run(alpha.account))
    return alpha


def test_the_newest_comes_first_with_its_change(alpha: Portfolio) -> None:
    rows = portfolio_history(alpha)

    assert [(row.snapshot.net_size, row.change) for row in rows] == [
        (D(1002), D(-3)),
        (D(1005), D(5)),
        (D(1000), None),
        (None, None),
    ]


def test_a_page_goes_on_where_the_last_one_ended(alpha: Portfolio) -> None:
    first = portfolio_history(alpha, limit=2)

    second = portfolio_history(alpha, before=first[-1].snapshot.pk, limit=2)
    assert [row.change for row in first] == [D(-3), D(5)]
    assert [row.snapshot.net_size for row in second] == [D(1000), None]
