from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from portfolios.models import ClaimRule, Portfolio
from tests.builders import make_account, make_claim_rule, make_portfolio
from tests.portfolios.views.pages import text_of

ADD = "/admin/portfolios/claimrule/add/"


def form_of(portfolio: Portfolio, **values: Any) -> dict[str, Any]:
    form = {"account": portfolio.account_id, "portfolio": portfolio.pk, "kind": "all", "value": ""}
    return form | values


def test_a_rule_is_added(admin_client: Client) -> None:
    portfolio = make_portfolio()

    admin_client.post(ADD, form_of(portfolio, kind="client_prefix", value="bot-"))

    rule = ClaimRule.objects.get()
    assert (rule.account, rule.portfolio) == (portfolio.account, portfolio)
    assert (rule.kind, rule.value) == ("client_prefix", "bot-")


def test_a_rule_is_changed(admin_client: Client) -> None:
    rule = make_claim_rule(make_portfolio())
    form = form_of(rule.portfolio, kind="symbol", value="BTC/USDT")

    admin_client.post(f"/admin/portfolios/claimrule/{rule.pk}/change/", form)

    rule.refresh_from_db()
    assert (rule.kind, rule.value) == ("symbol", "BTC/USDT")


@pytest.mark.parametrize("is_backtest", [True, False])
def test_a_rule_gives_only_to_live_portfolios_of_its_account(
    admin_client: Client, is_backtest: bool
) -> None:
    portfolio = make_portfolio(mode=Portfolio.Mode.BACKTEST if is_backtest else "live")
    account = portfolio.account if is_backtest else make_account()

    response = admin_client.post(ADD, form_of(portfolio, account=account.pk))

    assert "Choose a live portfolio of the same account." in text_of(response)
    assert not ClaimRule.objects.exists()


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("all", "bot-", "Leave it empty: the rule takes all orders."),
        ("symbol", "", "Enter the beginning of the client id, or the symbol."),
        ("client_prefix", " ", "Enter the beginning of the client id, or the symbol."),
    ],
)
def test_a_rule_has_the_value_that_its_kind_needs(
    admin_client: Client, kind: str, value: str, said: str
) -> None:
    response = admin_client.post(ADD, form_of(make_portfolio(), kind=kind, value=value))

    assert said in text_of(response)
    assert not ClaimRule.objects.exists()


def test_a_second_rule_for_the_same_orders_is_refused(admin_client: Client) -> None:
    rule = make_claim_rule(make_portfolio())

    admin_client.post(ADD, form_of(make_portfolio(rule.account)))

    assert ClaimRule.objects.get() == rule


@pytest.mark.django_db
def test_a_rule_wants_the_right_to_add_one() -> None:
    portfolio = make_portfolio()
    client = Client()
    client.force_login(User.objects.create_user("staff", is_staff=True))

    assert client.post(ADD, form_of(portfolio)).status_code == 403
    assert not ClaimRule.objects.exists()
