"""The legs of facts since a cursor: the fills of an account, and its flows."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from providers.connection import Connection
from providers.errors import CapabilityMissing
from providers.fill_reads import FillReads
from providers.flow_reads import FlowReads
from providers.legs import ALL, LegRecorder
from providers.readings import Reading
from providers.reports import (
    THE_REST,
    FillReport,
    KnownOrder,
    LegKind,
    SnapshotRequest,
)
from providers.symbol_choice import SymbolChoice

_NOTHING: Final = Decimal(0)


class FactLegs:
    def __init__(
        self, connection: Connection, request: SnapshotRequest, recorder: LegRecorder
    ) -> None:
        self._connection = connection
        self._request = request
        self._recorder = recorder
        self._fills = FillReads(connection)
        self._flows = FlowReads(connection)
        self._cursors = {(x.kind, x.subject): x.covered_until for x in request.cursors}

    async def read_fills(self, symbols: SymbolChoice) -> list[KnownOrder]:
        """Read the fills of all `symbols`, or of the account at once where it can be; tell the orders of them."""
        kind = LegKind.ACCOUNT_FILLS
        by_symbol = self._connection.market.fills_need_symbol
        subjects = symbols.names if by_symbol else (ALL,)
        orders: dict[tuple[str, str], KnownOrder] = {}
        for done, symbol in enumerate(subjects, start=1):
            reading = await self._recorder.record(kind, symbol, partial(self._fills_of, symbol))
            orders |= _orders_of(reading)
            self._recorder.progress(kind, done, len(subjects))
        if by_symbol:
            self._recorder.skip(kind, THE_REST, symbols.hole)
        return list(orders.values())

    async def read_flows(self) -> None:
        sources = self._flows.sources(also_seldom=self._request.has_differences)
        if not sources:
            await self._recorder.record(LegKind.FLOWS, ALL, self._no_flows)
        for done, source in enumerate(sources, start=1):
            since, until = self._span(LegKind.FLOWS, source)
            read = partial(self._flows.read, source, since, until)
            await self._recorder.record(LegKind.FLOWS, source, read)
            self._recorder.progress(LegKind.FLOWS, done, len(sources))

    async def _no_flows(self) -> Reading:
        raise CapabilityMissing(f"{self._connection.market.id} lists no deposits and withdrawals")

    async def _fills_of(self, symbol: str) -> Reading:
        return await self._fills.of_account(symbol, *self._span(LegKind.ACCOUNT_FILLS, symbol))

    def _span(self, kind: LegKind, subject: str) -> tuple[datetime, datetime]:
        until = self._connection.exchange_now()
        begin = self._cursors.get((kind, subject)) or self._request.facts_since or until
        return begin - timedelta(seconds=self._request.overlap_seconds), until


def _orders_of(reading: Reading | None) -> dict[tuple[str, str], KnownOrder]:
    fills = [row for row in reading.rows if isinstance(row, FillReport)] if reading else []
    return {
        (fill.symbol, fill.order_external_id): KnownOrder(
            fill.order_external_id, fill.symbol, filled=_NOTHING
        )
        for fill in fills
        if fill.order_external_id
    }
