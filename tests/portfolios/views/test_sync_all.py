from __future__ import annotations

import time_machine
from django.test import Client
from django.utils import timezone

from portfolios.models import SyncRun
from tests.builders import make_account, make_run
from tests.portfolios.views.pages import text_of


def test_what_was_synced_a_moment_ago_is_left_in_peace(client: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        make_run(trigger=SyncRun.Trigger.MANUAL, finished_at=timezone.now())
        make_account()

        page = text_of(client.post("/sync/", follow=True))

    assert "Syncing 1 account." in page
    assert "1 account was synced a moment ago; press again in a few seconds." in page
    assert SyncRun.objects.count() == 2


def test_it_syncs_every_account_that_is_not_paused(client: Client) -> None:
    make_account(label="a")
    make_account(label="b")
    make_account(label="sleeping", paused=True)

    response = client.post("/sync/", follow=True)

    labels = SyncRun.objects.values_list("account__label", flat=True)
    assert sorted(labels) == ["a", "b"]
    assert "Syncing 2 accounts." in text_of(response)
