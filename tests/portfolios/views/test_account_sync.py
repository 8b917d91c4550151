from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.manual_sync import COOL_DOWN
from tests.builders import make_account, make_run
from tests.portfolios.views.pages import html_of, text_of


def make_pressed_run(account: ExchangeAccount) -> SyncRun:
    finished_at = timezone.now() - timedelta(seconds=1)
    return make_run(account, trigger=SyncRun.Trigger.MANUAL, finished_at=finished_at)


def again(run: SyncRun) -> str:
    """Name the first whole second at which the button works."""
    assert run.finished_at is not None
    return f"{run.finished_at + COOL_DOWN + timedelta(seconds=1):%H:%M:%S}"


def test_it_opens_a_run(client: Client) -> None:
    account = make_account()

    client.post(f"/accounts/{account.pk}/sync/")

    run = SyncRun.objects.get(account=account)
    assert (run.status, run.trigger) == (SyncRun.Status.QUEUED, SyncRun.Trigger.MANUAL)


def test_it_joins_a_run_that_is_open(client: Client) -> None:
    run = make_run(status=SyncRun.Status.RUNNING)

    client.post(f"/accounts/{run.account_id}/sync/")

    assert SyncRun.objects.get() == run


def test_it_returns_to_the_account(client: Client) -> None:
    account = make_account()

    response = client.post(f"/accounts/{account.pk}/sync/")

    assert response.headers["Location"] == f"/accounts/{account.pk}/"


def test_it_returns_to_where_it_was_pressed(client: Client) -> None:
    account = make_account()

    response = client.post(f"/accounts/{account.pk}/sync/", {"next": "/?a=b"})

    assert response.headers["Location"] == "/?a=b"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:x"])
def test_it_does_not_return_to_a_strange_site(client: Client, target: str) -> None:
    account = make_account()

    response = client.post(f"/accounts/{account.pk}/sync/", {"next": target})

    assert response.headers["Location"] == f"/accounts/{account.pk}/"


def test_it_says_what_it_did(client: Client) -> None:
    account = make_account(label="main")

    response = client.post(f"/accounts/{account.pk}/sync/", follow=True)

    assert "Syncing main." in text_of(response)


def test_it_notes_who_asked(client: Client) -> None:
    account = make_account()

    client.post(f"/accounts/{account.pk}/sync/")

    assert str(SyncRun.objects.get().requested_by) == "alice"


def test_it_says_that_it_joins_a_run(client: Client) -> None:
    run = make_run(make_account(label="main"), status=SyncRun.Status.RUNNING)

    response = client.post(f"/accounts/{run.account_id}/sync/", follow=True)

    assert "A sync of main is under way already; this press joins it." in text_of(response)


def test_the_panel_goes_on_saying_that_it_was_joined(client: Client) -> None:
    run = make_run(status=SyncRun.Status.RUNNING)

    panel = client.post(f"/accounts/{run.account_id}/sync/", headers={"HX-Request": "true"})

    assert "you have joined it. Started by: Schedule." in text_of(panel)
    asked_next = re.search(r'hx-get="([^"]+)"', html_of(panel))
    assert asked_next is not None
    run.progress_total = 9
    run.save()
    assert "you have joined it" in text_of(client.get(unescape(asked_next[1])))


def test_a_second_press_soon_after_the_end_says_when_it_may_again(client: Client) -> None:
    account = make_account(label="main")
    with time_machine.travel(timezone.now(), tick=False):
        run = make_pressed_run(account)

        page = text_of(client.post(f"/accounts/{account.pk}/sync/", follow=True))

    words = f"main was synced a moment ago. It can be synced again from {again(run)} UTC."
    assert words in page
    assert SyncRun.objects.get() == run


def test_the_panel_says_when_it_may_again(client: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        run = make_pressed_run(make_account())

        panel = client.post(f"/accounts/{run.account_id}/sync/", headers={"HX-Request": "true"})

    assert f"It can be synced again from {again(run)} UTC." in text_of(panel)
    assert "hx-get" not in html_of(panel)


def test_htmx_is_given_the_panel_that_polls(client: Client) -> None:
    account = make_account(label="main")

    response = client.post(f"/accounts/{account.pk}/sync/", headers={"HX-Request": "true"})

    page = html_of(response)
    assert 'hx-trigger="every 1s"' in page
    assert "<html" not in page
