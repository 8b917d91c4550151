"""Keeps a database that is full, locked or gone from filling the log: what all accounts meet is said once a tick."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.db import OperationalError

# Seconds: a tick.
QUIET: Final = 60.0
# Of different ones, beyond which it begins anew.
_MOST: Final = 100
# Of a message, which may quote what somebody sent.
_LENGTH: Final = 200


@dataclass(slots=True)
class _Said:
    at: float
    since: int = 0


class SaidOnce:
    """Drops an event of this process whose database error it said within the last tick; the next tells how many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], _Said] = {}

    def __call__(
        self, logger: Any, method: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        error = sys.exception() if event_dict.get("exc_info") is True else None
        if not isinstance(error, OperationalError):
            return event_dict
        what, now = (str(event_dict.get("event")), str(error)[:_LENGTH]), self._clock()
        said = self._said.get(what)
        if said is not None and now - said.at < QUIET:
            said.since += 1
            raise structlog.DropEvent
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[what] = _Said(now)
        return {**event_dict, "dropped": said.since} if said and said.since else event_dict
