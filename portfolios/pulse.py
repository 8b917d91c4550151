"""Whether workers live, told through memory that they share with the process which forked them.

A row in a database cannot tell that: another host's workers may have written it, and without a database nobody could.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import Final

# Places for what each process is busy with, by its id; two that meet in one only hide each other for a while.
_PLACES: Final = 1024


class Pulse:
    """Signs of life of all processes forked from the one that made it; times are this machine's monotonic ones."""

    def __init__(self) -> None:
        self._beat = RawValue("d", time.monotonic())
        self._asked = RawValue("d", 0.0)
        self._looked = RawValue("d", time.monotonic())
        self._pids = RawArray("l", _PLACES)
        self._until = RawArray("d", _PLACES)

    @contextmanager
    def working(self, seconds: float) -> Iterator[None]:
        """Show that this process has been given something to do, for `seconds` at most."""
        pid = os.getpid()
        place = pid % _PLACES
        self._beat.value = time.monotonic()
        self._pids[place], self._until[place] = pid, time.monotonic() + seconds
        try:
            yield
        finally:
            self._until[place] = 0.0
            self._beat.value = time.monotonic()

    def start(self) -> None:
        """Begin anew: nobody was asked for a sign yet."""
        self._beat.value = self._looked.value = time.monotonic()
        # A worker that was killed is busy no more, whoever has its number now.
        for place in range(_PLACES):
            self._until[place] = 0.0
        self.forgive()

    def ask(self) -> None:
        """Note that there is something to do; the first time since the last sign counts."""
        if self._asked.value <= self._beat.value:
            self._asked.value = time.monotonic()

    def forgive(self) -> None:
        """Take back what was asked: nobody could have answered."""
        self._asked.value = 0.0
        self.look()

    def look(self) -> None:
        """Note that somebody has looked whether there is something to do."""
        self._looked.value = time.monotonic()

    def is_unwatched(self, seconds: float) -> bool:
        """Whether nobody has looked for so long."""
        looked: float = self._looked.value
        return time.monotonic() - looked >= seconds

    def is_quiet(self, seconds: float) -> bool:
        """Whether there was no sign of life for so long, and nobody is busy."""
        return time.monotonic() - self._beat.value >= seconds and not self._is_busy()

    def is_stalled(self, seconds: float) -> bool:
        """Whether nobody has begun anything for so long since there was something to do."""
        asked = self._asked.value
        is_unanswered = asked > self._beat.value
        return is_unanswered and time.monotonic() - asked >= seconds and not self._is_busy()

    def _is_busy(self) -> bool:
        now = time.monotonic()
        return any(
            until > now and _lives(pid) for pid, until in zip(self._pids, self._until, strict=True)
        )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
