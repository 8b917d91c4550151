from __future__ import annotations

import asyncio
from typing import Any

import pytest

from providers.ccxt_client import exchange_class
from providers.errors import PermissionMissing
from providers.key_rights import QUESTIONS, read_key_rights
from providers.reports import KeyRights

# As the exchanges' documentation shows them.
OKX = {"code": "0", "data": [{"perm": "read_only,withdraw,trade", "ip": ""}], "msg": ""}
BYBIT = {
    "retCode": 0,
    "result": {
        "readOnly": 0,
        "permissions": {"ContractTrade": [], "Spot": [], "Wallet": ["AccountTransfer"]},
        "ips": ["*"],
    },
}
KUCOIN = {
    "code": "200000",
    "data": {"permission": "General,Spot", "ipWhitelist": "203.0.113.154"},
}
COINBASE = {"can_view": True, "can_trade": False, "can_transfer": False, "portfolio_uuid": "x"}
BITFINEX = [["account", 1, 0], ["orders", 1, 1], ["wallets", 1, 0], ["withdraw", 0, 0]]


def told(market: str, answer: Any) -> KeyRights | None:
    async def read(_method: str) -> Any:
        return answer

    return asyncio.run(read_key_rights(market, read))


@pytest.mark.parametrize(
    ("market", "answer", "rights"),
    [
        ("okx", OKX, KeyRights(reads=True, trades=True, withdraws=True, is_bound=False)),
        ("bybit", BYBIT, KeyRights(reads=True, trades=False, withdraws=True, is_bound=False)),
        ("kucoin", KUCOIN, KeyRights(reads=True, trades=True, withdraws=False, is_bound=True)),
        ("coinbase", COINBASE, KeyRights(reads=True, trades=False, withdraws=False)),
        ("bitfinex", BITFINEX, KeyRights(reads=True, trades=True, withdraws=False)),
    ],
)
def test_an_answer_is_read_as_it_is_documented(market: str, answer: Any, rights: KeyRights) -> None:
    assert told(market, answer) == rights


def test_a_key_of_bybit_that_is_read_only_moves_nothing() -> None:
    result = BYBIT["result"] | {"readOnly": 1}  # type: ignore[operator]

    rights = told("bybit", {"result": result})

    assert rights == KeyRights(reads=True, trades=False, withdraws=False, is_bound=False)


@pytest.mark.parametrize("market", QUESTIONS)
@pytest.mark.parametrize("answer", [{}, [], {"data": [], "result": {}}, {"enableReading": "yes"}])
def test_an_answer_of_another_shape_says_nothing(market: str, answer: Any) -> None:
    if market == "bitfinex" and answer == []:
        return  # a key without any right

    assert told(market, answer) is None


def test_a_key_that_may_not_ask_is_no_failure() -> None:
    async def read(_method: str) -> Any:
        raise PermissionMissing("no")

    assert asyncio.run(read_key_rights("okx", read)) is None


@pytest.mark.parametrize("market", QUESTIONS)
def test_ccxt_has_the_request(market: str) -> None:
    assert hasattr(exchange_class(market)({}), QUESTIONS[market].method)
