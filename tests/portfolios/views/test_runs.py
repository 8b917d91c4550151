from __future__ import annotations

import pytest
from django.test import Client

from portfolios.models import SyncRun
from tests.builders import make_account, make_run
from tests.portfolios.views.pages import shown


def test_nothing_synced_yet_has_a_page_of_its_own(client: Client) -> None:
    assert "Nothing has been synced yet." in shown(client, "/runs/")


def test_it_shows_runs_newest_first(client: Client) -> None:
    first = make_run(make_account(label="first one"))
    second = make_run(make_account(label="second one"))

    page = shown(client, "/runs/")

    assert page.index(f"{second.pk} second one") < page.index(f"{first.pk} first one")


@pytest.mark.parametrize("query", ["account={pk}", "status=failed", "trigger=manual"])
def test_it_narrows(client: Client, query: str) -> None:
    wanted = make_run(
        status=SyncRun.Status.FAILED, trigger=SyncRun.Trigger.MANUAL, message="the wanted"
    )
    make_run(message="the other")

    page = shown(client, "/runs/?" + query.format(pk=wanted.account_id))

    assert "the wanted" in page
    assert "the other" not in page


def test_it_offers_to_clear_filters_that_match_nothing(client: Client) -> None:
    make_run()

    assert "Nothing matches these filters." in shown(client, "/runs/?status=lost")
