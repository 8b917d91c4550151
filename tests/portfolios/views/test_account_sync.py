from __future__ import annotations

import pytest
from django.test import Client

from portfolios.models import SyncRun
from tests.builders import make_account, make_run
from tests.portfolios.views.pages import html_of, text_of


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


def test_htmx_is_given_the_panel_that_polls(client: Client) -> None:
    account = make_account(label="main")

    response = client.post(f"/accounts/{account.pk}/sync/", headers={"HX-Request": "true"})

    page = html_of(response)
    assert 'hx-trigger="every 1s"' in page
    assert "<html" not in page
