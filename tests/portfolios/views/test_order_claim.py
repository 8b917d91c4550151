from __future__ import annotations

import pytest
from django.test import Client

from portfolios.models import Order, Portfolio
from tests.builders import make_account, make_order, make_portfolio
from tests.portfolios.views.pages import text_of


def test_it_gives_the_order_away_and_returns_to_the_page_of_the_form(client: Client) -> None:
    portfolio = make_portfolio(name="alpha")
    order = make_order(portfolio.account, external_id="77")
    back = f"/accounts/{order.account_id}/?owner=external"

    response = client.post(
        f"/orders/{order.pk}/claim/", {"portfolio": portfolio.pk, "next": back}, follow=True
    )

    assert Order.objects.get().portfolio == portfolio
    assert response.redirect_chain == [(back, 302)]
    assert "Order 77 belongs to alpha now." in text_of(response)


@pytest.mark.parametrize("portfolio", ["", "x", "999", "9" * 40])
def test_a_form_that_names_no_portfolio_changes_nothing(client: Client, portfolio: str) -> None:
    order = make_order(make_account())

    response = client.post(f"/orders/{order.pk}/claim/", {"portfolio": portfolio}, follow=True)

    assert "Choose a portfolio of this account." in text_of(response)
    assert Order.objects.get().portfolio is None


@pytest.mark.parametrize("is_backtest", [True, False])
def test_a_backtest_or_a_portfolio_of_another_account_is_no_owner(
    client: Client, is_backtest: bool
) -> None:
    order = make_order(make_account())
    other = make_portfolio(order.account, mode=Portfolio.Mode.BACKTEST)
    if not is_backtest:
        other = make_portfolio()

    response = client.post(f"/orders/{order.pk}/claim/", {"portfolio": other.pk}, follow=True)

    assert "Choose a portfolio of this account." in text_of(response)


def test_it_says_why_it_was_refused(client: Client) -> None:
    portfolio = make_portfolio()
    order = make_order(portfolio, external_id="77")

    response = client.post(f"/orders/{order.pk}/claim/", {"portfolio": portfolio.pk}, follow=True)

    assert "Order 77 of account" in text_of(response)
    assert "belongs to a portfolio already" in text_of(response)
