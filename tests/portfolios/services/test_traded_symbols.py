"""The symbols of an account: each once, however many orders it has."""

from __future__ import annotations

import pytest

from portfolios.services.traded_symbols import traded_symbols
from tests.builders import make_account, make_order

pytestmark = pytest.mark.django_db


def test_each_symbol_is_told_once_and_none_of_another_account() -> None:
    account, other = make_account(), make_account()
    for symbol in ("ETH/USDT", "ADA/EUR", "ETH/USDT", "btc/usdt:USDT"):
        make_order(account, symbol=symbol)
    make_order(other, symbol="XRP/EUR")

    assert traded_symbols(account) == {"ADA/EUR", "ETH/USDT", "btc/usdt:USDT"}


def test_an_account_without_orders_has_none() -> None:
    assert traded_symbols(make_account()) == set()
