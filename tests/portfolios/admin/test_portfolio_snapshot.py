from __future__ import annotations

from django.test import Client

from portfolios.models import PortfolioSnapshot
from portfolios.services.portfolio_snapshots import take_snapshots
from tests.builders import make_portfolio, make_run
from tests.portfolios.views.pages import text_of


def test_snapshots_are_looked_at_and_never_changed(admin_client: Client) -> None:
    portfolio = make_portfolio(name="alpha", initialized=True, opening_cash="1234.5")
    take_snapshots(make_run(portfolio.account))
    path = f"/admin/portfolios/portfoliosnapshot/{PortfolioSnapshot.objects.get().pk}/change/"

    assert "1234.5" in text_of(admin_client.get("/admin/portfolios/portfoliosnapshot/"))
    assert admin_client.get(path).status_code == 200
    assert admin_client.post(path, {"net_size": "1"}).status_code == 403
