from __future__ import annotations

from django.test import Client

from portfolios.models import SyncRun
from tests.builders import make_account
from tests.portfolios.views.pages import text_of


def test_it_syncs_every_account_that_is_not_paused(client: Client) -> None:
    make_account(label="a")
    make_account(label="b")
    make_account(label="sleeping", paused=True)

    response = client.post("/sync/", follow=True)

    labels = SyncRun.objects.values_list("account__label", flat=True)
    assert sorted(labels) == ["a", "b"]
    assert "Syncing 2 accounts." in text_of(response)
