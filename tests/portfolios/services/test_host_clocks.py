"""What a wall clock was set by is told by the time since the host was started."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from portfolios.services import host_clocks
from portfolios.services.host_clocks import clock_was_set, uptime

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Host:
    """A host whose clocks and name of its boot the test sets."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self.boot, self.up = "first", 100.0
        self._traveller = traveller

    def show(self, wall: datetime) -> None:
        self._traveller.move_to(wall)


@pytest.fixture
def host(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with time_machine.travel(NOON, tick=False) as traveller:
        host = Host(traveller)
        monkeypatch.setattr(host_clocks, "boot_id", lambda: host.boot)
        monkeypatch.setattr(host_clocks, "uptime", lambda: host.up)
        yield host


def test_a_clock_that_goes_on_as_time_passes_was_not_set(host: Host) -> None:
    assert clock_was_set() == timedelta(0)
    host.up += 3600
    host.show(NOON + HOUR)

    assert clock_was_set() == timedelta(0)


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_what_a_clock_was_set_by_is_told_as_long_as_the_host_is_up(
    host: Host, by: timedelta
) -> None:
    clock_was_set()
    host.up += 60
    host.show(NOON + timedelta(seconds=60) + by)

    assert [clock_was_set(), clock_was_set()] == [by, by]


def test_less_than_a_second_is_no_setting(host: Host) -> None:
    clock_was_set()
    host.show(NOON + timedelta(seconds=0.9))

    assert clock_was_set() == timedelta(0)


def test_each_boot_begins_with_the_clock_that_it_finds(host: Host) -> None:
    clock_was_set()
    host.boot, host.up = "second", 5.0
    host.show(NOON + HOUR)

    assert clock_was_set() == timedelta(0)


def test_where_hosts_do_not_name_their_boots_the_wall_clock_is_taken(host: Host) -> None:
    host.boot = ""
    clock_was_set()
    host.show(NOON + HOUR)

    assert clock_was_set() == timedelta(0)


def test_nobody_sets_the_time_since_a_host_was_started() -> None:
    before = uptime()
    with time_machine.travel(NOON + 100 * HOUR):
        passed = uptime() - before

    assert 0 <= passed < 60
