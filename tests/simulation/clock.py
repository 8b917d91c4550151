"""Time that passes only when somebody waits: every clock of the process, and the event loop, follow one number."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from unittest.mock import patch

import time_machine

from portfolios.services import host_clocks

T = TypeVar("T")

BEGINNING: Final = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_SECOND: Final = 1_000_000_000


class VirtualClock:
    """The true time, and the wall clock of the host, which may be off by `skew`.

    Attributes
    ----------
    elapsed : int
        Nanoseconds since the beginning; never goes back.
    """

    def __init__(self) -> None:
        self.elapsed = 0
        self.skew = timedelta(0)
        self._traveller: time_machine.Traveller | None = None

    @contextmanager
    def ruling(self) -> Iterator[None]:
        """Put this clock in the place of the process's own."""
        with (
            time_machine.travel(self._host_time(), tick=False) as traveller,
            patch.object(time, "monotonic", self.monotonic),
            patch.object(host_clocks, "uptime", self.monotonic),
        ):
            self._traveller = traveller
            yield
        self._traveller = None

    def monotonic(self) -> float:
        return self.elapsed / _SECOND

    def now(self) -> datetime:
        """Tell the true time, which exchanges go by."""
        return BEGINNING + timedelta(microseconds=self.elapsed // 1000)

    def advance(self, seconds: float) -> None:
        self.elapsed += max(1, round(seconds * _SECOND))
        self._show()

    def set_skew(self, seconds: float) -> None:
        self.skew = timedelta(seconds=seconds)
        self._show()

    def _show(self) -> None:
        if self._traveller is not None:
            self._traveller.move_to(self._host_time())

    def _host_time(self) -> datetime:
        return self.now() + self.skew


class _Waiting(selectors.DefaultSelector):
    """Passes time instead of waiting for it."""

    clock: VirtualClock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("Everything waits for something that never happens.")
        if timeout > 0:
            self.clock.advance(timeout)
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        selector = _Waiting()
        selector.clock = clock
        super().__init__(selector)
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.monotonic()


def run_virtually(clock: VirtualClock, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)
