from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from portfolios.models import AssetRule
from tests.builders import make_account
from tests.portfolios.views.pages import text_of

ADD = "/admin/portfolios/assetrule/add/"


def form_of(account: int, **values: Any) -> dict[str, Any]:
    empty = {"account": account, "kind": "alias", "asset": "LDBTC", "counts_as": "", "amount": ""}
    return empty | values


def test_a_rule_is_added(admin_client: Client) -> None:
    account = make_account()

    admin_client.post(ADD, form_of(account.pk, kind="dust", asset="ETH", amount="0.000001"))

    rule = AssetRule.objects.get()
    assert (rule.account, rule.kind, rule.asset) == (account, "dust", "ETH")
    assert rule.amount == Decimal("0.000001")


def test_a_rule_is_changed(admin_client: Client) -> None:
    rule = make_account().asset_rules.create(kind="alias", asset="LDBTC", counts_as="XBT")
    form = form_of(rule.account_id, counts_as="BTC")

    admin_client.post(f"/admin/portfolios/assetrule/{rule.pk}/change/", form)

    rule.refresh_from_db()
    assert rule.counts_as == "BTC"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"counts_as": "LDBTC"}, "An asset cannot be an alias of itself."),
        ({"kind": "earn", "counts_as": "BTC"}, "only an alias counts as another asset."),
        ({"kind": "dust", "amount": "0"}, "Enter an amount above 0."),
        ({"kind": "dust", "amount": "many"}, "is no number"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_in_words(
    admin_client: Client, values: dict[str, Any], said: str
) -> None:
    response = admin_client.post(ADD, form_of(make_account().pk, **values))

    assert said in text_of(response)
    assert not AssetRule.objects.exists()


def test_the_list_shows_the_rules(admin_client: Client) -> None:
    make_account().asset_rules.create(kind="earn", asset="DOT")

    response = admin_client.get("/admin/portfolios/assetrule/")
    assert "The rest of the total is in earn" in text_of(response)
