"""The fills of one order, and those of a whole account since a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any, Final

from providers.connection import Connection
from providers.errors import CapabilityMissing, OrderUnknown
from providers.mapping import EXACT, Raw, fill_reports
from providers.market_options import FILLS_OF_ACCOUNT, FILLS_OF_ORDER_PARAM
from providers.order_search import OVERLAP
from providers.paging import (
    Fetch,
    Listed,
    Params,
    account_fills_paging,
    fills_paging,
    read_list,
)
from providers.readings import Reading
from providers.reports import FillReport, KnownOrder, OrderReport
from providers.windows import SECOND, Walked, milliseconds, walk, whole_second

# What our notion of the exchange's clock may be wrong: fills of this very moment are asked for, too.
_AHEAD: Final = 3 * SECOND


class FillReads:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._market = connection.market

    async def of_order(self, known: KnownOrder, report: OrderReport) -> Reading:
        """Read the fills of one order, until they add up to what the exchange says is filled."""
        id_ = known.external_id
        fetch, since = self._fetch_of_order(known, report)

        def of_order(rows: Iterable[Raw]) -> list[Raw]:
            return _of_order(rows, id_, has_others=not self._finds_by_order)

        def is_whole(rows: Iterable[Raw]) -> bool:
            fills = fill_reports(of_order(rows), id_).rows
            return report.filled is not None and _total(fills) >= report.filled

        listed = await read_list(fetch, fills_paging(self._market), is_whole=is_whole, since=since)
        reading = _reading(of_order(listed.rows), id_, len(listed.pages), listed.why_incomplete)
        if report.filled is None or reading.problems:
            return reading
        filled = _total(row for row in reading.rows if isinstance(row, FillReport))
        why = f"the fills add up to {filled} of {report.filled}" if filled < report.filled else ""
        return Reading(reading.rows, reading.pages, why)

    async def of_denied(self, known: KnownOrder) -> Reading:
        """Read the fills of an order that the exchange denies; complete if it cannot have others.

        Raises
        ------
        CapabilityMissing
            If the order has no id of the exchange, or the market lists no fills.
        """
        id_ = known.external_id
        if not id_:
            raise CapabilityMissing(
                f"{self._market.id} tells fills by its own order ids only, and none is known"
            )
        listed = await self._list_of_order(known)
        if listed is not None:
            rows = _of_order(listed.rows, id_, has_others=False)
            return _reading(rows, id_, len(listed.pages), listed.why_incomplete)
        if known.created_at is None:
            return Reading((), 0, "when the order was made is not known")
        since, until = known.created_at - OVERLAP, self._connection.exchange_now()
        walked = await self._walk(self._listed_by(known.symbol), since, max(since, until))
        if walked.error is not None:
            raise walked.error
        why = walked.why_incomplete
        if any(row.get("order") is None for row in walked.rows):
            why = why or "some fills do not say of which order they are"
        return _reading(_of_order(walked.rows, id_, has_others=True), id_, walked.pages, why)

    async def of_account(self, symbol: str, since: datetime, until: datetime) -> Reading:
        """Read the fills of `symbol`, or all if that is empty, made between two moments of the exchange's clock.

        The reading covers as much as was read without a gap, and has the rows behind a gap as well.
        """
        self._connection.require("fetchMyTrades", "get_trades")
        told_since = self._told_since(since, until)
        walked = await self._walk(symbol, told_since, until)
        reports = fill_reports(walked.rows)
        reasons = [walked.why_incomplete, *reports.problems]
        if told_since > since:
            reasons.insert(0, f"the exchange tells no fills before {told_since:%Y-%m-%d %H:%M}")
        is_good = not reports.problems
        covered = walked.covered_until if is_good else None
        return Reading(
            reports.rows,
            walked.pages,
            "; ".join(filter(None, reasons)),
            reports.problems,
            since=told_since,
            until=None if covered is None else min(covered, until),
            error=walked.error,
        )

    @property
    def _finds_by_order(self) -> bool:
        """Whether fills can be asked for by the id of their order."""
        market = self._market
        by_id = market.capabilities["fetchOrderTrades"] or market.id in FILLS_OF_ORDER_PARAM
        return by_id and market.id not in FILLS_OF_ACCOUNT

    async def _list_of_order(self, known: KnownOrder) -> Listed | None:
        """List the fills that the exchange finds by the order's id; None if it cannot be asked so."""
        if not self._finds_by_order:
            return None
        nothing = OrderReport(known.external_id, known.symbol, None, None, None, None, None)
        fetch, _ = self._fetch_of_order(known, nothing)
        try:
            return await read_list(fetch, account_fills_paging(self._market))
        except OrderUnknown:
            return None

    def _fetch_of_order(self, known: KnownOrder, report: OrderReport) -> tuple[Fetch, int | None]:
        market, read = self._market, self._connection.read
        id_, symbol = known.external_id, known.symbol or report.symbol
        if market.capabilities["fetchOrderTrades"] and market.id not in FILLS_OF_ACCOUNT:

            async def of_order(since: int | None, limit: int | None, params: Params) -> Any:
                return await read("fetch_order_trades", id_, symbol, since, limit, params)

            return of_order, None
        self._connection.require("fetchMyTrades", "get_trades")
        order_param = FILLS_OF_ORDER_PARAM.get(market.id)
        own: Params = {order_param: id_} if order_param else {}
        created_at = known.created_at or report.created_at
        since = None if created_at is None else milliseconds(created_at - OVERLAP)
        return self._fetch_of_account(self._listed_by(symbol), own), since

    def _fetch_of_account(self, symbol: str, own: Params) -> Fetch:
        async def fetch(since: int | None, limit: int | None, params: Params) -> Any:
            read = self._connection.read
            return await read("fetch_my_trades", symbol or None, since, limit, {**own, **params})

        return fetch

    def _listed_by(self, symbol: str) -> str:
        return "" if self._market.id in FILLS_OF_ACCOUNT else symbol

    async def _walk(self, symbol: str, since: datetime, until: datetime) -> Walked:
        market = self._market
        fetch, paging = self._fetch_of_account(symbol, {}), account_fills_paging(market)
        has_until = "fetchMyTrades" in market.takes_until

        async def window(start: datetime, end: datetime) -> Listed:
            last = milliseconds(end) if has_until else None
            return await read_list(fetch, paging, since=milliseconds(start), until=last)

        # Whole seconds, as some markets know no others, and one more, as kraken leaves out the first.
        start, end = whole_second(since) - SECOND, whole_second(until) + _AHEAD
        seconds = market.fills_window_seconds if has_until else None
        return await walk(start, end, seconds, window, can_split=has_until)

    def _told_since(self, since: datetime, until: datetime) -> datetime:
        """Move `since` up to where the exchange begins to tell fills."""
        seconds = self._market.fills_seconds
        return since if seconds is None else max(since, until - timedelta(seconds=seconds))


def _reading(rows: list[Raw], order_id: str, pages: int, why_incomplete: str) -> Reading:
    reports = fill_reports(rows, order_id)
    why = "; ".join(filter(None, (why_incomplete, *reports.problems)))
    return Reading(reports.rows, pages, why, reports.problems)


def _of_order(rows: Iterable[Raw], order_id: str, *, has_others: bool) -> list[Raw]:
    """Keep the fills of one order; of a list that has no others also those that do not say."""
    ids = (order_id,) if has_others else (order_id, "None")
    return [row for row in rows if str(row.get("order")) in ids]


def _total(fills: Iterable[FillReport]) -> Decimal:
    with localcontext(EXACT):
        return sum((fill.amount for fill in fills), Decimal(0))
