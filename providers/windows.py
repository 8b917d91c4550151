"""How a span of time is cut for markets that tell only so much of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta


def windows(
    since: datetime, until: datetime, seconds: int | None
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the parts of ``[since, until]`` oldest first, each at most `seconds` long; one if that is None."""
    step = timedelta(seconds=seconds) if seconds else until - since
    while since < until:
        end = min(since + step, until)
        yield since, end
        since = end
