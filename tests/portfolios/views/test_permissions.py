from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from portfolios.models import Discrepancy, ExchangeAccount, Incident, SyncRun
from tests.builders import (
    make_account,
    make_discrepancy,
    make_incident,
    make_order,
    make_portfolio,
)
from tests.portfolios.views.matches import make_match
from tests.portfolios.views.pages import html_of, text_of

ACTIONS = (
    "account_sync",
    "account_test",
    "account_pause",
    "account_resume",
    "portfolio_sync",
    "exception_resolve",
    "exception_mute",
    "sync_all",
)
PAGES = (
    *("overview", "accounts", "account", "account_orders", "portfolio"),
    *("discrepancy", "exception"),
)


@pytest.fixture
def urls(db: None) -> dict[str, str]:
    """Make one of everything that has buttons; return the address of each page and action."""
    portfolio = make_portfolio(make_account())
    pks = {"account": portfolio.account_id, "portfolio": portfolio.pk}
    pks["exception"] = make_incident(portfolio.account).pk
    pks["order"] = make_order(portfolio.account).pk
    lapse = Discrepancy.Code.ORDER_MISSING_AT_VENUE
    missing = make_order(portfolio)
    pks["discrepancy"] = make_discrepancy(missing.account, order=missing, code=lapse).pk
    return {
        name: reverse(name, args=[pks[noun]] if (noun := name.split("_")[0]) in pks else [])
        for name in (*ACTIONS, *PAGES)
    }


@pytest.mark.parametrize("name", ["account_sync", "portfolio_sync", "sync_all"])
def test_f42_a_reader_queues_no_run(reader: Client, urls: dict[str, str], name: str) -> None:
    response = reader.post(urls[name])

    assert response.status_code == 403
    assert not SyncRun.objects.exists()


def test_a_reader_queues_no_connection_test(reader: Client, urls: dict[str, str]) -> None:
    response = reader.post(urls["account_test"])

    assert response.status_code == 403
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize(("name", "paused"), [("account_pause", False), ("account_resume", True)])
def test_a_reader_changes_no_schedule(
    reader: Client, urls: dict[str, str], name: str, paused: bool
) -> None:
    ExchangeAccount.objects.update(paused=paused)

    response = reader.post(urls[name])

    assert response.status_code == 403
    assert ExchangeAccount.objects.get().paused is paused


@pytest.mark.parametrize("name", ["exception_resolve", "exception_mute"])
def test_a_reader_resolves_and_mutes_nothing(
    reader: Client, urls: dict[str, str], name: str
) -> None:
    before = Incident.objects.get().state

    response = reader.post(urls[name])

    assert response.status_code == 403
    assert Incident.objects.get().state == before


def test_who_may_decide_sees_the_button_that_accepts_a_match(
    client: Client, reader: Client
) -> None:
    found, _seen = make_match()

    pages = [html_of(who.get(f"/discrepancies/{found.pk}/")) for who in (client, reader)]

    assert ["/decisions/match_order/" in page for page in pages] == [True, False]


def test_a_reader_is_told_that_a_right_is_missing(reader: Client, urls: dict[str, str]) -> None:
    assert "You may not do this" in text_of(reader.post(urls["sync_all"]))


@pytest.mark.parametrize("page", PAGES)
def test_a_reader_sees_no_button(reader: Client, urls: dict[str, str], page: str) -> None:
    response = reader.get(urls[page])

    assert response.status_code == 200
    assert [name for name in ACTIONS if f'action="{urls[name]}"' in html_of(response)] == []


@pytest.mark.parametrize(
    ("page", "actions"),
    [
        ("overview", ["account_sync", "account_pause", "sync_all"]),
        ("accounts", ["account_sync", "account_pause"]),
        ("account", ["account_sync", "account_test", "account_pause"]),
        ("portfolio", ["portfolio_sync"]),
        ("exception", ["exception_resolve", "exception_mute"]),
    ],
)
def test_who_has_the_right_sees_the_buttons(
    client: Client, urls: dict[str, str], page: str, actions: list[str]
) -> None:
    html = html_of(client.get(urls[page]))

    assert [name for name in ACTIONS if f'action="{urls[name]}"' in html] == actions


@pytest.mark.parametrize(
    ("page", "kind"), [("account_orders", "claim_order"), ("discrepancy", "accept_lapse")]
)
def test_only_who_has_the_right_is_led_to_a_decision(
    client: Client, reader: Client, urls: dict[str, str], page: str, kind: str
) -> None:
    pages = [html_of(who.get(urls[page])) for who in (client, reader)]

    assert [f"/decisions/{kind}/" in html for html in pages] == [True, False]


def test_an_account_that_is_paused_can_be_resumed(client: Client, urls: dict[str, str]) -> None:
    ExchangeAccount.objects.update(paused=True)

    html = html_of(client.get(urls["account"]))

    assert f'action="{urls["account_resume"]}"' in html
