"""What can be read of an account: whole lists, single orders, their fills, balances."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any, Final

from providers.connection import Connection
from providers.errors import CapabilityMissing, OrderUnknown, UnexpectedReport
from providers.mapping import (
    Raw,
    Reports,
    balance_reports,
    fill_reports,
    order_report,
    order_reports,
)
from providers.market_options import (
    BALANCE_PARAMS,
    BY_CLIENT_ID,
    FILLS_OF_ACCOUNT,
    FILLS_OF_ORDER_PARAM,
    ByClientId,
)
from providers.paging import MAX_PAGES, Page, Paging, Params, fills_paging, open_orders_paging
from providers.reports import SPOT, FillReport, KnownOrder, OrderReport, Row
from providers.shapes import BARE_LIST_OF_BALANCES

# Before an order was made by its own clock, so that no fill of it is missed for a clock's sake.
_OVERLAP: Final = timedelta(minutes=5)

# Where there is no read of a single order: the lists that may hold it, the widest first.
_LISTS_OF_ENDED: Final = (
    ("fetchOrders", "fetch_orders"),
    ("fetchCanceledAndClosedOrders", "fetch_canceled_and_closed_orders"),
    ("fetchClosedOrders", "fetch_closed_orders"),
    ("fetchCanceledOrders", "fetch_canceled_orders"),
)

# since in milliseconds, limit, further parameters
_Fetch = Callable[[int | None, int | None, Params], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read brought.

    Parameters
    ----------
    why_incomplete : str
        Why more may be there than `rows`; empty if nothing can.
    problems : tuple of str
        What is wrong with rows that could not be told.
    hidden_ids : frozenset of str or None
        Ids of rows that are there but not in `rows`; None if there may be more of them.
    """

    rows: tuple[Row, ...]
    pages: int
    why_incomplete: str = ""
    problems: tuple[str, ...] = ()
    hidden_ids: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class _List:
    rows: Sequence[Raw]
    pages: int
    why_incomplete: str = ""


class AccountReads:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._market = connection.market

    async def open_orders(self, symbol: str = "") -> Reading:
        """Read all open orders, or those of `symbol`."""
        self._require("fetchOpenOrders", "get_open_orders")
        found = await self._open_orders(symbol)
        if await self._connection.learns_new_symbols(row.get("symbol") for row in found.rows):
            found = await self._open_orders(symbol)
        return _reading(found, order_reports(found.rows))

    def can_ask_for(self, known: KnownOrder) -> bool:
        """Whether the order has an id, or a client id by which its market can be asked."""
        return bool(known.external_id) or self._way_to(known) is not None

    async def order(self, known: KnownOrder) -> OrderReport:
        """Read one order by its id or, if it has none yet, by its client id.

        Raises
        ------
        OrderUnknown
            If the exchange says that it has none of that id.
        """
        read = self._order if known.external_id else self._order_of_client_id
        try:
            report = order_report(_asked_for(await read(known), known))
        except OrderUnknown as e:
            raise OrderUnknown(
                f"External order not found for order {_name(known)} at market "
                f"{self._market.id}. It stays as it is in the books.",
                kind=e.kind,
            ) from None
        except UnexpectedReport as e:
            message = f"{self._market.id}: order {_name(known)}: {e}"
            raise UnexpectedReport(message, kind=e.kind) from None
        return self._checked(report, known)

    async def fills(self, known: KnownOrder, report: OrderReport) -> Reading:
        """Read the fills of one order, until they add up to what the exchange says is filled."""
        fetch, since = self._fetch_fills(known, report)

        def is_whole(rows: Iterable[Raw]) -> bool:
            return report.filled is not None and _sum(rows, known.external_id) >= report.filled

        paging = fills_paging(self._market)
        found = await self._list(fetch, paging, is_whole=is_whole, since=since)
        reports = fill_reports(_of_order(found.rows, known.external_id), known.external_id)
        reading = _reading(found, reports)
        if report.filled is None or reading.problems:
            return reading
        filled = _total(reports.rows)
        why = f"the fills add up to {filled} of {report.filled}" if filled < report.filled else ""
        return Reading(reading.rows, reading.pages, why)

    async def balances(self, wallet: str = SPOT) -> Reading:
        """Read every asset of a wallet."""
        self._require("fetchBalance", "get_balance")
        params = dict(BALANCE_PARAMS.get(self._market.id, {}))
        if wallet != SPOT:
            params["type"] = wallet
        raw = await self._connection.read("fetch_balance", params)
        if not isinstance(raw, Mapping) or self._is_suspect(raw):
            raise UnexpectedReport(
                f"{self._market.id} answered with nothing where balances are documented."
            )
        return _reading(_List((), 1), balance_reports(raw, wallet))

    def _is_suspect(self, raw: Raw) -> bool:
        return not raw.get("info", True) and self._market.id not in BARE_LIST_OF_BALANCES

    async def _open_orders(self, symbol: str) -> _List:
        async def fetch(_: int | None, limit: int | None, params: Params) -> Any:
            read = self._connection.read
            return await read("fetch_open_orders", symbol or None, None, limit, params)

        return await self._list(fetch, open_orders_paging(self._market))

    async def _order(self, known: KnownOrder) -> Any:
        symbol = known.symbol or None
        if self._market.capabilities["fetchOrder"]:
            return await self._connection.read("fetch_order", known.external_id, symbol)
        lists = [name for has, name in _LISTS_OF_ENDED if self._market.capabilities[has]]
        if not lists:
            self._require("fetchOrder", "get_order")
        since = _milliseconds(known.created_at)
        for method in lists:
            for raw in _rows(await self._connection.read(method, symbol, since)):
                if str(raw.get("id")) == known.external_id:
                    return raw
        raise CapabilityMissing(
            f"Market service {self._market.id} does not support functionality get_order, and "
            f"order {known.external_id} is not among the latest that it lists."
        )

    def _way_to(self, known: KnownOrder) -> ByClientId | None:
        return BY_CLIENT_ID.get(self._market.id) if known.client_order_id else None

    async def _order_of_client_id(self, known: KnownOrder) -> Any:
        way = self._way_to(known)
        if way is None:
            raise CapabilityMissing(
                f"Market service {self._market.id} does not support functionality get_order by a "
                "client id"
            )
        read, symbol = self._connection.read, known.symbol or None
        params: Params = {way.param: known.client_order_id}
        try:
            if way.from_list:
                return _latest(_rows(await read(way.from_list, symbol, None, None, params)))
            return await read("fetch_order", "", symbol, params)
        except OrderUnknown:
            if not way.forgets:
                raise
        raise CapabilityMissing(
            f"{self._market.id} finds no order {_name(known)}, and would not find every one that "
            "has ended."
        )

    def _checked(self, report: OrderReport, known: KnownOrder) -> OrderReport:
        """Refuse another order than the one that was asked for."""
        asked, told = known.external_id, report.external_id
        if not asked:
            way = BY_CLIENT_ID[self._market.id]
            asked, told = known.client_order_id, report.client_order_id
            if told == way.prefix + asked:
                told = asked
            report = replace(report, client_order_id=told)
        if asked != told:
            raise UnexpectedReport(
                f"{self._market.id} was asked for order {_name(known)} and answered with "
                f"{told or report.external_id}."
            )
        return report

    def _fetch_fills(self, known: KnownOrder, report: OrderReport) -> tuple[_Fetch, int | None]:
        market, read = self._market, self._connection.read
        id_, symbol = known.external_id, known.symbol or report.symbol
        if market.capabilities["fetchOrderTrades"] and market.id not in FILLS_OF_ACCOUNT:

            async def of_order(since: int | None, limit: int | None, params: Params) -> Any:
                return await read("fetch_order_trades", id_, symbol, since, limit, params)

            return of_order, None
        self._require("fetchMyTrades", "get_trades")
        listed_by = None if market.id in FILLS_OF_ACCOUNT else symbol
        order_param = FILLS_OF_ORDER_PARAM.get(market.id)
        own: Params = {order_param: id_} if order_param else {}

        async def of_account(since: int | None, limit: int | None, params: Params) -> Any:
            return await read("fetch_my_trades", listed_by, since, limit, {**own, **params})

        return of_account, _milliseconds(known.created_at or report.created_at)

    async def _list(
        self,
        fetch: _Fetch,
        paging: Paging,
        *,
        is_whole: Callable[[Sequence[Raw]], bool] = lambda _: False,
        since: int | None = None,
    ) -> _List:
        limit = None if paging.limit_param else paging.limit
        always: Params = {paging.limit_param: paging.limit} if paging.limit_param else {}
        params: Params = {}
        rows: list[Raw] = []
        seen: set[Any] = set()
        total = 0
        for number in range(1, MAX_PAGES + 1):
            page = Page(number, _rows(await fetch(since, limit, {**always, **params})), total)
            total += len(page.rows)
            fresh = [row for row in page.rows if row.get("id") not in seen]
            rows += fresh
            seen |= {row.get("id") for row in fresh} - {None}
            if is_whole(rows) or paging.is_last(page):
                return _List(rows, number)
            following = paging.next_page(page) if fresh else None
            if following is None:
                why = f"page {number} is full with {len(page.rows)} rows and leads to no other"
                return _List(rows, number, why)
            since, params = following.pop("since", since), following
        return _List(rows, MAX_PAGES, f"there are more than {MAX_PAGES} pages")

    def _require(self, capability: str, functionality: str) -> None:
        if not self._market.capabilities[capability]:
            raise CapabilityMissing(
                f"Market service {self._market.id} does not support functionality {functionality}"
            )


def _reading(found: _List, reports: Reports[Any]) -> Reading:
    hidden = frozenset(id_ for id_ in reports.refused_ids if id_ is not None)
    knows_all = not found.why_incomplete and None not in reports.refused_ids
    return Reading(
        reports.rows,
        found.pages,
        "; ".join(filter(None, (found.why_incomplete, *reports.problems))),
        reports.problems,
        hidden if knows_all else None,
    )


def _rows(answer: Any) -> Sequence[Raw]:
    if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
        raise UnexpectedReport(f"Expected a list of rows, was {type(answer).__name__}.")
    return answer


def _latest(rows: Sequence[Raw]) -> Raw:
    """Choose one row: a client id may have been used again for a later order."""
    if not rows:
        raise OrderUnknown("The exchange lists no order of that client id.")
    # Of the same millisecond the first: such lists begin with the newest.
    return max(rows, key=lambda row: row.get("timestamp") or 0)


def _name(known: KnownOrder) -> str:
    return known.external_id or f"with client id {known.client_order_id}"


def _asked_for(raw: Any, known: KnownOrder) -> Raw:
    """Fill in what was asked for: some markets repeat neither id nor symbol of one order."""
    if not isinstance(raw, Mapping):
        raise UnexpectedReport(f"expected an order, was {type(raw).__name__}")
    return {
        **raw,
        "id": raw.get("id") or known.external_id,
        "symbol": raw.get("symbol") or known.symbol,
    }


def _of_order(rows: Iterable[Raw], order_id: str) -> list[Raw]:
    return [row for row in rows if str(row.get("order")) == order_id or row.get("order") is None]


def _sum(rows: Iterable[Raw], order_id: str) -> Decimal:
    return _total(fill_reports(_of_order(rows, order_id), order_id).rows)


def _total(fills: Iterable[FillReport]) -> Decimal:
    with localcontext(Context(prec=400)):
        return sum((fill.amount for fill in fills), Decimal(0))


def _milliseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return max(0, int((moment - _OVERLAP).timestamp() * 1000))
