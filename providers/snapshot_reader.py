"""The legs of one account's snapshot, in the order in which they may be compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from providers.account_reads import AccountReads, Reading
from providers.base import OnProgress
from providers.errors import CapabilityMissing, SlowDown, TemporarilyBanned, UnexpectedReport
from providers.redaction import leg_error, one_line
from providers.reports import (
    KnownOrder,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    Progress,
    SnapshotRequest,
)

# Read in full by no symbol at all.
_ALL: Final = ""
# Seconds; a longer one is the next run's to wait for.
_LONGEST_PAUSE: Final = 5.0

# External id, client id: the latter only of an order that has no external id.
_Key = tuple[str, str]


class SnapshotReader:
    """Reads open orders, then the orders that left them, then fills, then balances.

    Balances come last: so they are at least as new as every order that is compared with them.

    Parameters
    ----------
    by_symbol : bool
        Whether open orders have to be asked for symbol by symbol.
    """

    def __init__(
        self,
        reads: AccountReads,
        request: SnapshotRequest,
        on_progress: OnProgress,
        *,
        by_symbol: bool,
    ) -> None:
        self.legs: list[Leg] = []
        self._reads = reads
        self._request = request
        self._on_progress = on_progress
        self._by_symbol = by_symbol
        self._known = {_key(order): order for order in request.known_orders}
        self._known.pop(("", ""), None)
        self._reports: dict[_Key, OrderReport] = {}
        # Ids that are open by symbol; None where the list was not read whole.
        self._open: dict[str, frozenset[str] | None] = {}
        self._is_slowed = False
        self._slowed_by = ""

    async def read(self) -> tuple[Leg, ...]:
        await self._read_open_orders()
        await self._read_orders([order for order in self._known.values() if self._is_asked(order)])
        await self._read_fills()
        for done, wallet in enumerate(self._request.wallets, start=1):
            await self._leg(LegKind.BALANCES, wallet, partial(self._reads.balances, wallet))
            self._progress(LegKind.BALANCES, done, len(self._request.wallets))
        return tuple(self.legs)

    async def _read_open_orders(self) -> None:
        symbols = self._symbols() if self._by_symbol else [_ALL]
        for done, symbol in enumerate(symbols, start=1):
            reading = await self._leg(
                LegKind.OPEN_ORDERS, symbol, partial(self._reads.open_orders, symbol)
            )
            self._note_open(symbol, reading)
            self._progress(LegKind.OPEN_ORDERS, done, len(symbols))
        if not symbols:
            why = f"{self._request.market} lists open orders by symbol, and none is known"
            self.legs.append(replace(_unread(LegKind.OPEN_ORDERS, _ALL), why_incomplete=why))

    def _note_open(self, symbol: str, reading: Reading | None) -> None:
        if reading is None:
            if self.legs[-1].status is LegStatus.UNSUPPORTED:
                self._open[symbol] = frozenset()
            return
        orders = [row for row in reading.rows if isinstance(row, OrderReport)]
        self._reports |= {("", order.client_order_id): order for order in orders}
        self._reports |= {(order.external_id, ""): order for order in orders}
        if reading.hidden_ids is not None:
            self._open[symbol] = reading.hidden_ids | {order.external_id for order in orders}

    def _is_asked(self, order: KnownOrder) -> bool:
        if not self._reads.can_ask_for(order):
            return False
        if not order.is_open:
            return order.wants_fills and _key(order) not in self._reports
        return self._has_left(order)

    def _has_left(self, order: KnownOrder) -> bool:
        still_open = self._open.get(order.symbol if self._by_symbol else _ALL)
        if still_open is None:
            return False
        return order.external_id not in still_open and _key(order) not in self._reports

    async def _read_orders(self, orders: list[KnownOrder]) -> None:
        for done, order in enumerate(orders, start=1):
            subject = order.external_id or order.client_order_id
            await self._leg(LegKind.ORDER, subject, partial(self._order, order))
            self._progress(LegKind.ORDER, done, len(orders))

    async def _order(self, order: KnownOrder) -> Reading:
        report = await self._reads.order(order)
        self._reports[_key(order)] = report
        return Reading((report,), 1)

    async def _read_fills(self) -> None:
        wanted = {
            report.external_id: (replace(order, external_id=report.external_id), report)
            for key, order in self._known.items()
            if (report := self._reports.get(key)) is not None and _wants_fills(order, report)
        }
        for done, (id_, (order, report)) in enumerate(wanted.items(), start=1):
            await self._leg(LegKind.FILLS, id_, partial(self._reads.fills, order, report))
            self._progress(LegKind.FILLS, done, len(wanted))

    def _symbols(self) -> list[str]:
        known = {order.symbol for order in self._known.values() if order.is_open}
        return sorted({*self._request.symbols, *known} - {_ALL})

    async def _leg(
        self, kind: LegKind, subject: str, read: Callable[[], Awaitable[Reading]]
    ) -> Reading | None:
        """Read one leg; what goes wrong is told by the leg and keeps no other from its turn."""
        leg = _unread(kind, subject)
        if self._slowed_by:
            self.legs.append(replace(leg, why_incomplete=self._slowed_by))
            return None
        try:
            reading = await read()
            self._refuse_if_none_is_good(reading)
        except Exception as e:  # also a bug of ours must not cost the other legs
            self.legs.append(_failed(leg, e))
            if isinstance(e, SlowDown):
                await self._slow_down(e)
            return None
        self.legs.append(_observed(leg, reading, self._request.market))
        return reading

    async def _slow_down(self, asked: SlowDown) -> None:
        """Wait a short pause that is asked for once; a longer one, a ban or a second one ends this account's reads."""
        pause = asked.retry_after or 0
        if self._is_slowed or isinstance(asked, TemporarilyBanned) or pause > _LONGEST_PAUSE:
            self._slowed_by = f"{self._request.market} asks for fewer requests"
        self._is_slowed = True
        if not self._slowed_by:
            await asyncio.sleep(pause)

    def _refuse_if_none_is_good(self, reading: Reading) -> None:
        if reading.problems and not reading.rows:
            raise UnexpectedReport(f"{self._request.market}: {reading.why_incomplete}")

    def _progress(self, kind: LegKind, done: int, total: int) -> None:
        self._on_progress(Progress(self._request.account, kind, done, total))


def _key(order: KnownOrder) -> _Key:
    return order.external_id, "" if order.external_id else order.client_order_id


def _wants_fills(known: KnownOrder, report: OrderReport) -> bool:
    """Whether something was executed that the books do not have, or may have been."""
    if known.wants_fills:
        return True
    if report.filled is None:
        return report.status is not None and report.status.is_terminal
    return report.filled > known.filled


def _unread(kind: LegKind, subject: str) -> Leg:
    now = datetime.now(UTC)
    return Leg(kind, LegStatus.SKIPPED, requested_at=now, responded_at=now, subject=subject)


def _failed(leg: Leg, error: Exception) -> Leg:
    is_unsupported = isinstance(error, CapabilityMissing)
    told = leg_error(error)
    return replace(
        leg,
        status=LegStatus.UNSUPPORTED if is_unsupported else LegStatus.FAILED,
        responded_at=datetime.now(UTC),
        why_incomplete=told.message if is_unsupported else "",
        error=told,
    )


def _observed(leg: Leg, reading: Reading, market: str) -> Leg:
    bad_rows = UnexpectedReport(f"{market}: {'; '.join(reading.problems)}")
    return replace(
        leg,
        status=LegStatus.OBSERVED,
        responded_at=datetime.now(UTC),
        rows=reading.rows,
        complete=not reading.why_incomplete,
        why_incomplete=one_line(reading.why_incomplete),
        pages=reading.pages,
        error=leg_error(bad_rows) if reading.problems else None,
    )
