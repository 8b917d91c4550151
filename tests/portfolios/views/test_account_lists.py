from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from portfolios.models import ExchangeAccount, LedgerEntry
from portfolios.models.choices import Verdict
from providers.reports import FlowKind, FlowSource, OrderSide
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_entry,
    make_fill,
    make_flow,
    make_order,
    make_portfolio,
    make_position,
    make_run,
)
from tests.portfolios.views.pages import html_of, shown


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return make_account(label="desk")


def page_of(client: Client, account: ExchangeAccount, rest: str) -> str:
    return shown(client, f"/accounts/{account.pk}/{rest}")


def test_the_page_shown_is_marked_and_its_account_stays_in_the_navigation(
    client: Client, account: ExchangeAccount
) -> None:
    html = html_of(client.get(f"/accounts/{account.pk}/fills/"))

    assert f'<a href="/accounts/{account.pk}/fills/" aria-current="page">Fills</a>' in html
    assert '<a href="/accounts/" aria-current="page">Accounts</a>' in html
    assert html.count("aria-current") == 2


def test_fills_name_their_order_their_owner_and_their_fees(
    client: Client, account: ExchangeAccount
) -> None:
    order = make_order(make_portfolio(account, name="alpha"), external_id="o-1")
    make_fill(order, external_id="t-1", fees=[{"asset": "BNB", "amount": "0.000123"}])

    page = page_of(client, account, "fills/")

    assert "BTC/USDT Buy 0.01 50000 500 0.000123 BNB alpha o-1 t-1 2026-11-22 12:00:00 UTC" in page


def test_a_fill_of_an_order_that_is_not_known_says_so(
    client: Client, account: ExchangeAccount
) -> None:
    fill = make_fill(make_order(account))
    type(fill).objects.create(
        **{
            name: getattr(fill, name)
            for name in ("account", "symbol", "side", "price", "amount", "cost", "executed_at")
        },
        external_id="orphan",
        order_external_id="o-2",
    )

    assert "order not known o-2 orphan" in page_of(client, account, "fills/")


def test_the_ledger_names_cause_cost_gain_time_and_run(
    client: Client, account: ExchangeAccount
) -> None:
    run = make_run(account)
    make_entry(
        make_portfolio(account, name="alpha"),
        asset="BTC",
        amount=Decimal("-0.5"),
        cost=Decimal(-30000),
        gain=Decimal("12.5"),
        cause=LedgerEntry.Cause.EXECUTION,
        run=run,
    )

    page = page_of(client, account, "ledger/")

    assert "BTC -0.5 Execution alpha — -30000 +12.5" in page
    assert f"UTC {run.pk} " in page


def test_the_ledger_is_narrowed_by_cause_owner_and_search(
    client: Client, account: ExchangeAccount
) -> None:
    alpha = make_portfolio(account)
    make_entry(alpha, asset="FEE1", cause=LedgerEntry.Cause.FEE)
    make_entry(alpha, asset="OPENED", cause=LedgerEntry.Cause.OPENING)

    assert "OPENED" not in page_of(client, account, "ledger/?cause=fee")
    assert "OPENED" not in page_of(client, account, "ledger/?q=fee")
    assert "Nothing matches these filters" in page_of(client, account, "ledger/?owner=unassigned")


@pytest.mark.parametrize(
    ("sort", "symbols"),
    [
        ("newest", ["B/EUR", "A/EUR", "C/EUR"]),
        ("oldest", ["A/EUR", "B/EUR", "C/EUR"]),
        ("symbol", ["A/EUR", "B/EUR", "C/EUR"]),
        ("nonsense", ["B/EUR", "A/EUR", "C/EUR"]),
    ],
)
def test_orders_are_sorted_and_those_of_unknown_time_come_last(
    client: Client, account: ExchangeAccount, sort: str, symbols: list[str]
) -> None:
    make_order(account, symbol="C/EUR", created_at=None)
    make_order(account, symbol="A/EUR", created_at=NOON)
    make_order(account, symbol="B/EUR", created_at=NOON + timedelta(hours=1))

    page = page_of(client, account, f"orders/?sort={sort}")

    assert sorted(symbols, key=page.index) == symbols


@pytest.mark.parametrize(("sort", "symbols"), [("newest", ["B", "A"]), ("oldest", ["A", "B"])])
def test_orders_whose_times_are_all_known_are_sorted_alike(
    client: Client, account: ExchangeAccount, sort: str, symbols: list[str]
) -> None:
    make_order(account, symbol="A/EUR", created_at=NOON)
    make_order(account, symbol="B/EUR", created_at=NOON + timedelta(hours=1))

    page = page_of(client, account, f"orders/?sort={sort}")

    assert sorted(symbols, key=lambda symbol: page.index(f"{symbol}/EUR")) == symbols


def test_orders_are_narrowed_by_side_and_search(client: Client, account: ExchangeAccount) -> None:
    make_order(account, external_id="buy-1")
    make_order(account, external_id="sell-1", client_order_id="mine", side=OrderSide.SELL)

    assert "buy-1" not in page_of(client, account, "orders/?side=sell")
    assert "buy-1" not in page_of(client, account, "orders/?q=MINE")


def test_sorting_alone_narrows_nothing(client: Client, account: ExchangeAccount) -> None:
    assert "No open orders." in page_of(client, account, "orders/?sort=oldest")


def test_movements_are_narrowed_by_kind(client: Client, account: ExchangeAccount) -> None:
    make_flow(account, external_id="in-1")
    make_flow(account, source=FlowSource.WITHDRAWALS, kind=FlowKind.WITHDRAWAL, external_id="out-1")

    page = page_of(client, account, "flows/?kind=withdrawal")

    assert "out-1" in page
    assert "in-1" not in page


def test_it_shows_who_owns_an_asset_that_is_searched_for(
    client: Client, account: ExchangeAccount
) -> None:
    alpha = make_portfolio(account, name="alpha")
    make_position(alpha, asset="BTC", reserved=Decimal("0.1"))
    make_position(alpha, asset="ETH")

    page = page_of(client, account, "ownership/?q=btc")

    assert "BTC alpha 0.5 0.1 0.5" in page
    assert "ETH" not in page


def test_balances_are_narrowed_by_verdict(client: Client, account: ExchangeAccount) -> None:
    make_balance(account, asset="GOOD")
    make_balance(account, asset="WRONG", verdict=Verdict.DIFFERS)

    page = page_of(client, account, "?verdict=DIFFERS")

    assert "WRONG" in page
    assert "GOOD" not in page
