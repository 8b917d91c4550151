"""How each market turns the pages of its lists, and when a list has been read whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from providers.catalogue import Market
from providers.mapping import Raw

Params = dict[str, Any]

MAX_PAGES: Final = 200

# Of the exchanges' customary page lengths one is suspicious where nobody knows the page length.
_CUSTOMARY: Final = frozenset({10, 15, 20, 25, 30, 40, 50, 100, 200, 250, 300, 500, 1000})


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it was read.

    Parameters
    ----------
    number : int
        1 for the first.
    rows : sequence of mapping
        ccxt's unified rows, oldest first.
    rows_before : int
        Rows of all earlier pages.
    """

    number: int
    rows: Sequence[Raw]
    rows_before: int


NextPage = Callable[[Page], Params | None]
IsLast = Callable[[Page], bool]


@dataclass(frozen=True, slots=True)
class Paging:
    """How to read a list whole.

    Parameters
    ----------
    limit : int or None
        Rows of a page to ask for; None asks for nothing, as for a list that comes whole.
    limit_param : str
        Name of the request parameter for the limit; empty if ccxt's own argument is right.
    next_page : callable
        Parameters that lead from a page to the next; None if there is no way.
    is_last : callable
        Whether nothing is behind a page.
    """

    limit: int | None
    next_page: NextPage
    is_last: IsLast
    limit_param: str = ""


def open_orders_paging(market: Market) -> Paging:
    return _OPEN_ORDERS.get(market.id) or _unknown(market.open_orders_limit)


def fills_paging(market: Market) -> Paging:
    limit = market.fills_limit
    return _FILLS.get(market.id) or Paging(limit, _since_newest, _shorter_than(limit))


def cursor_in(page: Page, name: str) -> str | None:
    """Find a cursor, which ccxt puts into the raw part of whatever row came first."""
    for row in page.rows:
        info = row.get("info")
        if isinstance(info, Mapping) and info.get(name):
            return str(info[name])
    return None


def _whole(_: Page) -> bool:
    return True


def _nowhere(_: Page) -> Params | None:
    return None


def _shorter_than(limit: int | None) -> IsLast:
    return lambda page: len(page.rows) < limit if limit else True


def _by_cursor(name: str, param: str) -> NextPage:
    def next_page(page: Page) -> Params | None:
        cursor = cursor_in(page, name)
        return {param: cursor} if cursor else None

    return next_page


def _without_cursor(name: str) -> IsLast:
    return lambda page: cursor_in(page, name) is None


def _by_number(param: str) -> NextPage:
    return lambda page: {param: page.number + 1}


def _by_offset(param: str) -> NextPage:
    return lambda page: {param: page.rows_before + len(page.rows)}


def _below_oldest(param: str, raw_id: str = "") -> NextPage:
    """Ask for what is older than the lowest id, for markets whose ids are growing numbers."""

    def next_page(page: Page) -> Params | None:
        ids = _numbers(page, raw_id)
        return {param: str(min(ids))} if ids else None

    return next_page


def _above_newest(param: str) -> NextPage:
    def next_page(page: Page) -> Params | None:
        ids = _numbers(page, "")
        return {param: str(max(ids) + 1)} if ids else None

    return next_page


def _until_oldest(page: Page) -> Params | None:
    times = [row["timestamp"] for row in page.rows if row.get("timestamp")]
    return {"until": min(times)} if times else None


def _since_newest(page: Page) -> Params | None:
    """Ask for the newest time itself again: several rows may share it."""
    times = [row["timestamp"] for row in page.rows if row.get("timestamp")]
    return {"since": max(times)} if times else None


def _numbers(page: Page, raw_id: str) -> list[int]:
    values = [(row.get("info") or {}).get(raw_id) if raw_id else row.get("id") for row in page.rows]
    texts = [str(value) for value in values]
    return [int(text) for text in texts if text.isascii() and text.isdigit()]


def _no_full_symbol(limit: int) -> IsLast:
    """Whether each symbol's part of the page is short: gate's limit counts by symbol."""
    return lambda page: (
        max(Counter(row.get("symbol") for row in page.rows).values(), default=0) < (limit)
    )


def _unknown(limit: int | None) -> Paging:
    """Nobody has told how this market turns pages: a page that may be full is not trusted."""
    return Paging(
        limit,
        _nowhere,
        lambda page: (
            len(page.rows) < (limit or len(page.rows) + 1) and len(page.rows) not in _CUSTOMARY
        ),
    )


_ALL_AT_ONCE: Final = Paging(None, _nowhere, _whole)

_OPEN_ORDERS: Final[Mapping[str, Paging]] = {
    "binance": _ALL_AT_ONCE,
    "bitget": Paging(100, _below_oldest("idLessThan"), _shorter_than(100)),
    "bitstamp": _ALL_AT_ONCE,
    "bitvavo": _ALL_AT_ONCE,
    # A cursor also comes with the last page, if that has rows.
    "bybit": Paging(50, _by_cursor("nextPageCursor", "cursor"), _shorter_than(50)),
    "coinbase": Paging(100, _by_cursor("cursor", "cursor"), _without_cursor("cursor")),
    # ccxt would cut the answer, which is longer than the limit if there are several symbols.
    "gate": Paging(100, _by_number("page"), _no_full_symbol(100), limit_param="limit"),
    "kraken": _ALL_AT_ONCE,
    "kucoin": Paging(500, _by_number("currentPage"), _shorter_than(500)),
    "okx": Paging(100, _below_oldest("after"), _shorter_than(100)),
}

_FILLS: Final[Mapping[str, Paging]] = {
    "binance": Paging(1000, _above_newest("fromId"), _shorter_than(1000)),
    "bitget": Paging(100, _below_oldest("idLessThan"), _shorter_than(100)),
    "bitstamp": Paging(1000, _by_offset("offset"), _shorter_than(1000)),
    "bitvavo": Paging(1000, _until_oldest, _shorter_than(1000)),
    "bybit": Paging(100, _by_cursor("nextPageCursor", "cursor"), _shorter_than(100)),
    "coinbase": Paging(250, _by_cursor("cursor", "cursor"), _without_cursor("cursor")),
    "gate": Paging(1000, _by_number("page"), _shorter_than(1000)),
    # 50 at a time, newest first.
    "kraken": Paging(None, _by_offset("ofs"), _shorter_than(50)),
    "kucoin": Paging(500, _by_number("currentPage"), _shorter_than(500)),
    "okx": Paging(100, _below_oldest("after", "billId"), _shorter_than(100)),
}
