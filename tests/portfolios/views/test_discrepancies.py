from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models.choices import Severity
from portfolios.selectors.listing import PER_PAGE
from tests.builders import make_account, make_discrepancy, make_portfolio
from tests.portfolios.views.pages import html_of, shown

MAX_QUERIES = 12


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


@pytest.mark.parametrize(
    "query", ["severity=critical", "state=RESOLVED", "q=wan", "account={pk}", "code=FEE_MISSING"]
)
def test_it_narrows(client: Client, query: str) -> None:
    account = make_account()
    state = "RESOLVED" if "RESOLVED" in query else "OPEN"
    code = "FEE_MISSING" if "code" in query else "BALANCE_SHORT"
    make_discrepancy(account, asset="WANTED", severity=Severity.CRITICAL, state=state, code=code)
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


def test_cards_count_what_is_in_each_state(client: Client) -> None:
    for state in ("OPEN", "OPEN", "SUSPECTED", "ACKNOWLEDGED", "DISMISSED"):
        make_discrepancy(state=state)
    make_discrepancy(state="OPEN", severity=Severity.CRITICAL)
    make_discrepancy(state="RESOLVED", resolved_at=timezone.now() - timedelta(hours=23))
    make_discrepancy(state="RESOLVED", resolved_at=timezone.now() - timedelta(hours=25))

    page = shown(client, "/discrepancies/")

    assert "Open 3 1 Critical 2 Error Suspected 1 1 Error Acknowledged 1 1 Error" in page
    assert "Resolved in the last 24 h 1 1 Error" in page


def test_a_card_without_any_says_so(client: Client) -> None:
    make_discrepancy(state="SUSPECTED")

    assert "Open 0 Nothing needs you." in shown(client, "/discrepancies/")


def test_what_was_resolved_lately_is_a_filter(client: Client) -> None:
    for asset, hours in (("LATELY", 23), ("LONG-AGO", 25)):
        resolved_at = timezone.now() - timedelta(hours=hours)
        make_discrepancy(asset=asset, state="RESOLVED", resolved_at=resolved_at)

    page = shown(client, "/discrepancies/?state=lately")

    assert "LATELY" in page
    assert "LONG-AGO" not in page


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("seen", ["often", "newer", "older"]),
        ("newest", ["newer", "often", "older"]),
        ("oldest", ["older", "often", "newer"]),
        ("asset", ["newer", "often", "older"]),
    ],
)
def test_the_chosen_order_holds(client: Client, sort: str, order: list[str]) -> None:
    now = timezone.now()
    for asset, times, hours in (("often", 9, 2), ("older", 1, 3), ("newer", 2, 1)):
        first_seen = now - timedelta(hours=hours)
        make_discrepancy(asset=asset, times_seen=times, first_seen=first_seen)

    page = shown(client, f"/discrepancies/?sort={sort}")

    places = [page.index(f"{asset} spot") for asset in order]
    assert places == sorted(places)


def test_an_order_narrows_nothing(client: Client) -> None:
    assert "Nothing differs." in shown(client, "/discrepancies/?sort=asset")


def test_rows_are_chosen_one_by_one_or_all_at_once(client: Client) -> None:
    found = make_discrepancy()
    box = f'<input type="checkbox" name="row" value="{found.pk}"'

    none, all_ = (html_of(client.get(f"/discrepancies/{q}")) for q in ("", "?chosen=all"))

    assert f"{box} >" in none
    assert f"{box} checked>" in all_


def test_who_may_not_decide_chooses_nothing(reader: Client) -> None:
    make_discrepancy()

    assert 'type="checkbox"' not in html_of(reader.get("/discrepancies/"))


def test_many_rows_take_as_many_queries_as_one(client: Client) -> None:
    make_discrepancy()
    with CaptureQueriesContext(connection) as few:
        client.get("/discrepancies/")
    for _number in range(PER_PAGE):
        make_discrepancy()

    with CaptureQueriesContext(connection) as many:
        client.get("/discrepancies/")

    assert len(many) == len(few) <= MAX_QUERIES
