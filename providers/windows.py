"""How a span of time is read of markets that tell only so much of it at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from providers.mapping import EPOCH, Raw
from providers.paging import Listed, merged

# Some markets know whole seconds only.
SECOND: Final = timedelta(seconds=1)

ReadWindow = Callable[[datetime, datetime], Awaitable[Listed]]


@dataclass(slots=True)
class Walked:
    """What was read of a span of time.

    Parameters
    ----------
    covered_until : datetime or None
        Up to when it was read without a gap; None if not even its beginning was.
    error : Exception or None
        What ended the walk before its end.
    """

    covered_until: datetime | None = None
    pages: int = 0
    why_incomplete: str = ""
    error: Exception | None = None
    _parts: list[Sequence[Raw]] = field(default_factory=list)

    @property
    def rows(self) -> list[Raw]:
        # What happened at the border of two windows is in both.
        return merged(self._parts, repeats=True)

    def add(self, listed: Listed) -> None:
        self.pages += len(listed.pages)
        self._parts.append(listed.rows)


def windows(
    since: datetime, until: datetime, seconds: int | None
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the parts of ``[since, until]`` oldest first, each at most `seconds` long; one if that is None."""
    step = timedelta(seconds=seconds) if seconds else until - since
    while since < until:
        end = min(since + step, until)
        yield since, end
        since = end


async def walk(
    since: datetime,
    until: datetime,
    seconds: int | None,
    read: ReadWindow,
    *,
    can_split: bool,
) -> Walked:
    """Read ``[since, until]`` window by window, oldest first.

    A window that was not read whole is read again in halves, if `can_split`; where even a second is too full the walk
    goes on behind it, for the rows, but covers no more. An error ends it.

    Raises
    ------
    Exception
        What `read` raises before any window was read whole.
    """
    walked = Walked()
    has_gap = False
    todo = list(windows(since, until, seconds))[::-1]
    while todo:
        start, end = todo.pop()
        try:
            listed = await read(start, end)
        except Exception as e:
            if walked.covered_until is None:
                raise
            walked.error = e
            break
        walked.add(listed)
        if listed.why_incomplete and can_split and end - start > SECOND:
            middle = whole_second(start + (end - start) / 2)
            todo += [(middle, end), (start, middle)]
            continue
        has_gap = has_gap or bool(listed.why_incomplete)
        walked.why_incomplete = walked.why_incomplete or listed.why_incomplete
        walked.covered_until = walked.covered_until if has_gap else end
    return walked


def whole_second(moment: datetime) -> datetime:
    """Cut `moment` to its second."""
    return moment.replace(microsecond=0)


def milliseconds(moment: datetime) -> int:
    """Tell `moment` in milliseconds since 1970, as ccxt does."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
