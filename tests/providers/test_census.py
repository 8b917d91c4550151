from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portfolios.management.commands import census as command
from providers.catalogue import catalogue_rows
from providers.ccxt_client import read_abilities
from providers.census import Abilities, differences


@pytest.fixture(scope="module")
def abilities() -> Mapping[str, Abilities]:
    return read_abilities()


def with_market(
    abilities: Mapping[str, Abilities], market: str, **changes: Any
) -> dict[str, Abilities]:
    return {**abilities, market: replace(abilities[market], **changes)}


def with_row(abilities: Mapping[str, Abilities], market: str, **facts: Any) -> dict[str, Abilities]:
    return with_market(abilities, market, row={**abilities[market].row, **facts})


def test_the_pinned_ccxt_is_what_the_tables_assume(abilities: Mapping[str, Abilities]) -> None:
    assert differences(abilities) == []


@pytest.mark.parametrize(
    ("market", "facts", "line"),
    [
        (
            "kraken",
            {"sandbox": True},
            "kraken: sandbox is True in ccxt, False in the catalogue",
        ),
        (
            "okx",
            {"required_credentials": ["apiKey"]},
            "okx: required_credentials is ['apiKey'] in ccxt, "
            "['apiKey', 'secret', 'password'] in the catalogue",
        ),
        (
            "okx",
            {"canceled_orders_seconds": 3600},
            "okx: canceled_orders_seconds is 3600 in ccxt, 7200 in the catalogue",
        ),
        (
            "binance",
            {"trigger_orders_apart": True},
            "binance: trigger_orders_apart is True in ccxt, False in the catalogue",
        ),
        (
            "bybit",
            {"fills_window_seconds": 1},
            "bybit: fills_window_seconds is 1 in ccxt, 604800 in the catalogue",
        ),
    ],
)
def test_it_finds_a_planted_difference(
    abilities: Mapping[str, Abilities], market: str, facts: dict[str, Any], line: str
) -> None:
    assert differences(with_row(abilities, market, **facts)) == [line]


def test_it_finds_a_lost_capability(abilities: Mapping[str, Abilities]) -> None:
    rows = deepcopy(catalogue_rows())
    rows["kraken"]["has"].append("fetchOrders")

    (line,) = differences(abilities, rows)

    assert line.startswith("kraken: has is [")


def test_it_finds_a_page_that_is_longer_than_paging_asks_for(
    abilities: Mapping[str, Abilities],
) -> None:
    lines = differences(with_row(abilities, "bybit", open_orders_limit=20))

    assert lines == [
        "bybit: open_orders_limit is 20 in ccxt, 50 in the catalogue",
        "bybit: open_orders_limit is 20 in ccxt, 50 is what paging was made for",
    ]


def test_it_finds_a_symbol_that_is_suddenly_required(abilities: Mapping[str, Abilities]) -> None:
    (line,) = differences(with_market(abilities, "kraken", claims_symbol_required=True))

    assert line.startswith("kraken: open orders require a symbol")


def test_it_finds_that_fills_are_suddenly_listed_without_a_symbol(
    abilities: Mapping[str, Abilities],
) -> None:
    changed = with_market(abilities, "binance", claims_fills_symbol_required=False)

    (line,) = differences(changed)

    assert line.startswith("binance: fills do not require a symbol")


def test_it_finds_an_option_that_has_no_effect(abilities: Mapping[str, Abilities]) -> None:
    words = abilities["binance"].words - {"warnWithoutSymbol"}

    assert differences(with_market(abilities, "binance", words=words)) == [
        "binance: ccxt does not know the option warnWithoutSymbol that it is given"
    ]


def test_it_finds_a_read_that_is_no_request_any_more(abilities: Mapping[str, Abilities]) -> None:
    requests = abilities["kraken"].requests - {"private POST OpenOrders"}

    assert differences(with_market(abilities, "kraken", requests=requests)) == [
        "kraken: ccxt has no request private POST OpenOrders, which is allowed as a read"
    ]


def test_it_finds_markets_that_come_and_go(abilities: Mapping[str, Abilities]) -> None:
    changed = {**abilities, "newex": abilities["kraken"]}
    del changed["phemex"]

    assert differences(changed) == [
        "newex: ccxt has it, the catalogue does not",
        "phemex: the catalogue has it, ccxt does not",
        "phemex: OPEN_ORDERS_NEED_SYMBOL names it, ccxt does not have it",
    ]


def test_the_command_prints_one_line_when_nothing_differs() -> None:
    out = StringIO()

    call_command("census", stdout=out)

    assert out.getvalue().count("\n") == 1
    assert "markets are as our tables assume" in out.getvalue()


def test_the_command_prints_a_difference_and_fails(
    abilities: Mapping[str, Abilities], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, planted = StringIO(), with_row(abilities, "kraken", sandbox=True)
    monkeypatch.setattr(command, "read_abilities", lambda: planted)

    with pytest.raises(CommandError, match=r"differs from our tables \(1 lines\)"):
        call_command("census", stdout=out)

    assert out.getvalue() == "kraken: sandbox is True in ccxt, False in the catalogue\n"
