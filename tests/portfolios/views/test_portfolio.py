from __future__ import annotations

from decimal import Decimal

from django.test import Client

from tests.builders import (
    make_discrepancy,
    make_order,
    make_portfolio,
    make_position,
    make_run,
)
from tests.portfolios.views.pages import shown


def test_unallocated_is_the_available_cash(client: Client) -> None:
    portfolio = make_portfolio(initialized=True)
    make_position(portfolio, asset="USDT", amount=Decimal(1000), reserved=Decimal("100.5"))

    assert "Unallocated 899.5 USDT" in shown(client, f"/portfolios/{portfolio.pk}/")


def test_unallocated_is_unknown_before_the_opening(client: Client) -> None:
    portfolio = make_portfolio()

    page = shown(client, f"/portfolios/{portfolio.pk}/")

    assert "Unallocated —not reported USDT" in page
    assert "These books are not opened yet" in page


def test_unallocated_is_zero_without_cash(client: Client) -> None:
    portfolio = make_portfolio(initialized=True)

    assert "Unallocated 0 USDT" in shown(client, f"/portfolios/{portfolio.pk}/")


def test_net_size_is_opening_cash_and_gain(client: Client) -> None:
    portfolio = make_portfolio(opening_cash=Decimal(1000), realized_gain=Decimal("-12.5"))

    assert "Net size 987.5 USDT" in shown(client, f"/portfolios/{portfolio.pk}/")


def test_it_shows_positions(client: Client) -> None:
    portfolio = make_portfolio()
    make_position(
        portfolio, asset="BTC", amount=Decimal("0.5"), reserved=Decimal("0.1"), cost=Decimal(30000)
    )

    assert "BTC 0.5 0.1 0.4 30000" in shown(client, f"/portfolios/{portfolio.pk}/")


def test_it_shows_no_order_of_another_portfolio(client: Client) -> None:
    portfolio = make_portfolio()
    make_order(portfolio, external_id="ours")
    make_order(make_portfolio(portfolio.account), external_id="theirs")

    page = shown(client, f"/portfolios/{portfolio.pk}/orders/")

    assert "ours" in page
    assert "theirs" not in page


def test_a_partial_fill_is_called_so(client: Client) -> None:
    portfolio = make_portfolio()
    make_order(portfolio, filled=Decimal("0.001"))

    assert "Open partly filled" in shown(client, f"/portfolios/{portfolio.pk}/orders/")


def test_it_shows_what_differs(client: Client) -> None:
    portfolio = make_portfolio()
    order = make_order(portfolio, external_id="lost-one")
    make_discrepancy(
        portfolio.account, portfolio=portfolio, order=order, code="ORDER_MISSING_AT_VENUE"
    )

    page = shown(client, f"/portfolios/{portfolio.pk}/")

    assert "The exchange does not know the order" in page


def test_it_shows_the_runs_of_its_account(client: Client) -> None:
    portfolio = make_portfolio()
    run = make_run(portfolio.account)

    assert f"{run.pk} Succeeded" in shown(client, f"/portfolios/{portfolio.pk}/")
