"""A list is whole by its market's own rule of paging only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from providers import catalogue
from providers.catalogue import Market
from providers.errors import UnexpectedReport
from providers.paging import (
    MAX_PAGES,
    Listed,
    Paging,
    Params,
    account_fills_paging,
    ended_orders_paging,
    fills_paging,
    merged,
    open_orders_paging,
    read_list,
    trigger_orders_paging,
)

Row = dict[str, Any]
Tell = Callable[[int | None, Params], Any]


def fill(number: int, **facts: Any) -> Row:
    return {"id": str(number), "symbol": "BTC/USDT", "side": "buy", "timestamp": number, **facts}


def nameless(at: int, **facts: Any) -> Row:
    return {**fill(0), "id": None, "timestamp": at, "price": "1", "amount": "2", **facts}


def listed(paging: Paging, tell: Tell, **span: Any) -> Listed:
    async def fetch(since: int | None, _: int | None, params: Params) -> Any:
        return tell(since, params)

    return asyncio.run(read_list(fetch, paging, **span))


def market(**facts: Any) -> Market:
    return replace(catalogue.market("binance"), id="another", **facts)


# F04
def test_ids_lead_from_page_to_page_without_the_time_that_began_the_list() -> None:
    rows = [fill(number) for number in range(1, 2351)]
    asked: list[tuple[int | None, Params]] = []

    def tell(since: int | None, params: Params) -> list[Row]:
        asked.append((since, params))
        first = int(params.get("fromId", 1))
        return [row for row in rows if int(row["id"]) >= first][:1000]

    paging = account_fills_paging(catalogue.market("binance"))
    found = listed(paging, tell, since=1, until=5000)

    assert found.rows == rows
    assert found.why_incomplete == ""
    assert asked == [
        (1, {"until": 5000}),
        (None, {"fromId": "1001"}),
        (None, {"fromId": "2001"}),
    ]


def test_paging_by_id_ends_where_the_time_does() -> None:
    def tell(_: int | None, params: Params) -> list[Row]:
        first = int(params.get("fromId", 1))
        return [fill(number) for number in range(first, first + 1000)]

    paging = account_fills_paging(catalogue.market("binance"))

    assert len(listed(paging, tell, since=1, until=1500).pages) == 2


def test_a_page_that_comes_again_leads_to_no_other() -> None:
    paging = fills_paging(catalogue.market("kraken"))
    page = [fill(number) for number in range(50)]

    found = listed(paging, lambda *_: page)

    assert (len(found.rows), len(found.pages)) == (50, 2)
    assert "leads to no other" in found.why_incomplete


def test_a_list_without_an_end_is_not_whole() -> None:
    def tell(_: int | None, params: Params) -> list[Row]:
        first = int(params.get("ofs", 0))
        return [fill(number) for number in range(first, first + 50)]

    found = listed(fills_paging(catalogue.market("kraken")), tell)

    assert found.why_incomplete == f"there are more than {MAX_PAGES} pages"


# ccxt takes deposits out of bitstamp's pages of 1000.
def test_a_short_page_of_bitstamp_is_not_the_last() -> None:
    pages = {0: [fill(1)], 1000: [fill(2)]}

    found = listed(
        fills_paging(catalogue.market("bitstamp")),
        lambda _, params: pages.get(params.get("offset", 0), []),
    )

    assert [row["id"] for row in found.rows] == ["1", "2"]


def test_the_length_of_a_page_of_kucoin_is_asked_for_by_its_own_name() -> None:
    asked: list[Params] = []

    def tell(_: int | None, params: Params) -> list[Row]:
        asked.append(params)
        return []

    listed(fills_paging(catalogue.market("kucoin")), tell)

    assert asked == [{"pageSize": 500}]


@pytest.mark.parametrize("length", [50, 100, 1000])
def test_a_page_of_a_customary_length_is_not_trusted_where_nobody_knows_the_length(
    length: int,
) -> None:
    rows = [fill(number) for number in range(length)]
    unknown = market(fills_limit=None, open_orders_limit=None, ended_orders_limit=None)

    for paging in (account_fills_paging, open_orders_paging, ended_orders_paging):
        assert listed(paging(unknown), lambda *_: rows).why_incomplete


def test_a_page_below_the_known_length_is_whole() -> None:
    rows = [fill(number) for number in range(51)]

    assert not listed(account_fills_paging(market(fills_limit=100)), lambda *_: rows).why_incomplete


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_that_lead_on_by_time_alone_are_read_but_prove_nothing(newest_first: bool) -> None:
    rows = [fill(number) for number in range(1, 26)]

    def tell(since: int | None, _: Params) -> list[Row]:
        found = [row for row in rows if row["timestamp"] >= (since or 0)]
        return found[-10:] if newest_first else found[:10]

    found = listed(account_fills_paging(market(fills_limit=10, takes_until=frozenset())), tell)

    assert found.rows[-1] == rows[-1]
    assert len(found.rows) == (10 if newest_first else 25)
    assert found.why_incomplete == "older rows may be left out between pages"


def test_trigger_orders_of_bybit_come_with_a_cursor() -> None:
    first = [{**fill(n), "info": {"nextPageCursor": "next"}} for n in range(50)]

    found = listed(
        trigger_orders_paging(catalogue.market("bybit")),
        lambda _, params: [fill(99)] if params.get("cursor") == "next" else first,
    )

    assert len(found.rows) == 51


# F05
def test_fills_of_one_moment_at_the_edge_of_pages_are_told_once() -> None:
    crowd = [fill(number, timestamp=7) for number in range(3, 6)]
    pages = [[fill(1), fill(2), *crowd[:1]], [*crowd, fill(8)]]

    assert [row["id"] for row in merged(pages, repeats=True)] == ["1", "2", "3", "4", "5", "8"]


def test_a_trade_with_oneself_is_two_fills_of_one_id() -> None:
    assert len(merged([[fill(1), fill(1, side="sell")]], repeats=True)) == 2


def test_one_trade_id_of_two_symbols_is_two_fills() -> None:
    assert len(merged([[fill(1), fill(1, symbol="ETH/USDT")]], repeats=True)) == 2


def test_nameless_twins_of_one_page_stay_two() -> None:
    assert len(merged([[nameless(7), nameless(7)]], repeats=True)) == 2


def test_nameless_rows_of_pages_that_repeat_count_as_often_as_the_page_with_most_of_them() -> None:
    pages = [[nameless(7)], [nameless(7), nameless(7)], [nameless(7)]]

    assert len(merged(pages, repeats=True)) == 2


def test_nameless_rows_of_pages_apart_add_up() -> None:
    assert len(merged([[nameless(7)], [nameless(7), nameless(7)]], repeats=False)) == 3


def test_one_moment_that_fills_a_page_without_ids_is_not_whole() -> None:
    paging = fills_paging(market(fills_limit=3))

    found = listed(paging, lambda *_: [nameless(7)] * 3)

    assert "leads to no other" in found.why_incomplete


@pytest.mark.parametrize("answer", [None, {}, "rows", [1]])
def test_an_answer_that_is_no_list_of_rows_is_refused(answer: Any) -> None:
    with pytest.raises(UnexpectedReport):
        listed(open_orders_paging(catalogue.market("kraken")), lambda *_: answer)
