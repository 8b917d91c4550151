"""When a read is tried again: at once, or after a while in which nobody should ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

from providers.errors import SlowDown, TryLater

T = TypeVar("T")

# stamina would tell structlog, whose default printer writes into the JSON of a command. An error that
# stays is told by whoever awaits it.
set_on_retry_hooks(())


@dataclass(frozen=True, slots=True)
class Retry:
    """Tries again what may work in a moment: `TryLater` after a growing pause, `SlowDown` once.

    Parameters
    ----------
    attempts : int
        Reads at most, the first included.
    wait_initial, wait_max, wait_jitter : float
        Seconds: pause before the second attempt, longest pause, and the random part added to each.
    """

    attempts: int = 3
    wait_initial: float = 0.5
    wait_max: float = 4.0
    wait_jitter: float = 0.5

    async def call(self, read: Callable[[], Awaitable[T]], *, remaining: Callable[[], float]) -> T:
        """Await `read()` until it succeeds or its error says that another attempt is no use.

        Parameters
        ----------
        remaining : callable
            Seconds left; no pause outlasts them.
        """
        attempts = stamina.retry_context(
            on=_Decision(self, remaining),
            attempts=self.attempts,
            timeout=None,
            wait_initial=self.wait_initial,
            wait_max=self.wait_max,
            wait_jitter=self.wait_jitter,
        )
        async for attempt in attempts:
            with attempt:
                return await read()
        raise AssertionError("stamina raises the last error itself")


class _Decision:
    def __init__(self, retry: Retry, remaining: Callable[[], float]) -> None:
        self._longest_pause = retry.wait_max + retry.wait_jitter
        self._remaining = remaining
        self._has_slowed_down = False

    def __call__(self, error: Exception) -> bool | float:
        if isinstance(error, TryLater):
            return self._remaining() > self._longest_pause
        if isinstance(error, SlowDown) and error.retry_after is not None:
            fits = not self._has_slowed_down and error.retry_after < self._remaining()
            self._has_slowed_down = True
            return float(error.retry_after) if fits else False
        return False
