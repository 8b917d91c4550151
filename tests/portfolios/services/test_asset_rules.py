from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from portfolios.models import AssetRule, ExchangeAccount
from portfolios.services.asset_rules import Rules, require_sound_rule, rules_of
from providers.reports import BalanceReport
from tests.builders import make_account

D = Decimal
ALIAS = Rules(aliases={"LDBTC": "BTC", "XBT": "BTC"})


def row(asset: str, free: str | None, used: str | None, total: str) -> BalanceReport:
    return BalanceReport(asset, amount(free), amount(used), D(total))


def amount(text: str | None) -> Decimal | None:
    return None if text is None else D(text)


def test_an_alias_is_added_to_the_asset_it_counts_as() -> None:
    held = {
        "BTC": row("BTC", "1", "0.5", "1.5"),
        "LDBTC": row("LDBTC", "2", "0", "2"),
        "XBT": row("XBT", "0.25", "0.25", "0.5"),
        "EUR": row("EUR", "7", "0", "7"),
    }

    assert ALIAS.counted(held) == {
        "BTC": row("BTC", "3.25", "0.75", "4"),
        "EUR": row("EUR", "7", "0", "7"),
    }


def test_an_alias_alone_is_the_asset_it_counts_as() -> None:
    assert ALIAS.counted({"LDBTC": row("LDBTC", "2", "0", "2")}) == {
        "BTC": row("BTC", "2", "0", "2")
    }


def test_a_number_that_is_not_told_leaves_the_sum_unknown() -> None:
    held = {"BTC": row("BTC", "1", None, "1.5"), "LDBTC": row("LDBTC", None, "0", "2")}

    assert ALIAS.counted(held) == {"BTC": row("BTC", None, None, "3.5")}


def test_what_the_books_hold_by_another_name_is_added_too() -> None:
    assert ALIAS.folded({"LDBTC": D(2), "BTC": D("0.1")}) == {"BTC": D("2.1")}


@pytest.mark.django_db
def test_the_rules_of_an_account_are_its_own() -> None:
    account, other = make_account(), make_account()
    account.asset_rules.create(kind="alias", asset="LDBTC", counts_as="BTC")
    account.asset_rules.create(kind="earn", asset="DOT")
    account.asset_rules.create(kind="dust", asset="ETH", amount=D("0.000001"))

    rules = rules_of(account)
    assert (rules.counts_as("LDBTC"), rules.counts_as("DOT")) == ("BTC", "DOT")
    assert (rules.is_earn("DOT"), rules.is_earn("BTC")) == (True, False)
    assert (rules.dust("ETH"), rules.dust("BTC")) == (D("0.000001"), None)
    assert rules_of(other) == Rules()


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    """Open an account where LDBTC counts as BTC."""
    account = make_account()
    account.asset_rules.create(kind="alias", asset="LDBTC", counts_as="BTC")
    return account


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"kind": "alias"}, "counts_as", "Enter the asset that it counts as."),
        ({"kind": "alias", "counts_as": "X"}, "counts_as", "cannot be an alias of itself"),
        ({"kind": "alias", "counts_as": "LDBTC"}, "counts_as", "is an alias itself"),
        (
            {"kind": "alias", "asset": "BTC", "counts_as": "Y"},
            "asset",
            "Another asset counts as this one",
        ),
        ({"kind": "earn", "counts_as": "BTC"}, "counts_as", "Leave it empty"),
        ({"kind": "earn", "amount": D(1)}, "amount", "Leave it empty"),
        ({"kind": "dust"}, "amount", "Enter an amount above 0."),
        ({"kind": "dust", "amount": D(0)}, "amount", "Enter an amount above 0."),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    account: ExchangeAccount, values: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        require_sound_rule(AssetRule(account=account, **{"asset": "X"} | values))

    [message] = refused.value.message_dict[field]
    assert said in message


def test_a_rule_may_stay_as_it_is(account: ExchangeAccount) -> None:
    rule = account.asset_rules.get()

    require_sound_rule(rule)
    assert rule.counts_as == "BTC"
