from __future__ import annotations

import pytest
from django.test import Client

from portfolios.models import Incident
from tests.builders import make_account, make_incident
from tests.portfolios.views.pages import shown


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
    assert "Unresolved main open_orders 31" in page


def test_what_came_back_is_shown_as_well(client: Client) -> None:
    make_incident(message="again", state=Incident.State.REGRESSED)

    assert "again" in shown(client, "/exceptions/")


@pytest.mark.parametrize("query", ["category=auth", "state=resolved", "q=wan", "account={pk}"])
def test_it_narrows(client: Client, query: str) -> None:
    account = make_account()
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
