from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

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


def test_it_narrows_to_the_last_hour(client: Client) -> None:
    old, _new = make_run(message="the old one"), make_run(message="the new one")
    two_hours_ago = timezone.now() - timedelta(hours=2)
    SyncRun.objects.filter(pk=old.pk).update(queued_at=two_hours_ago)

    page = shown(client, "/runs/?since=hour")

    assert "the new one" in page
    assert "the old one" not in page


def test_it_says_who_asked(client: Client) -> None:
    carol = User.objects.create_user("carol")
    make_run(trigger=SyncRun.Trigger.MANUAL, requested_by=carol)

    assert "Sync now carol" in shown(client, "/runs/")


def test_it_offers_to_clear_filters_that_match_nothing(client: Client) -> None:
    make_run()

    assert "Nothing matches these filters." in shown(client, "/runs/?status=lost")
