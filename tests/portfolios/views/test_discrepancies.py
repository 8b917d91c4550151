from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from portfolios.models.choices import Severity
from portfolios.selectors.listing import PER_PAGE
from tests.builders import make_account, make_discrepancy, make_portfolio
from tests.portfolios.views.pages import html_of, shown


def test_nothing_wrong_has_a_page_of_its_own(client: Client) -> None:
    assert "Nothing differs. Every asset" in shown(client, "/discrepancies/")


def test_no_match_is_another_one(client: Client) -> None:
    make_discrepancy(asset="BTC")

    page = shown(client, "/discrepancies/?q=doge")

    assert "Nothing matches these filters. Clear filters" in page
    assert "Nothing differs." not in page


def test_it_shows_book_exchange_and_difference(client: Client) -> None:
    make_discrepancy(
        asset="BTC",
        book=Decimal("1.5"),
        exchange=Decimal("1.25"),
        difference=Decimal("-0.25"),
        times_seen=36,
        first_seen=timezone.now() - timedelta(hours=3),
        last_seen=timezone.now() - timedelta(minutes=1),
    )

    page = shown(client, "/discrepancies/")

    assert "BTC spot 1.5 1.25 -0.25 3 h last seen 1 min ago 36" in page


def test_what_is_settled_is_left_out(client: Client) -> None:
    make_discrepancy(asset="OLD", state="RESOLVED")
    make_discrepancy(asset="LIVE", state="SUSPECTED")

    page = shown(client, "/discrepancies/")

    assert "LIVE" in page
    assert "OLD" not in page


@pytest.mark.parametrize("query", ["severity=critical", "state=RESOLVED", "q=wan", "account={pk}"])
def test_it_narrows(client: Client, query: str) -> None:
    account = make_account()
    state = "RESOLVED" if "RESOLVED" in query else "OPEN"
    make_discrepancy(account, asset="WANTED", severity=Severity.CRITICAL, state=state)
    make_discrepancy(asset="OTHER")

    page = shown(client, "/discrepancies/?" + query.format(pk=account.pk))

    assert "WANTED" in page
    assert "OTHER" not in page


@pytest.mark.parametrize("query", ["account=x", "state=%00", "severity=worst", "page=-3", "page=x"])
def test_a_filter_that_means_nothing_is_ignored(client: Client, query: str) -> None:
    make_discrepancy(asset="SHOWN")

    assert "SHOWN" in shown(client, f"/discrepancies/?{query}")


def test_a_search_for_a_nul_finds_nothing_special(client: Client) -> None:
    make_discrepancy(asset="SHOWN")

    assert "SHOWN" in shown(client, "/discrepancies/?q=%00")


def test_the_worst_stand_first(client: Client) -> None:
    for severity in (Severity.WARNING, Severity.CRITICAL, Severity.INFO):
        make_discrepancy(asset=f"of-{severity}", severity=severity)

    page = shown(client, "/discrepancies/")

    found = [page.index(f"of-{severity}") for severity in ("critical", "warning", "info")]
    assert found == sorted(found)


def test_it_finds_by_portfolio(client: Client) -> None:
    portfolio = make_portfolio(name="carry")
    make_discrepancy(portfolio.account, portfolio=portfolio, asset="WANTED")

    assert "WANTED" in shown(client, "/discrepancies/?q=carry")


def test_a_page_keeps_the_filters(client: Client) -> None:
    account = make_account()
    for _number in range(PER_PAGE + 1):
        make_discrepancy(account)

    page = html_of(client.get("/discrepancies/?state=OPEN"))

    assert 'href="?state=OPEN&amp;page=2"' in page
