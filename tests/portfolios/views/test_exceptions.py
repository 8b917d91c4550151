from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.models import Incident
from portfolios.selectors.listing import PER_PAGE
from tests.builders import NOON, make_account, make_incident, make_occurrence
from tests.portfolios.views.pages import html_of, shown

MAX_QUERIES = 12


def test_no_exception_has_a_page_of_its_own(client: Client) -> None:
    make_incident(state=Incident.State.RESOLVED)

    assert "No unresolved exception." in shown(client, "/exceptions/")


def test_it_shows_groups_with_their_count(client: Client) -> None:
    make_incident(
        make_account(label="main"),
        category="rate",
        type="RateLimited",
        message="binance asks for fewer requests.",
        operation="open_orders",
        count=31,
    )

    page = shown(client, "/exceptions/")

    assert "binance asks for fewer requests. Rate limit · RateLimited" in page
    assert "Unresolved main open_orders binance 31" in page


def test_what_came_back_is_shown_as_well(client: Client) -> None:
    make_incident(message="again", state=Incident.State.REGRESSED)

    assert "again" in shown(client, "/exceptions/")


@pytest.mark.parametrize(
    "query", ["category=auth", "state=resolved", "q=wan", "q=kraken", "account={pk}"]
)
def test_it_narrows(client: Client, query: str) -> None:
    account = make_account(market="kraken")
    state = Incident.State.RESOLVED if "resolved" in query else Incident.State.UNRESOLVED
    make_incident(account, message="wanted", category="auth", state=state)
    make_incident(message="another")

    page = shown(client, "/exceptions/?" + query.format(pk=account.pk))

    assert "wanted" in page
    assert "another" not in page


def test_it_offers_to_clear_filters_that_match_nothing(client: Client) -> None:
    make_incident()

    assert "Nothing matches these filters." in shown(client, "/exceptions/?q=nowhere")


def test_an_exception_of_no_account_is_shown(client: Client) -> None:
    incident = make_incident(message="of nobody")
    Incident.objects.filter(pk=incident.pk).update(account=None)

    assert "of nobody" in shown(client, "/exceptions/")


def make_group(*states: Incident.State, **kwargs: object) -> list[Incident]:
    """Make one exception on an account for each state."""
    same: dict[str, object] = {"fingerprint": "aa11", "message": "of all"}
    return [make_incident(make_account(), state=state, **same | kwargs) for state in states]


def test_the_same_exception_of_many_accounts_is_one_row(client: Client) -> None:
    make_group(Incident.State.UNRESOLVED, Incident.State.REGRESSED, count=2)

    page = shown(client, "/exceptions/")

    assert page.count("of all") == 1
    assert "Regressed 2 accounts balances binance 4" in page


def test_the_same_exception_of_another_market_is_another_row(client: Client) -> None:
    make_group(Incident.State.UNRESOLVED)
    make_incident(make_account(market="kraken"), fingerprint="aa11", message="of all")

    assert shown(client, "/exceptions/").count("of all") == 2


def test_each_state_is_counted_and_leads_to_its_list(client: Client) -> None:
    make_incident(message="came back", state=Incident.State.REGRESSED)
    make_incident(message="never left")

    html = html_of(client.get("/exceptions/"))

    links = re.findall(r'href="/exceptions/(\?state=\w+)"><span class="chip', html)
    assert links == ["?state=regressed", "?state=new"]
    assert ["never left" in shown(client, f"/exceptions/{link}") for link in links] == [False, True]


def test_a_muted_one_is_counted_apart_and_not_listed(client: Client) -> None:
    make_incident(message="hushed", state=Incident.State.MUTED)

    page = shown(client, "/exceptions/")

    assert "1 Muted" in page
    assert "hushed" not in page
    assert "hushed" in shown(client, "/exceptions/?state=muted")


def test_the_chosen_order_holds(client: Client) -> None:
    for count in (1, 3, 2):
        make_incident(message=f"seen {count} times", count=count)

    page = shown(client, "/exceptions/?sort=count")

    found = [page.index(f"seen {count} times") for count in (3, 2, 1)]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "Last 24 h: 3 times, at most 2 in one bar"),
        ("?bars=fortnight", "Last 14 days: 4 times, at most 3 in one bar"),
    ],
)
def test_bars_tell_how_often_it_happened_lately(client: Client, query: str, words: str) -> None:
    with time_machine.travel(NOON, tick=False):
        incident = make_incident()
        for hours in (0, 5, 5, 24 * 13, 24 * 15):
            make_occurrence(incident, occurred_at=NOON - timedelta(hours=hours))

        html = html_of(client.get(f"/exceptions/{query}"))

    assert f'aria-label="{words}"' in html


def test_many_groups_take_as_many_queries_as_one(client: Client) -> None:
    make_occurrence(make_incident())
    with CaptureQueriesContext(connection) as few:
        client.get("/exceptions/")
    for _number in range(PER_PAGE):
        make_occurrence(make_incident())

    with CaptureQueriesContext(connection) as many:
        client.get("/exceptions/")

    assert len(many) == len(few) <= MAX_QUERIES
