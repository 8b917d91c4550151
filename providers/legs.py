"""Turns reads into legs: what goes wrong is told by a leg and keeps no other from its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from providers.base import OnProgress
from providers.connection import Connection
from providers.errors import (
    BudgetSpent,
    CapabilityMissing,
    SlowDown,
    TemporarilyBanned,
    UnexpectedReport,
)
from providers.readings import Reading
from providers.redaction import leg_error, one_line
from providers.reports import Leg, LegKind, LegStatus, Progress, SnapshotRequest

# Read in full by no symbol at all.
ALL: Final = ""

# Seconds; a longer one is the next run's to wait for.
_LONGEST_PAUSE: Final = 5.0


class LegRecorder:
    """Keeps the legs of one snapshot in the order in which they were read.

    Attributes
    ----------
    slowed_by : str
        Why no further request is sent; empty while there may be some.
    """

    def __init__(
        self, connection: Connection, request: SnapshotRequest, on_progress: OnProgress
    ) -> None:
        self.legs: list[Leg] = []
        self.slowed_by = ""
        self._connection = connection
        self._request = request
        self._on_progress = on_progress
        self._is_slowed = False

    async def record(
        self, kind: LegKind, subject: str, read: Callable[[], Awaitable[Reading]]
    ) -> Reading | None:
        """Read one leg; None if there is nothing to be had of it."""
        leg = _unread(kind, subject)
        if self.slowed_by:
            self.legs.append(replace(leg, why_incomplete=self.slowed_by))
            return None
        try:
            reading = await read()
            self._refuse_if_none_is_good(reading)
        except Exception as e:  # also a bug of ours must not cost the other legs
            self._append(_failed(leg, e))
            await self._heed(e)
            return None
        self._append(_observed(leg, reading, self._request.market))
        await self._heed(reading.error)
        return reading

    def skip(self, kind: LegKind, subject: str, why: str) -> None:
        """Show that something is not read."""
        self.legs.append(replace(_unread(kind, subject), why_incomplete=one_line(why)))

    def progress(self, kind: LegKind, done: int, total: int) -> None:
        self._on_progress(Progress(self._request.account, kind, done, total))

    def _append(self, leg: Leg) -> None:
        self.legs.append(replace(leg, clock_offset=self._connection.clock_ahead))

    async def _heed(self, error: Exception | None) -> None:
        """Wait a short pause that is asked for once; a longer one, a ban or a second one ends this account's reads."""
        if not isinstance(error, SlowDown):
            return
        pause = error.retry_after or 0
        if (
            self._is_slowed
            or isinstance(error, BudgetSpent | TemporarilyBanned)
            or pause > _LONGEST_PAUSE
        ):
            self.slowed_by = f"{self._request.market} asks for fewer requests"
        self._is_slowed = True
        if not self.slowed_by:
            await asyncio.sleep(pause)

    def _refuse_if_none_is_good(self, reading: Reading) -> None:
        if reading.problems and not reading.rows:
            raise UnexpectedReport(f"{self._request.market}: {reading.why_incomplete}")


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
    error = reading.error
    if error is None and reading.problems:
        error = UnexpectedReport(f"{market}: {'; '.join(reading.problems)}")
    told = None if error is None else leg_error(error)
    broken_off = f"broken off: {told.message}" if told and reading.error else ""
    why_incomplete = reading.why_incomplete or broken_off
    return replace(
        leg,
        status=LegStatus.OBSERVED,
        responded_at=datetime.now(UTC),
        rows=reading.rows,
        complete=not why_incomplete,
        why_incomplete=one_line(why_incomplete),
        pages=reading.pages,
        since=reading.since,
        until=reading.until,
        error=told,
    )
