"""A fill has one id in every whole read, also where the exchange gives none."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.mapping import fill_reports


def trade(**facts: Any) -> dict[str, Any]:
    return {
        "id": None,
        "order": "77",
        "symbol": "BTC/USDT",
        "side": "buy",
        "price": "50000.5",
        "amount": "0.01",
        "cost": "500.005",
        "timestamp": 1_790_000_000_000,
        **facts,
    }


def ids(*raws: dict[str, Any]) -> list[str]:
    return [fill.external_id for fill in fill_reports(raws).rows]


def test_an_id_of_the_exchange_is_kept() -> None:
    assert ids(trade(id="12"), trade(id="12")) == ["12", "12"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_an_id_the_content_makes_one(nothing: Any) -> None:
    (id_,) = ids(trade(id=nothing))

    assert re.fullmatch(r"~[0-9a-f]{32}:1", id_)


def test_twins_are_numbered() -> None:
    first, second = ids(trade(), trade())

    assert first.removesuffix(":1") == second.removesuffix(":2")


@pytest.mark.parametrize(
    "change",
    [
        {"order": "78"},
        {"timestamp": 1_790_000_000_001},
        {"side": "sell"},
        {"price": "50000.6"},
        {"amount": "0.02"},
        {"cost": "500.006"},
    ],
)
def test_another_content_is_another_id(change: dict[str, Any]) -> None:
    assert len({*ids(trade()), *ids(trade(**change))}) == 2


def test_a_number_that_is_written_in_another_way_is_the_same() -> None:
    assert ids(trade(price="5.00005e4", amount="0.0100")) == ids(trade())


def test_a_fee_that_is_told_late_makes_no_other_fill() -> None:
    fee = {"currency": "USDT", "cost": "0.5"}

    assert ids(trade(fee=fee)) == ids(trade())


def test_a_fill_of_the_account_says_its_order() -> None:
    told, silent = fill_reports([trade(id="1"), trade(id="2", order=None)]).rows

    assert (told.order_external_id, silent.order_external_id) == ("77", "")


@given(st.permutations([trade(), trade(), trade(amount="1"), trade(price="2"), trade(id="9")]))
def test_the_order_of_rows_changes_no_id(raws: list[dict[str, Any]]) -> None:
    assert sorted(ids(*raws)) == sorted(
        ids(trade(), trade(), trade(amount="1"), trade(price="2"), trade(id="9"))
    )
