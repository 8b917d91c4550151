"""Schedules by cron, most of all where clocks are set forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from portfolios.models import ExchangeAccount
from portfolios.services.accounts import is_late, schedule_next
from portfolios.services.schedules import (
    Schedule,
    ScheduleRefused,
    checked_cron,
    checked_zone,
    longest_gap,
    next_due,
    time_zones,
    upcoming,
)
from tests.builders import make_account

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def runs(cron: str, start: datetime, count: int = 3, zone: str = "Europe/Berlin") -> list[str]:
    """Tell by the zone's clocks when the cron comes after `start`."""
    found = upcoming(Schedule(300, cron, zone), start + timedelta(seconds=1), start, count)
    return [f"{moment.astimezone(ZoneInfo(zone)):%m-%d %H:%M %Z}" for moment in found]


def in_berlin(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=BERLIN, fold=fold).astimezone(UTC)  # type: ignore[misc,arg-type]


def test_a_time_of_day_follows_the_clocks_of_its_zone() -> None:
    assert runs("0 8 * * *", in_berlin(2026, 3, 27, 12)) == [
        "03-28 08:00 CET",
        "03-29 08:00 CEST",
        "03-30 08:00 CEST",
    ]


def test_a_time_that_is_skipped_comes_as_soon_as_the_clocks_are_set_forward() -> None:
    assert runs("30 2 * * *", in_berlin(2026, 3, 28, 12), 2) == [
        "03-29 03:00 CEST",
        "03-30 02:30 CEST",
    ]


def test_a_time_that_comes_twice_counts_once() -> None:
    assert runs("30 2 * * *", in_berlin(2026, 10, 24, 12), 2) == [
        "10-25 02:30 CEST",
        "10-26 02:30 CET",
    ]


@pytest.mark.parametrize("minute", [0, 20, 45])
def test_between_the_two_of_them_it_is_the_next_days(minute: int) -> None:
    between = in_berlin(2026, 10, 25, 2, minute, fold=1)

    assert runs("30 2 * * *", between, 1) == ["10-26 02:30 CET"]


def test_what_repeats_within_an_hour_goes_by_real_time() -> None:
    assert runs("*/30 * * * *", in_berlin(2026, 10, 25, 2, 10), 4) == [
        "10-25 02:30 CEST",
        "10-25 02:00 CET",
        "10-25 02:30 CET",
        "10-25 03:00 CET",
    ]


def test_each_hour_is_each_real_hour_where_one_is_skipped() -> None:
    assert runs("15 * * * *", in_berlin(2026, 3, 29, 0, 30), 3) == [
        "03-29 01:15 CET",
        "03-29 03:15 CEST",
        "03-29 04:15 CEST",
    ]


def test_midnight_may_be_the_time_that_is_skipped() -> None:
    start = datetime(2026, 3, 7, 12, tzinfo=UTC)

    assert runs("0 0 * * *", start, 2, "America/Havana") == ["03-08 01:00 CDT", "03-09 00:00 CDT"]


@pytest.mark.parametrize("start", [in_berlin(2026, 3, 28, 23, 59), in_berlin(2026, 10, 24, 23, 59)])
@pytest.mark.parametrize("cron", ["*/7 * * * *", "0,30 2 * * *", "0 */2 * * *", "10 1-3 * * 0"])
def test_time_only_goes_forward(start: datetime, cron: str) -> None:
    found = upcoming(Schedule(300, cron, "Europe/Berlin"), start, start, 40)

    assert all(earlier < later for earlier, later in pairwise(found))


def test_the_five_fields_are_written_with_single_blanks() -> None:
    assert checked_cron(" 0  8 * *   mon", "UTC", NOON) == "0 8 * * mon"


@pytest.mark.parametrize("zone", ["", "Nowhere/Town", "../../etc/passwd", "Europe", "\0"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ScheduleRefused):
        checked_zone(zone)


def test_time_zones_are_those_of_places_and_utc() -> None:
    assert {"UTC", "Europe/Berlin", "Asia/Shanghai"} <= set(time_zones())


def test_a_cron_that_is_none_any_more_goes_by_the_interval() -> None:
    assert next_due(Schedule(300, "nonsense"), NOON, NOON) == NOON + timedelta(minutes=5)


@pytest.mark.django_db
def test_a_sync_sets_the_next_one_by_the_cron() -> None:
    account = make_account(cron="0 8 * * *", time_zone="Europe/Berlin", next_sync_at=NOON)

    schedule_next(account, NOON + timedelta(minutes=1))

    assert ExchangeAccount.objects.get().next_sync_at == datetime(2026, 11, 23, 7, tzinfo=UTC)


@pytest.mark.parametrize(("after", "late"), [(59, False), (60, False), (62, True)])
def test_an_account_is_late_once_a_whole_further_time_has_gone_by(after: int, late: bool) -> None:
    account = ExchangeAccount(cron="0 * * * *", next_sync_at=NOON)

    assert is_late(account, NOON + timedelta(minutes=after)) is late


@pytest.mark.parametrize(
    ("cron", "gap"),
    [
        ("", timedelta(minutes=5)),
        ("0 9 * * *", timedelta(days=1)),
        ("0 9 * * 1-5", timedelta(days=3)),
    ],
)
def test_the_longest_gap_sees_the_weekend(cron: str, gap: timedelta) -> None:
    assert longest_gap(Schedule(300, cron), datetime(2026, 11, 22, tzinfo=UTC)) == gap


@pytest.mark.parametrize("seconds", [0, -60])
def test_an_interval_of_nothing_is_one_of_a_second(seconds: int) -> None:
    assert next_due(Schedule(seconds), NOON, NOON) == NOON + timedelta(seconds=1)
