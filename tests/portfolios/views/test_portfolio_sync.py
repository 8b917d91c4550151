from __future__ import annotations

from django.test import Client

from portfolios.models import SyncRun
from tests.builders import make_portfolio


def test_it_syncs_the_account_and_returns_to_the_portfolio(client: Client) -> None:
    portfolio = make_portfolio()

    response = client.post(f"/portfolios/{portfolio.pk}/sync/")

    assert SyncRun.objects.get().account == portfolio.account
    assert response.headers["Location"] == f"/portfolios/{portfolio.pk}/"
