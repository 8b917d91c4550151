"""How each market turns the pages of its lists, and when a list has been read whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from providers.catalogue import Market
from providers.errors import UnexpectedReport
from providers.mapping import Raw

# A parameter that is None is left out of the request.
Params = dict[str, Any]
# since in milliseconds, limit, further parameters
Fetch = Callable[[int | None, int | None, Params], Awaitable[Any]]

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
    until : int or None
        Up to when rows are wanted, in milliseconds; None for all.
    """

    number: int
    rows: Sequence[Raw]
    rows_before: int
    until: int | None = None


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
    repeats : bool
        Whether a page begins with what the page before ended with, so that a row may be on both.
    is_sure : bool
        Whether pages that lead to each other leave nothing out.
    """

    limit: int | None
    next_page: NextPage
    is_last: IsLast
    limit_param: str = ""
    repeats: bool = False
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Listed:
    """The pages of one list.

    Parameters
    ----------
    pages : tuple of sequence
        ccxt's unified rows, or what was made of them.
    why_incomplete : str
        Why there may be more rows; empty if there cannot be.
    repeats : bool
        As in `Paging`.
    """

    pages: tuple[Sequence[Any], ...]
    why_incomplete: str = ""
    repeats: bool = False

    @property
    def rows(self) -> list[Raw]:
        """Every row as often as the exchange has it, as far as that can be told."""
        return merged(self.pages, repeats=self.repeats)

    @property
    def copies(self) -> list[Any]:
        """Every row as often as it was told."""
        return [row for page in self.pages for row in page]


def open_orders_paging(market: Market) -> Paging:
    return _OPEN_ORDERS.get(market.id) or unknown_paging(market.open_orders_limit)


def trigger_orders_paging(market: Market) -> Paging:
    return _TRIGGER_ORDERS.get(market.id) or unknown_paging(market.open_orders_limit)


def ended_orders_paging(market: Market) -> Paging:
    return _ENDED_ORDERS.get(market.id) or unknown_paging(market.ended_orders_limit)


def fills_paging(market: Market) -> Paging:
    """Tell how the fills of one order are paged; what they add up to proves them whole."""
    limit = market.fills_limit
    by_time = Paging(limit, _since_newest, _shorter_than(limit), repeats=True)
    return _FILLS.get(market.id) or by_time


def account_fills_paging(market: Market) -> Paging:
    """Tell how the fills of a time are paged.

    Without a sure way a full page leads nowhere, if the time can be halved instead; else newer fills are looked for.
    """
    if market.id in _FILLS and market.id not in _DIRECTION_UNSURE:
        return _FILLS[market.id]
    unsure = unknown_paging(market.fills_limit)
    if "fetchMyTrades" in market.takes_until:
        return unsure
    return replace(unsure, next_page=_since_newest, repeats=True, is_sure=False)


async def read_list(
    fetch: Fetch,
    paging: Paging,
    *,
    is_whole: Callable[[Sequence[Raw]], bool] | None = None,
    since: int | None = None,
    until: int | None = None,
    keep: Callable[[Raw], Any] | None = None,
) -> Listed:
    """Read page after page until the list is whole by the market's rule, or `is_whole` says so.

    Parameters
    ----------
    keep : callable
        What is made of each row at once: many thousand rows of ccxt's are not to be held until the last is there.
    """
    limit = None if paging.limit_param else paging.limit
    always: Params = {paging.limit_param: paging.limit} if paging.limit_param else {}
    always["until"] = until
    params: Params = {}
    pages: list[Sequence[Any]] = []
    seen: set[Any] = set()
    total = 0
    for number in range(1, MAX_PAGES + 1):
        page = Page(
            number, rows_of(await fetch(since, limit, _sent(always | params))), total, until
        )
        total += len(page.rows)
        keys = {identity(row) for row in page.rows}
        is_news, seen = bool(keys - seen), seen | keys
        pages.append([keep(row) for row in page.rows] if keep else page.rows)
        so_far = Listed(tuple(pages), repeats=paging.repeats)
        if paging.is_last(page) or (is_whole is not None and is_whole(so_far.rows)):
            if number == 1 or paging.is_sure:
                return so_far
            return Listed(so_far.pages, "older rows may be left out between pages", paging.repeats)
        following = paging.next_page(page) if is_news else None
        if following is None:
            why = f"page {number} is full with {len(page.rows)} rows and leads to no other"
            return Listed(so_far.pages, why, paging.repeats)
        since, params = following.pop("since", since), following
    return Listed(tuple(pages), f"there are more than {MAX_PAGES} pages", paging.repeats)


def rows_of(answer: Any) -> Sequence[Raw]:
    """Refuse an answer that is no list of rows."""
    if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
        raise UnexpectedReport(f"Expected a list of rows, was {type(answer).__name__}.")
    return answer


def identity(row: Raw) -> tuple[str, ...]:
    """Tell a row from all others of its list; rows without an id by what they say.

    A trade of the account with itself is two rows of one id, one for each side.
    """
    if row.get("id") not in (None, ""):
        return tuple(str(row.get(name)) for name in ("symbol", "side", "id"))
    return ("", *(str(row.get(name)) for name in _CONTENT))


def merged(parts: Iterable[Sequence[Raw]], *, repeats: bool) -> list[Raw]:
    """Join pages. Of rows without an id twins stay two.

    Parameters
    ----------
    repeats : bool
        Whether equal rows without an id of two pages may be one: then the page with most of them counts.
    """
    rows: list[Raw] = []
    have: Counter[tuple[str, ...]] = Counter()
    for part in parts:
        told: Counter[tuple[str, ...]] = Counter()
        for row in part:
            key = identity(row)
            told[key] += 1
            is_named = key[0] != ""
            if (have[key] and is_named) or (repeats and told[key] <= have[key]):
                continue
            rows.append(row)
            if is_named or repeats:
                have[key] = max(have[key], told[key])
    return rows


# What tells two rows without an id apart. Not the fees: they may be told late.
_CONTENT: Final = ("symbol", "order", "timestamp", "side", "price", "amount", "cost")


def _sent(params: Params) -> Params:
    return {name: value for name, value in params.items() if value is not None}


def cursor_in(page: Page, name: str) -> str | None:
    """Find a cursor, which ccxt puts into the raw part of whatever row came first."""
    for row in page.rows:
        info = row.get("info")
        if isinstance(info, Mapping) and info.get(name):
            return str(info[name])
    return None


def _whole(_: Page) -> bool:
    return True


def nowhere(_: Page) -> Params | None:
    return None


def _shorter_than(limit: int | None) -> IsLast:
    return lambda page: len(page.rows) < limit if limit else True


def by_cursor(name: str, param: str) -> NextPage:
    def next_page(page: Page) -> Params | None:
        cursor = cursor_in(page, name)
        return {param: cursor} if cursor else None

    return next_page


def _without_cursor(name: str) -> IsLast:
    return lambda page: cursor_in(page, name) is None


def _by_whole_pages(param: str, length: int) -> NextPage:
    """Count rows that ccxt has sorted out, too."""
    return lambda page: {param: page.number * length}


def _is_empty(page: Page) -> bool:
    return not page.rows


def _shorter_or_later(limit: int) -> IsLast:
    """Whether the page is short, or reaches beyond the time that was asked for."""

    def is_last(page: Page) -> bool:
        newest = max((row.get("timestamp") or 0 for row in page.rows), default=0)
        return len(page.rows) < limit or (page.until is not None and newest > page.until)

    return is_last


def by_number(param: str) -> NextPage:
    return lambda page: {param: page.number + 1}


def by_offset(param: str) -> NextPage:
    return lambda page: {param: page.rows_before + len(page.rows)}


def below_oldest(param: str, raw_id: str = "") -> NextPage:
    """Ask for what is older than the lowest id, for markets whose ids are growing numbers."""

    def next_page(page: Page) -> Params | None:
        ids = _numbers(page, raw_id)
        return {param: str(min(ids))} if ids else None

    return next_page


def _above_newest(param: str) -> NextPage:
    """Ask for what is newer than the highest id, for markets that take an id or a time but not both."""

    def next_page(page: Page) -> Params | None:
        ids = _numbers(page, "")
        return {param: str(max(ids) + 1), "since": None, "until": None} if ids else None

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


def unknown_paging(limit: int | None) -> Paging:
    """Nobody has told how this market turns pages: a page that may be full is not trusted."""
    return Paging(
        limit,
        nowhere,
        lambda page: (
            len(page.rows) < (limit or len(page.rows) + 1) and len(page.rows) not in _CUSTOMARY
        ),
    )


_ALL_AT_ONCE: Final = Paging(None, nowhere, _whole)

_OPEN_ORDERS: Final[Mapping[str, Paging]] = {
    "binance": _ALL_AT_ONCE,
    "bitget": Paging(100, below_oldest("idLessThan"), _shorter_than(100)),
    "bitstamp": _ALL_AT_ONCE,
    "bitvavo": _ALL_AT_ONCE,
    # A cursor also comes with the last page, if that has rows.
    "bybit": Paging(50, by_cursor("nextPageCursor", "cursor"), _shorter_than(50)),
    "coinbase": Paging(100, by_cursor("cursor", "cursor"), _without_cursor("cursor")),
    # ccxt would cut the answer, which is longer than the limit if there are several symbols.
    "gate": Paging(100, by_number("page"), _no_full_symbol(100), limit_param="limit"),
    "kraken": _ALL_AT_ONCE,
    "kucoin": Paging(500, by_number("currentPage"), _shorter_than(500)),
    "okx": Paging(100, below_oldest("after"), _shorter_than(100)),
}

_FILLS: Final[Mapping[str, Paging]] = {
    "binance": Paging(1000, _above_newest("fromId"), _shorter_or_later(1000)),
    "bitget": Paging(100, below_oldest("idLessThan"), _shorter_than(100)),
    # The list also has deposits and the like, which ccxt takes out: a short page proves nothing.
    "bitstamp": Paging(1000, _by_whole_pages("offset", 1000), _is_empty),
    "bitvavo": Paging(1000, _until_oldest, _shorter_than(1000), repeats=True),
    "bybit": Paging(100, by_cursor("nextPageCursor", "cursor"), _shorter_than(100)),
    "coinbase": Paging(250, by_cursor("cursor", "cursor"), _without_cursor("cursor")),
    "gate": Paging(1000, by_number("page"), _shorter_than(1000)),
    # 50 at a time, newest first.
    "kraken": Paging(None, by_offset("ofs"), _shorter_than(50)),
    # ccxt does not send its own argument for the limit, and 50 would come.
    "kucoin": Paging(500, by_number("currentPage"), _shorter_than(500), limit_param="pageSize"),
    "okx": Paging(100, below_oldest("after", "billId"), _shorter_than(100)),
}

# Whether the newest or the oldest come first is not documented: a page cannot lead to the next.
_DIRECTION_UNSURE: Final = frozenset({"bitvavo"})

_TRIGGER_ORDERS: Final[Mapping[str, Paging]] = {
    "bitget": Paging(100, below_oldest("idLessThan"), _shorter_than(100)),
    "bybit": Paging(50, by_cursor("nextPageCursor", "cursor"), _shorter_than(50)),
    "gate": Paging(100, by_offset("offset"), _shorter_than(100)),
    "kucoin": Paging(500, by_number("currentPage"), _shorter_than(500)),
    "okx": Paging(100, below_oldest("after"), _shorter_than(100)),
}

_ENDED_ORDERS: Final[Mapping[str, Paging]] = {
    "bitget": Paging(100, below_oldest("idLessThan"), _shorter_than(100)),
    "bybit": Paging(50, by_cursor("nextPageCursor", "cursor"), _shorter_than(50)),
    "coinbase": Paging(100, by_cursor("cursor", "cursor"), _without_cursor("cursor")),
    "gate": Paging(100, by_number("page"), _shorter_than(100)),
    # 50 at a time, newest first.
    "kraken": Paging(None, by_offset("ofs"), _shorter_than(50)),
    "kucoin": Paging(500, by_number("currentPage"), _shorter_than(500)),
    "okx": Paging(100, below_oldest("after"), _shorter_than(100)),
}
