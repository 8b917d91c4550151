"""The legs of orders: what is open, what left, its fills, and the search for what is denied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from providers.account_reads import AccountReads
from providers.connection import Connection
from providers.errors import OrderUnknown
from providers.fill_reads import FillReads
from providers.legs import ALL, LegRecorder
from providers.order_search import OrderSearch
from providers.readings import Reading
from providers.reports import (
    THE_REST,
    KnownOrder,
    LegKind,
    LegStatus,
    OrderReport,
    SnapshotRequest,
)
from providers.symbol_choice import SymbolChoice

# An empty list is looked at twice where the books hold at least so many open orders.
_MANY_OPEN: Final = 3
# Orders that no book knows are read singly, so many a snapshot.
_MAX_UNKNOWN: Final = 50

# External id, client id, symbol: the second only of an order that has no external id, the last only where two orders
# share the id, as some exchanges number those of each symbol anew.
_Key = tuple[str, str, str]


class OrderLegs:
    """Reads orders into legs, and remembers what was told of each.

    Attributes
    ----------
    reports : dict
        What was told of an order, by `_Key`.
    has_moved : bool
        Whether an open order is not as the books know it, or one is open that they do not know.
    """

    def __init__(
        self,
        connection: Connection,
        request: SnapshotRequest,
        recorder: LegRecorder,
        symbols: SymbolChoice,
    ) -> None:
        search = OrderSearch(connection)
        self.reports: dict[_Key, OrderReport] = {}
        self.has_moved = False
        self._market = connection.market
        self._reads = AccountReads(connection, search)
        self._fill_reads = FillReads(connection)
        self._search = search
        self._request = request
        self._recorder = recorder
        self._symbols = symbols
        self._shared = _shared_ids(request.known_orders)
        self._known = {self._key(order): order for order in request.known_orders}
        self._known.pop(("", "", ""), None)
        self._by_symbol = connection.market.open_orders_need_symbol
        # Ids that are open by list and symbol; None where the list was not read whole.
        self._open: dict[tuple[LegKind, str], frozenset[_Key] | None] = {}
        self._denied: list[KnownOrder] = []

    @property
    def has_triggers_apart(self) -> bool:
        return self._market.has_trigger_orders_apart

    @property
    def has_read_triggers(self) -> bool:
        return any(leg.kind is LegKind.TRIGGER_ORDERS for leg in self._recorder.legs)

    @property
    def knows_a_trigger(self) -> bool:
        return any(order.is_trigger and order.is_open for order in self._known.values())

    async def read_open(self) -> None:
        symbols = self._symbols.names if self._by_symbol else (ALL,)
        for done, symbol in enumerate(symbols, start=1):
            kind = LegKind.OPEN_ORDERS
            reading = await self._recorder.record(kind, symbol, partial(self._open_orders, symbol))
            self._note_open(kind, symbol, reading)
            self._recorder.progress(kind, done, len(symbols))
        if self._by_symbol:
            self._recorder.skip(LegKind.OPEN_ORDERS, THE_REST, self._symbols.hole)
        moved = any(self._is_moved(order) for order in self._known.values())
        self.has_moved = moved or self._has_unknown()

    async def read_triggers(self) -> None:
        symbols = self._symbols.names if self._by_symbol else (ALL,)
        for symbol in symbols:
            kind = LegKind.TRIGGER_ORDERS
            read = partial(self._reads.trigger_orders, symbol)
            self._note_open(kind, symbol, await self._recorder.record(kind, symbol, read))

    async def read_left(self) -> None:
        """Read the orders that left the lists or are doubted, and those that are wanted for their fills."""
        wanted = [order for order in self._known.values() if self._is_asked(order)]
        for done, order in enumerate(wanted, start=1):
            await self._read_order(order)
            self._recorder.progress(LegKind.ORDER, done, len(wanted))

    async def read_fills(self) -> None:
        """Read the fills of orders of which the exchange tells more than the books know."""
        have = {leg.subject for leg in self._recorder.legs if leg.kind is LegKind.FILLS}
        wanted = [
            (replace(order, external_id=report.external_id), report)
            for key, order in self._known.items()
            if (report := self.reports.get(key)) is not None and _wants_fills(order, report)
        ]
        by_subject = {self._subject(order): (order, report) for order, report in wanted}
        todo = {name: order for name, order in by_subject.items() if name not in have}
        for done, (subject, (order, report)) in enumerate(todo.items(), start=1):
            read = partial(self._fill_reads.of_order, order, report)
            await self._recorder.record(LegKind.FILLS, subject, read)
            self._recorder.progress(LegKind.FILLS, done, len(todo))

    async def search_denied(self) -> None:
        """Look for open orders that the exchange denies among those that ended, and for their fills."""
        for order in self._denied:
            subject = self._subject(order)
            kind = LegKind.ENDED_ORDERS
            found = await self._recorder.record(kind, subject, partial(self._search.find, order))
            reports = found.rows if found else ()
            self.reports |= {
                self._key(order): row for row in reports if isinstance(row, OrderReport)
            }
            if not reports:
                read = partial(self._fill_reads.of_denied, order)
                await self._recorder.record(LegKind.FILLS, subject, read)

    async def read_unknown(self, orders: Iterable[KnownOrder]) -> None:
        """Read orders that turned up by a fill and that no book knows."""
        known = self._request.known_order_ids | {id_ for id_, *_ in (*self._known, *self.reports)}
        todo = [order for order in orders if order.external_id not in known | {""}]
        self._shared |= _shared_ids(todo)
        for order in todo[:_MAX_UNKNOWN]:
            await self._read_order(order)
        if len(todo) > _MAX_UNKNOWN:
            why = f"{len(todo) - _MAX_UNKNOWN} more orders turned up by their fills"
            self._recorder.skip(LegKind.ORDER, THE_REST, why)

    async def _open_orders(self, symbol: str) -> Reading:
        reading = await self._reads.open_orders(symbol)
        expected = [x for x in self._known.values() if x.is_open and x.external_id]
        expected = [x for x in expected if symbol in (ALL, x.symbol) and not self._is_apart(x)]
        if reading.rows or reading.why_incomplete or len(expected) < _MANY_OPEN:
            return reading
        again = await self._reads.open_orders(symbol)
        return replace(again, pages=reading.pages + again.pages)

    def _note_open(self, kind: LegKind, symbol: str, reading: Reading | None) -> None:
        if reading is None:
            if self._recorder.legs[-1].status is LegStatus.UNSUPPORTED:
                self._open[kind, symbol] = frozenset()
            return
        orders = [row for row in reading.rows if isinstance(row, OrderReport)]
        self.reports |= {("", order.client_order_id, ""): order for order in orders}
        told = {self._key(order): order for order in orders}
        self.reports |= told
        if reading.hidden_ids is not None:
            hidden = frozenset((id_, "", "") for id_ in reading.hidden_ids)
            self._open[kind, symbol] = hidden | told.keys()

    def _is_apart(self, order: KnownOrder) -> bool:
        return order.is_trigger and self.has_triggers_apart

    def _is_asked(self, order: KnownOrder) -> bool:
        if not self._reads.can_ask_for(order):
            return False
        if not order.is_open:
            return order.wants_fills and self._key(order) not in self.reports
        return order.is_doubted or self._has_left(order)

    def _has_left(self, order: KnownOrder) -> bool:
        """Whether the order is in none of the lists that could have it, all of them read whole."""
        if self._key(order) in self.reports:
            return False
        symbol = order.symbol if self._by_symbol else ALL
        kinds = [LegKind.OPEN_ORDERS]
        if self._is_apart(order) or (LegKind.TRIGGER_ORDERS, symbol) in self._open:
            kinds.append(LegKind.TRIGGER_ORDERS)
        for kind in kinds:
            keys = self._open.get((kind, symbol))
            if keys is None or (order.external_id, "", "") in keys:
                return False
        return True

    def _is_moved(self, order: KnownOrder) -> bool:
        if not order.is_open or self._is_apart(order):
            return False
        report = self.reports.get(self._key(order))
        if report is None:
            return self._has_left(order)
        return report.filled is not None and report.filled != order.filled

    def _has_unknown(self) -> bool:
        ids = self._request.known_order_ids | {id_ for id_, *_ in self._known}
        ours = {order.client_order_id for order in self._known.values()} - {""}
        return any(
            report.external_id not in ids and report.client_order_id not in ours
            for report in self.reports.values()
        )

    async def _read_order(self, order: KnownOrder) -> None:
        read = partial(self._order, order)
        await self._recorder.record(LegKind.ORDER, self._subject(order), read)

    async def _order(self, order: KnownOrder) -> Reading:
        try:
            report = await self._reads.order(order)
        except OrderUnknown:
            if order.is_open and self._key(order) in self._known:
                self._denied.append(order)
            raise
        self.reports[self._key(order)] = report
        return Reading((report,), 1)

    def _key(self, order: KnownOrder | OrderReport) -> _Key:
        if not order.external_id:
            return "", order.client_order_id, ""
        return order.external_id, "", order.symbol if order.external_id in self._shared else ""

    def _subject(self, order: KnownOrder) -> str:
        id_, client_id, symbol = self._key(order)
        return f"{id_} {symbol}" if symbol else id_ or client_id


def _shared_ids(orders: Iterable[KnownOrder]) -> frozenset[str]:
    """Find the ids that orders of several symbols have."""
    ids = Counter(id_ for id_, _ in {(x.external_id, x.symbol) for x in orders if x.external_id})
    return frozenset(id_ for id_, symbols in ids.items() if symbols > 1)


def _wants_fills(known: KnownOrder, report: OrderReport) -> bool:
    """Whether something was executed that the books do not have, or may have been."""
    if known.wants_fills:
        return True
    if report.filled is None:
        return report.status is not None and report.status.is_terminal
    return report.filled > known.filled
