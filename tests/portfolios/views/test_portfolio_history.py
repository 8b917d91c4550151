from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from portfolios.models import Portfolio
from tests.builders import (
    make_entry,
    make_fill,
    make_order,
    make_portfolio,
    make_portfolio_snapshot,
)
from tests.portfolios.views.pages import html_of, shown


@pytest.fixture
def alpha(db: None) -> Portfolio:
    """Make a portfolio that bought BTC an hour ago."""
    alpha = make_portfolio(name="alpha", initialized=True)
    long_ago = timezone.now() - timedelta(hours=2)
    cash = {"asset": "USDT", "amount": "1000", "cost": "0"}
    make_portfolio_snapshot(alpha, positions=[cash], taken_at=long_ago)
    rows = [cash | {"amount": "400"}, {"asset": "BTC", "amount": "0.01", "cost": "600"}]
    moment = long_ago + timedelta(hours=1)
    make_portfolio_snapshot(
        alpha, positions=rows, net_size=Decimal(1000), taken_at=moment, confirmed_at=timezone.now()
    )
    return alpha


def page_of(client: Client, alpha: Portfolio, rest: str) -> str:
    return shown(client, f"/portfolios/{alpha.pk}/{rest}")


def test_the_history_says_that_its_value_is_no_market_value(
    client: Client, alpha: Portfolio
) -> None:
    page = page_of(client, alpha, "history/")

    assert "PosSync reads no prices: this is not what the portfolio would bring" in page
    assert "highest 1000 USDT" in page


def test_the_newest_composition_is_told_in_numbers(client: Client, alpha: Portfolio) -> None:
    page = page_of(client, alpha, "history/")

    assert "A USDT 400 40 B BTC 600 60" in page


def test_charts_are_drawn_by_the_server_and_have_words(client: Client, alpha: Portfolio) -> None:
    html = html_of(client.get(f"/portfolios/{alpha.pk}/history/"))

    drawn = re.findall(r'<svg class="plot".*?</svg>', html, re.DOTALL)
    assert [svg.count("<path") for svg in drawn] == [2, 2]
    assert all("aria-label" in svg for svg in drawn)


def test_a_row_of_the_history_leads_to_what_changed(client: Client, alpha: Portfolio) -> None:
    newest = alpha.snapshots.order_by("-pk")[0]
    html = html_of(client.get(f"/portfolios/{alpha.pk}/history/"))

    assert f'href="/portfolios/{alpha.pk}/compare/?to={newest.pk}"' in html


def test_a_comparison_shows_before_after_and_change(client: Client, alpha: Portfolio) -> None:
    page = page_of(client, alpha, "compare/")

    assert "BTC 0 0.01 +0.01" in page
    assert "USDT 1000 400 -600" in page


def test_what_no_entry_explains_is_said(client: Client, alpha: Portfolio) -> None:
    assert "+0.01 is explained by no entry of this time" in page_of(client, alpha, "compare/")


def test_moments_of_which_nothing_is_known_are_not_compared(
    client: Client, alpha: Portfolio
) -> None:
    page = page_of(client, alpha, "compare/?from=2001-01-01T00:00:00")

    assert "No two good runs tell of these moments" in page


def test_a_portfolio_has_its_own_fills_and_ledger_only(client: Client, alpha: Portfolio) -> None:
    theirs = make_portfolio(alpha.account)
    make_fill(make_order(alpha), external_id="our-fill")
    make_fill(make_order(theirs), external_id="their-fill")
    make_entry(alpha, asset="OURS")
    make_entry(theirs, asset="THEIRS")

    pages = page_of(client, alpha, "fills/") + page_of(client, alpha, "ledger/")

    assert "our-fill" in pages
    assert "OURS" in pages
    assert "their-fill" not in pages
    assert "THEIRS" not in pages


def test_a_portfolio_without_history_says_so(client: Client) -> None:
    alpha = make_portfolio()

    assert "No good run has been seen yet." in page_of(client, alpha, "history/")
