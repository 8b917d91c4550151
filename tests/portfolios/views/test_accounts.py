from __future__ import annotations

from django.test import Client

from portfolios.models import SyncRun
from tests.builders import make_account, make_credential, make_portfolio, make_run
from tests.portfolios.views.pages import shown


def test_it_leads_to_the_first_steps_if_there_is_no_account(client: Client) -> None:
    assert "There is no account yet. See the first steps" in shown(client, "/accounts/")


def test_it_narrows_to_a_state(client: Client) -> None:
    make_credential(account := make_account(label="broken"))
    make_run(account, status=SyncRun.Status.FAILED)
    make_account(label="sleeping", paused=True)

    page = shown(client, "/accounts/?state=failing")

    assert "broken" in page
    assert "sleeping" not in page


def test_it_finds_what_is_under_way_whatever_its_state(client: Client) -> None:
    make_run(make_account(label="busy"), status=SyncRun.Status.RUNNING)
    make_account(label="calm")

    page = shown(client, "/accounts/?state=running")

    assert "busy" in page
    assert "calm" not in page


def test_it_narrows_to_a_market(client: Client) -> None:
    make_account(label="first", market="okx")
    make_account(label="second", market="kraken")

    page = shown(client, "/accounts/?market=kraken")

    assert "second" in page
    assert "first" not in page


def test_it_finds_an_account_by_the_name_of_a_portfolio(client: Client) -> None:
    make_portfolio(make_account(label="wanted"), name="Alpha")
    make_account(label="other")

    page = shown(client, "/accounts/?q=alph")

    assert "wanted" in page
    assert "other" not in page


def test_it_offers_to_clear_filters_that_match_nothing(client: Client) -> None:
    make_account()

    page = shown(client, "/accounts/?q=nowhere")

    assert "Nothing matches these filters. Clear filters" in page


def test_a_state_that_does_not_exist_is_ignored(client: Client) -> None:
    make_account(label="only one")

    assert "only one" in shown(client, "/accounts/?state=purple")
