"""Which lists tell a market's flows, and how each is asked for and turned page by page.

Where a ledger tells every change of the wallet that is read, with an id, it is read instead of the lists of deposits
and withdrawals: these tell the same movements once more, and often of another wallet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from providers.catalogue import Market
from providers.mapping import EPOCH, Raw
from providers.paging import (
    NextPage,
    Page,
    Paging,
    Params,
    below_oldest,
    by_cursor,
    by_number,
    by_offset,
    nowhere,
    unknown_paging,
)
from providers.reports import FlowSource
from providers.windows import SECOND, milliseconds

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class FlowList:
    """How one list is read.

    Parameters
    ----------
    method : str
        ccxt's method; one that only passes on what the exchange answers if `rows_at` is set.
    since, until : str
        Names of the exchange's parameters for the ends of the time; empty where it knows none. The list is then read
        from its newest row back, unless it `takes_since` or `begins_with_oldest`.
    unit : timedelta
        In which times are written.
    limit : int or None
        Rows of a page; None where nobody knows.
    window_seconds : int or None
        Length of time that one read may ask for.
    rows_at : str
        Where the rows are in the exchange's answer; ``.`` if they are the answer.
    takes_since : bool
        Whether ccxt's own argument says where the time begins.
    begins_with_oldest : bool
        Whether the list can only be read from the account's first row on.
    by_account : bool
        Whether the list is one of each of the account's parts, which have to be listed first.
    """

    method: str
    since: str = ""
    until: str = ""
    unit: timedelta = timedelta(milliseconds=1)
    limit: int | None = None
    limit_param: str = "limit"
    next_page: NextPage = nowhere
    window_seconds: int | None = None
    always: Mapping[str, Any] = field(default_factory=dict)
    rows_at: str = ""
    takes_since: bool = False
    begins_with_oldest: bool = False
    by_account: bool = False

    @property
    def knows_no_time(self) -> bool:
        return not self.since and not self.takes_since

    def params(self, since: datetime, until: datetime) -> Params:
        """Tell the parameters of the first page; the time is widened to whole units at both ends."""
        params = dict(self.always)
        if self.limit and self.limit_param:
            params[self.limit_param] = self.limit
        if self.since:
            params[self.since] = (since - EPOCH) // self.unit
        if self.until:
            params[self.until] = -((EPOCH - until) // self.unit)
        return params

    def paging(self, since: datetime) -> Paging:
        """Tell how the time from `since` on is read whole."""
        limit = self.limit
        if limit is None:
            return unknown_paging(None)

        def is_last(page: Page) -> bool:
            goes_back = self.knows_no_time and not self.begins_with_oldest
            has_come_back = goes_back and any(is_before(row, since) for row in page.rows)
            return has_come_back or len(page.rows) < limit

        # The limit is one of `params`: ccxt would sort out rows by its own.
        return Paging(None, self.next_page, is_last)


def flow_lists(market: Market) -> Mapping[FlowSource, tuple[FlowList, ...]]:
    """Tell by source the lists of which the market's flows are read."""
    known = _LISTS.get(dialect_of(market))
    if known is not None:
        return known
    if market.id in _MONEY_ARRIVES_ELSEWHERE:
        return {}
    return {
        source: (FlowList(method, takes_since=True),)
        for source, capability, method in _OF_ANY_MARKET
        if market.capabilities[capability]
    }


def dialect_of(market: Market) -> str:
    """Tell whose words and lists the market's are."""
    return _SAME_AS.get(market.id, market.id)


def is_before(row: Raw, moment: datetime) -> bool:
    """Whether the row says that it is older than `moment`."""
    told = str(row.get("timestamp") or "")
    if told.isascii() and told.isdigit():
        return int(told) < milliseconds(moment)
    try:
        written = datetime.fromisoformat(str(row.get("datetime") or ""))
    except ValueError:
        return False
    return (written if written.tzinfo else written.replace(tzinfo=UTC)) < moment


def _from_newest(param: str) -> NextPage:
    """Ask for the newest row and what follows it, for markets whose ids are growing numbers."""

    def next_page(page: Page) -> Params | None:
        ids = [text for row in page.rows if (text := str(row.get("id"))).isdecimal()]
        return {param: max(ids, key=int)} if ids else None

    return next_page


_SAME_AS: Final[Mapping[str, str]] = {
    "bybiteu": "bybit",
    "bybitid": "bybit",
    "gateeu": "gate",
    "myokx": "okx",
    "okxus": "okx",
}
# What comes in or goes out moves another wallet than the one that trades, and nothing tells what is moved between
# them: booking it would invent amounts.
_MONEY_ARRIVES_ELSEWHERE: Final = frozenset({"bequant", "bingx", "fmfwio", "hitbtc", "whitebit"})

_OF_ANY_MARKET: Final = (
    (FlowSource.DEPOSITS, "fetchDeposits", "fetch_deposits"),
    (FlowSource.WITHDRAWALS, "fetchWithdrawals", "fetch_withdrawals"),
)


_LEDGERS: Final[Mapping[str, tuple[FlowList, ...]]] = {
    "bitget": (
        FlowList(
            "fetch_ledger",
            "startTime",
            "endTime",
            limit=100,
            next_page=below_oldest("idLessThan"),
            window_seconds=90 * _DAY,
        ),
    ),
    # It takes a time only of the last 30 days, so it is read back from the newest row.
    "bitstamp": (
        FlowList(
            "privatePostUserTransactions",
            limit=1000,
            next_page=by_offset("offset"),
            always={"sort": "desc"},
            rows_at=".",
        ),
    ),
    "bitvavo": (
        FlowList(
            "fetch_ledger",
            "fromDate",
            "toDate",
            limit=100,
            limit_param="maxItems",
            next_page=by_number("page"),
        ),
    ),
    "bybit": (
        FlowList(
            "fetch_ledger",
            "startTime",
            "endTime",
            limit=50,
            next_page=by_cursor("nextPageCursor", "cursor"),
            window_seconds=7 * _DAY,
        ),
    ),
    "coinbase": (
        FlowList(
            "fetch_ledger",
            limit=100,
            next_page=by_cursor("next_starting_after", "starting_after"),
            always={"order": "desc"},
            by_account=True,
        ),
    ),
    # ccxt would send milliseconds, where the exchange expects seconds.
    "gate": (
        FlowList(
            "fetch_ledger",
            "from",
            "to",
            unit=SECOND,
            limit=1000,
            next_page=by_number("page"),
            window_seconds=30 * _DAY,
        ),
    ),
    # 50 at a time, newest first. No window is too long, but a trader's month has thousands of rows.
    "kraken": (
        FlowList(
            "fetch_ledger",
            "start",
            "end",
            unit=SECOND,
            limit=50,
            limit_param="",
            next_page=by_offset("ofs"),
            window_seconds=7 * _DAY,
        ),
    ),
    # One for each kind of trading account; only one of them has rows.
    "kucoin": (
        FlowList(
            "fetch_ledger",
            "startAt",
            "endAt",
            limit=500,
            limit_param="pageSize",
            next_page=by_number("currentPage"),
            window_seconds=_DAY,
        ),
        FlowList(
            "fetch_ledger",
            "startAt",
            "endAt",
            limit=200,
            next_page=below_oldest("lastId"),
            window_seconds=_DAY,
            always={"hf": True},
        ),
    ),
    "okx": (
        FlowList(
            "privateGetAccountBillsArchive",
            "begin",
            "end",
            limit=100,
            next_page=below_oldest("after"),
            rows_at="data",
        ),
    ),
}
# What is read of a list of deposits and a list of withdrawals, but for ccxt's method.
_TRANSACTIONS: Final[Mapping[str, FlowList]] = {
    "binance": FlowList(
        "",
        "startTime",
        "endTime",
        limit=1000,
        next_page=by_offset("offset"),
        window_seconds=90 * _DAY,
    ),
    # ccxt asks for the account's first 100 and sorts out by time afterwards.
    "htx": FlowList(
        "", limit=100, limit_param="size", next_page=_from_newest("from"), begins_with_oldest=True
    ),
    "mexc": FlowList("", "startTime", "endTime", limit=1000, window_seconds=7 * _DAY),
}
# Binance tells of one way between two wallets at once.
_OTHER_WALLETS: Final = ("UMFUTURE", "CMFUTURE", "MARGIN", "FUNDING", "OPTION", "PORTFOLIO_MARGIN")
_TRANSFER: Final = FlowList(
    "sapiGetAssetTransfer",
    "startTime",
    "endTime",
    limit=100,
    limit_param="size",
    next_page=by_number("current"),
    window_seconds=30 * _DAY,
    rows_at="rows",
)
_SELDOM: Final[Mapping[str, Mapping[FlowSource, tuple[FlowList, ...]]]] = {
    "binance": {
        FlowSource.REWARDS: (
            FlowList(
                "sapiGetAssetAssetDividend",
                "startTime",
                "endTime",
                limit=500,
                window_seconds=30 * _DAY,
                rows_at="rows",
            ),
        ),
        FlowSource.TRANSFERS: tuple(
            replace(_TRANSFER, always={"type": way})
            for wallet in _OTHER_WALLETS
            for way in (f"MAIN_{wallet}", f"{wallet}_MAIN")
        ),
    },
}
_LISTS: Final[Mapping[str, Mapping[FlowSource, tuple[FlowList, ...]]]] = {
    market: {FlowSource.LEDGER: lists} for market, lists in _LEDGERS.items()
} | {
    market: {
        **{source: (replace(listed, method=method),) for source, _, method in _OF_ANY_MARKET},
        **_SELDOM.get(market, {}),
    }
    for market, listed in _TRANSACTIONS.items()
}
