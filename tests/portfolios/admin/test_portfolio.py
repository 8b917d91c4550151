from __future__ import annotations

from decimal import Decimal

from django.test import Client

from portfolios.models import Portfolio
from tests.builders import make_account, make_order, make_portfolio
from tests.portfolios.views.pages import html_of

ADD = "/admin/portfolios/portfolio/add/"


def test_a_portfolio_is_added_with_an_exact_balance(admin_client: Client) -> None:
    account = make_account()
    form = {
        "name": "alpha",
        "account": account.pk,
        "trading_symbol": "USDT",
        "initial_balance": "1234.000000000000000001",
        "mode": "live",
    }

    admin_client.post(ADD, form)

    assert Portfolio.objects.get().initial_balance == Decimal("1234.000000000000000001")


def test_an_opened_portfolio_keeps_what_it_was_opened_on(admin_client: Client) -> None:
    portfolio = make_portfolio(initialized=True, initial_balance=Decimal(1000))
    url = f"/admin/portfolios/portfolio/{portfolio.pk}/change/"
    form = {"name": "renamed", "initial_balance": "9", "trading_symbol": "EUR", "mode": "live"}

    admin_client.post(url, form)

    portfolio.refresh_from_db()
    assert (portfolio.name, portfolio.trading_symbol) == ("renamed", "USDT")
    assert portfolio.initial_balance == Decimal(1000)
    assert 'name="initial_balance"' not in html_of(admin_client.get(url))


def test_a_portfolio_with_orders_does_not_become_a_backtest(admin_client: Client) -> None:
    portfolio = make_order(make_portfolio()).portfolio
    assert portfolio is not None

    page = html_of(admin_client.get(f"/admin/portfolios/portfolio/{portfolio.pk}/change/"))

    assert 'name="mode"' not in page
    assert 'name="initial_balance"' in page
