"""The search for one order among those that ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from providers.connection import Connection
from providers.errors import CapabilityMissing, OrderUnknown, UnexpectedReport
from providers.mapping import Raw, most_advanced, order_report
from providers.market_options import (
    BY_CLIENT_ID,
    CLOSED_ARE_ALL_ENDED,
    ENDED_ORDERS_OF_ACCOUNT,
    ORDERS_FROM_ID,
    UNTIL_OF_ENDED_ORDERS_IS_WRONG,
    ByClientId,
)
from providers.paging import Listed, Params, ended_orders_paging, read_list, rows_of
from providers.readings import Reading
from providers.reports import KnownOrder
from providers.windows import SECOND, Walked, milliseconds, walk, whole_second

# Before an order was made by its own clock, so that nothing of it is missed for a clock's sake.
OVERLAP: Final = timedelta(minutes=5)

_CANCELED: Final = "fetchCanceledOrders"
_CLOSED: Final = "fetchClosedOrders"
# Each of these has every order that ended.
_WHOLE_LISTS: Final = ("fetchOrders", "fetchCanceledAndClosedOrders")
_METHODS: Final = {
    "fetchOrders": "fetch_orders",
    "fetchCanceledAndClosedOrders": "fetch_canceled_and_closed_orders",
    _CLOSED: "fetch_closed_orders",
    _CANCELED: "fetch_canceled_orders",
}


class OrderSearch:
    """Looks for an order where the exchange was asked for its id in vain, or cannot be asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._market = connection.market
        self._found: dict[KnownOrder, Reading] = {}

    async def find(self, known: KnownOrder) -> Reading:
        """Look through the lists of ended orders, once a snapshot; one row if it is there.

        Raises
        ------
        CapabilityMissing
            If the market has no such list.
        """
        if known not in self._found:
            self._found[known] = await self._find(known)
        return self._found[known]

    @property
    def has_lists(self) -> bool:
        """Whether the market lists orders that have ended."""
        return bool(self._lists())

    def way_to(self, known: KnownOrder) -> ByClientId | None:
        """Tell how the market is asked for the client id of `known`; None if there is no way."""
        return BY_CLIENT_ID.get(self._market.id) if known.client_order_id else None

    async def by_client_id(self, known: KnownOrder) -> Any:
        """Read one order by its client id, raw.

        Raises
        ------
        OrderUnknown
            If the exchange says that it has none of that id.
        CapabilityMissing
            If the market cannot be asked, or may deny an order that it has.
        """
        way = self.way_to(known)
        if way is None:
            raise CapabilityMissing(
                f"Market service {self._market.id} does not support functionality get_order by a "
                "client id"
            )
        read, symbol = self._connection.read, known.symbol or None
        params: Params = {way.param: known.client_order_id}
        try:
            if way.from_list:
                return _latest(rows_of(await read(way.from_list, symbol, None, None, params)))
            return await read("fetch_order", "", symbol, params)
        except OrderUnknown:
            if not way.forgets:
                raise
        raise CapabilityMissing(
            f"{self._market.id} finds no order {name_of(known)}, and would not find every one "
            "that has ended."
        )

    async def _find(self, known: KnownOrder) -> Reading:
        asked, row = await self._ask_by_client_id(known)
        if row is not None:
            return Reading((order_report(asked_for(row, known)),), asked)
        lists = self._lists()
        if not lists:
            raise CapabilityMissing(f"{self._market.id} lists no orders that have ended")
        pages, reasons = asked, [] if self._have_all(lists) else ["canceled orders are not listed"]
        if known.is_trigger and self._market.has_trigger_orders_apart:
            reasons.append("trigger orders that ended are listed apart")
        for capability in lists:
            listed = await self._look(capability, known)
            pages += listed.pages
            rows = [row for row in listed.rows if self._is_it(row, known)]
            if rows:
                reports = (order_report(asked_for(row, known)) for row in rows)
                return Reading(most_advanced(reports)[:1], pages)
            reasons.append(listed.why_incomplete)
        return Reading((), pages, "; ".join(filter(None, reasons)))

    async def _ask_by_client_id(self, known: KnownOrder) -> tuple[int, Raw | None]:
        """Count the requests, and tell the order if it is the same one: a client id may be used again."""
        if not known.external_id or self.way_to(known) is None:
            return 0, None
        try:
            row = await self.by_client_id(known)
        except (OrderUnknown, CapabilityMissing):
            return 1, None
        is_same = isinstance(row, dict) and str(row.get("id")) == known.external_id
        return 1, row if is_same else None

    def _lists(self) -> list[str]:
        has = self._market.capabilities
        whole = [name for name in _WHOLE_LISTS if has[name]]
        return whole[:1] or [name for name in (_CLOSED, _CANCELED) if has[name]]

    def _have_all(self, lists: list[str]) -> bool:
        is_whole = lists[0] in _WHOLE_LISTS or self._market.id in CLOSED_ARE_ALL_ENDED
        return is_whole or {_CLOSED, _CANCELED} <= set(lists)

    async def _look(self, capability: str, known: KnownOrder) -> Walked:
        method, market = _METHODS[capability], self._market
        from_id = ORDERS_FROM_ID.get(market.id)
        if from_id and capability == "fetchOrders" and known.external_id:
            return await self._look_from(method, known, from_id)
        symbol = None if market.id in ENDED_ORDERS_OF_ACCOUNT else known.symbol or None

        async def fetch(since: int | None, limit: int | None, params: Params) -> Any:
            return await self._connection.read(method, symbol, since, limit, params)

        paging = ended_orders_paging(market)
        if known.created_at is None:
            walked = Walked(why_incomplete="when the order was made is not known")
            walked.add(await read_list(fetch, paging))
            return walked
        is_wrong = market.id in UNTIL_OF_ENDED_ORDERS_IS_WRONG
        has_until = capability in market.takes_until and not is_wrong

        async def window(start: datetime, end: datetime) -> Listed:
            until = milliseconds(end) if has_until else None
            return await read_list(fetch, paging, since=milliseconds(start), until=until)

        since, until = self._lifetime(known.created_at)
        seconds = market.ended_orders_window_seconds if has_until else None
        walked = await walk(since, until, seconds, window, can_split=has_until)
        if walked.error is not None:
            raise walked.error
        return walked

    async def _look_from(self, method: str, known: KnownOrder, from_id: str) -> Walked:
        params = {from_id: known.external_id}
        walked = Walked()
        rows = rows_of(await self._connection.read(method, known.symbol, None, 1, params))
        walked.add(Listed((rows,)))
        return walked

    def _is_it(self, row: Raw, known: KnownOrder) -> bool:
        if known.external_id:
            return str(row.get("id")) == known.external_id
        way = self.way_to(known)
        prefix = way.prefix if way else ""
        return row.get("clientOrderId") in (known.client_order_id, prefix + known.client_order_id)

    def _lifetime(self, created_at: datetime) -> tuple[datetime, datetime]:
        now = self._connection.exchange_now()
        until = max(now, created_at) + 2 * SECOND
        return whole_second(created_at - OVERLAP), whole_second(until)


def name_of(known: KnownOrder) -> str:
    return known.external_id or f"with client id {known.client_order_id}"


def asked_for(raw: Any, known: KnownOrder) -> Raw:
    """Fill in what was asked for: some markets repeat neither id nor symbol of one order."""
    if not isinstance(raw, dict):
        raise UnexpectedReport(f"expected an order, was {type(raw).__name__}")
    return {
        **raw,
        "id": raw.get("id") or known.external_id,
        "symbol": raw.get("symbol") or known.symbol,
    }


def _latest(rows: Iterable[Raw]) -> Raw:
    """Choose one row: a client id may have been used again for a later order."""
    # Of the same millisecond the first: such lists begin with the newest.
    latest = max(rows, key=lambda row: row.get("timestamp") or 0, default=None)
    if latest is None:
        raise OrderUnknown("The exchange lists no order of that client id.")
    return latest
