"""Rules and account settings of a book document: exported, imported, refused by their paths."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import AssetRule, ClaimRule, ExchangeAccount, Portfolio
from portfolios.services.book import BookError, export_book, import_book

D = Decimal
Row = dict[str, Any]
pytestmark = pytest.mark.django_db

ACCOUNT: Row = {"label": "main", "market": "kraken"}
ALIAS: Row = {"account": "main", "kind": "alias", "asset": "LDBTC", "counts_as": "BTC"}
DUST: Row = {"account": "main", "kind": "dust", "asset": "ETH", "amount": "0.000001"}
PREFIX: Row = {"portfolio": "alpha", "kind": "client_prefix", "value": "bot-"}


@pytest.fixture(autouse=True)
def books() -> None:
    import_book(
        {
            "accounts": [ACCOUNT],
            "portfolios": [
                {"name": name, "account": "main", "trading_symbol": "EUR"}
                for name in ("alpha", "beta")
            ],
        }
    )


def refusal(**document: Any) -> str:
    with pytest.raises(BookError) as refused:
        import_book(document)
    return str(refused.value)


def test_an_account_is_written_with_its_symbols_and_its_policy() -> None:
    settings = {"symbols": ["BTC/EUR"], "policy": "observe", "lapses_by_itself": True}
    import_book({"accounts": [ACCOUNT | settings]})

    [row] = export_book()["accounts"]
    assert {name: row[name] for name in settings} == settings


def test_an_account_that_names_none_of_them_keeps_them() -> None:
    import_book({"accounts": [ACCOUNT | {"symbols": ["BTC/EUR"], "policy": "observe"}]})

    assert import_book({"accounts": [ACCOUNT]}).unchanged == 1
    assert ExchangeAccount.objects.get().policy == "observe"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"symbols": "BTC/EUR"}, "$.accounts[0].symbols: expected a list"),
        ({"symbols": ["BTC/EUR", "BTC"]}, "$.accounts[0].symbols[1]: expected a symbol such as"),
        ({"symbols": ["A/B,C/D"]}, "$.accounts[0].symbols[0]: expected a symbol such as"),
        ({"symbols": [7]}, "$.accounts[0].symbols[0]: expected a symbol such as"),
        ({"policy": "free"}, "$.accounts[0].policy: expected one of observe, standard"),
        ({"lapses_by_itself": "yes"}, "$.accounts[0].lapses_by_itself: expected true or false"),
    ],
)
def test_a_bad_setting_is_refused_with_its_path(value: Row, message: str) -> None:
    assert refusal(accounts=[ACCOUNT | value]).startswith(message)


def test_rules_are_written_as_they_were_read() -> None:
    earn = {"account": "main", "kind": "earn", "asset": "DOT"}
    everything = {"portfolio": "beta", "kind": "all"}
    given = {"asset_rules": [earn, DUST, ALIAS], "claim_rules": [everything, PREFIX]}

    assert import_book(given).created == 5

    written = export_book()
    assert {name: written[name] for name in given} == given


def test_rules_written_and_read_again_change_nothing() -> None:
    import_book({"asset_rules": [ALIAS, DUST], "claim_rules": [PREFIX]})
    written = export_book()

    result = import_book(written)

    assert (result.created, result.updated) == (0, 0)
    assert export_book() == written


def test_a_rule_can_be_changed() -> None:
    import_book({"asset_rules": [ALIAS, DUST], "claim_rules": [PREFIX]})

    result = import_book(
        {
            "asset_rules": [ALIAS | {"counts_as": "XBT"}, DUST | {"amount": "0.5"}],
            "claim_rules": [PREFIX | {"portfolio": "beta"}],
        }
    )

    assert (result.created, result.updated) == (0, 3)
    assert AssetRule.objects.get(kind="alias").counts_as == "XBT"
    assert AssetRule.objects.get(kind="dust").amount == D("0.5")
    assert ClaimRule.objects.get().portfolio.name == "beta"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"account": "other"}, "account: no account of this label, was 'other'"),
        ({"kind": "loan"}, "kind: expected one of alias, earn, dust"),
        ({"asset": ""}, "asset: is empty"),
        ({"counts_as": "LDBTC"}, "counts_as: An asset cannot be an alias of itself."),
        ({"counts_as": None}, "counts_as: Enter the asset that it counts as."),
        ({"kind": "earn"}, "counts_as: Leave it empty: only an alias counts as another asset."),
        ({"kind": "dust", "counts_as": ""}, "amount: Enter an amount above 0."),
        ({"amount": "1"}, "amount: Leave it empty: only dust has an amount."),
        ({"amount": 1}, "amount: expected an amount as text"),
        ({"colour": "red"}, "colour: is no field of a book"),
    ],
)
def test_a_bad_asset_rule_is_refused_with_its_path(change: Row, message: str) -> None:
    assert refusal(asset_rules=[ALIAS | change]).startswith(f"$.asset_rules[0].{message}")
    assert not AssetRule.objects.exists()


def test_an_alias_of_an_alias_is_refused() -> None:
    chain = {"account": "main", "kind": "alias", "asset": "XLDBTC", "counts_as": "LDBTC"}

    said = refusal(asset_rules=[ALIAS, chain])
    assert said.startswith("$.asset_rules[1].counts_as: This is an alias itself")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"portfolio": "gamma"}, "portfolio: no portfolio of this name, was 'gamma'"),
        ({"kind": "some"}, "kind: expected one of client_prefix, symbol, all"),
        ({"value": ""}, "value: is missing"),
        ({"kind": "all"}, "value: leave it out: the rule takes all orders"),
    ],
)
def test_a_bad_claim_rule_is_refused_with_its_path(change: Row, message: str) -> None:
    assert refusal(claim_rules=[PREFIX | change]).startswith(f"$.claim_rules[0].{message}")


def test_a_backtest_is_given_no_orders() -> None:
    Portfolio.objects.update(mode=Portfolio.Mode.BACKTEST)

    assert refusal(claim_rules=[PREFIX]).startswith("$.claim_rules[0].portfolio: a backtest")


@pytest.mark.parametrize(("section", "row"), [("asset_rules", ALIAS), ("claim_rules", PREFIX)])
def test_the_same_rule_twice_is_refused(section: str, row: Row) -> None:
    assert "is given twice in this document" in refusal(**{section: [row, row]})
