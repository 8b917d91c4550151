from __future__ import annotations

import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from portfolios.models import SyncRun
from portfolios.tasks import MOST_RUNS_OF_A_TASK
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


def test_forty_accounts_take_no_more_queries_than_two(client: Client) -> None:
    asked = []
    for number in (2, 38):
        for each in range(number):
            make_account(label=f"{number} {each}")
        with CaptureQueriesContext(connection) as captured:
            client.post("/sync/")
        asked.append(len(captured))
        SyncRun.objects.update(status=SyncRun.Status.SUCCEEDED)

    # A task holds at most twenty runs.
    assert asked[1] - asked[0] <= 40 / MOST_RUNS_OF_A_TASK


def test_a_sync_that_is_under_way_is_joined(client: Client) -> None:
    busy = make_run(make_account(label="busy"), status=SyncRun.Status.RUNNING)
    make_account(label="calm")

    client.post("/sync/")

    [task] = OrmQ.objects.all()
    [opened] = SyncRun.objects.exclude(pk=busy.pk)
    assert (opened.account.label, opened.status) == ("calm", SyncRun.Status.QUEUED)
    assert task.args() == ([opened.pk],)
