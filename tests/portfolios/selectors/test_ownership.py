from __future__ import annotations

from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from portfolios.models import ExchangeAccount, Portfolio, Position
from portfolios.selectors.ownership import account_ownership
from tests.builders import make_account, make_portfolio, make_position

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ExchangeAccount:
    account = make_account()
    for name, amount in (("beta", "0.1"), ("alpha", "0.000000000000000001")):
        make_position(make_portfolio(account, name=name), asset="BTC", amount=Decimal(amount))
    Position.objects.create(account=account, asset="BTC", amount=Decimal("-0.05"))
    return account


def test_shares_add_up_to_the_total_to_the_last_digit(account: ExchangeAccount) -> None:
    [row] = account_ownership(account)

    assert row.total == Decimal("0.050000000000000001")


def test_what_nobody_claims_comes_last(account: ExchangeAccount) -> None:
    [row] = account_ownership(account)

    owners = [share.portfolio.name if share.portfolio else None for share in row.shares]
    assert owners == ["alpha", "beta", None]


def test_a_backtest_owns_nothing_real(account: ExchangeAccount) -> None:
    backtest = make_portfolio(account, mode=Portfolio.Mode.BACKTEST)
    make_position(backtest, asset="ETH")

    assert [row.asset for row in account_ownership(account)] == ["BTC"]


def test_what_nobody_holds_is_left_out(account: ExchangeAccount) -> None:
    Position.objects.create(account=account, asset="DOGE")

    assert [row.asset for row in account_ownership(account)] == ["BTC"]


def test_it_is_one_query(
    account: ExchangeAccount, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        account_ownership(account)
