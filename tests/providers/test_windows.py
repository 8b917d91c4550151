"""Spans of time are read window by window, and halved where a window is too full."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers.paging import Listed
from providers.windows import SECOND, ReadWindow, Walked, walk, whole_second, windows

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Exchange:
    """Tells `rows` between two moments, both included, `limit` at once; `breaks_at` counts requests."""

    def __init__(self, times: list[datetime], limit: int = 10, breaks_at: int = 0) -> None:
        self.rows: list[dict[str, Any]] = [
            {"id": str(number), "timestamp": time} for number, time in enumerate(times)
        ]
        self.limit = limit
        self.breaks_at = breaks_at
        self.asked: list[tuple[datetime, datetime]] = []

    async def read(self, start: datetime, end: datetime) -> Listed:
        self.asked.append((start, end))
        if len(self.asked) == self.breaks_at:
            raise ConnectionError("broken")
        found = [row for row in self.rows if start <= row["timestamp"] <= end]
        why = "full" if len(found) >= self.limit else ""
        return Listed((found[: self.limit],), why)


def walked(read: ReadWindow, until: datetime, seconds: int | None = 3600, **how: Any) -> Walked:
    return asyncio.run(walk(START, until, seconds, read, **{"can_split": True, **how}))


def ids(result: Walked) -> list[str]:
    return sorted(row["id"] for row in result.rows)


def test_a_span_is_cut_oldest_first() -> None:
    cut = list(windows(START, START + 2.5 * HOUR, 3600))

    assert cut == [
        (START, START + HOUR),
        (START + HOUR, START + 2 * HOUR),
        (START + 2 * HOUR, START + 2.5 * HOUR),
    ]


def test_without_a_longest_window_there_is_one() -> None:
    assert list(windows(START, START + 9 * HOUR, None)) == [(START, START + 9 * HOUR)]


# F07
def test_every_window_is_read_and_none_is_skipped() -> None:
    exchange = Exchange([START + n * HOUR for n in range(5)])

    result = walked(exchange.read, START + 5 * HOUR)

    assert exchange.asked == list(windows(START, START + 5 * HOUR, 3600))
    assert (ids(result), result.covered_until) == (list("01234"), START + 5 * HOUR)
    assert (result.why_incomplete, result.pages) == ("", 5)


def test_a_row_at_the_border_of_two_windows_is_one() -> None:
    exchange = Exchange([START + HOUR])

    assert ids(walked(exchange.read, START + 2 * HOUR)) == ["0"]


def test_a_full_window_is_halved_until_its_parts_are_whole() -> None:
    times = [START + n * timedelta(minutes=1) for n in range(45)]
    exchange = Exchange(times)

    result = walked(exchange.read, START + HOUR)

    assert len(result.rows) == 45
    assert (result.covered_until, result.why_incomplete) == (START + HOUR, "")


# F05
def test_a_second_that_is_too_full_ends_the_coverage_but_not_the_walk() -> None:
    crowd = [START + HOUR + SECOND] * 30
    exchange = Exchange([START, *crowd, START + 3 * HOUR])

    result = walked(exchange.read, START + 4 * HOUR)

    assert result.covered_until is not None
    assert START + HOUR <= result.covered_until <= START + HOUR + SECOND
    assert result.why_incomplete == "full"
    assert {"0", "31"} <= set(ids(result))


def test_a_full_window_that_cannot_be_halved_is_a_gap() -> None:
    exchange = Exchange([START + n * SECOND for n in range(20)])

    result = walked(exchange.read, START + 2 * HOUR, can_split=False)

    assert (result.covered_until, result.why_incomplete) == (None, "full")
    assert len(result.rows) == 10


# X06
def test_an_error_keeps_the_windows_before_it() -> None:
    exchange = Exchange([START + n * HOUR for n in range(5)], breaks_at=4)

    result = walked(exchange.read, START + 5 * HOUR)

    assert isinstance(result.error, ConnectionError)
    assert (ids(result), result.covered_until) == (list("0123"), START + 3 * HOUR)


def test_an_error_in_the_first_window_is_raised() -> None:
    with pytest.raises(ConnectionError):
        walked(Exchange([], breaks_at=1).read, START + 5 * HOUR)


def test_a_second_is_cut_and_not_rounded() -> None:
    assert whole_second(START + timedelta(microseconds=999_999)) == START
