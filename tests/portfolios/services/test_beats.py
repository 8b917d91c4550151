from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from portfolios.models import WorkerBeat
from portfolios.selectors.workers import workers
from portfolios.services.beats import is_time
from tests.damage import damage, no_times

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ask(at: datetime) -> bool:
    return is_time("prune", at, every=HOUR)


def test_the_first_time_begins_it() -> None:
    assert not ask(NOON)
    assert WorkerBeat.objects.get().beat_at == NOON


def test_one_of_those_who_ask_when_it_is_time_is_told_so() -> None:
    ask(NOON)

    assert [ask(NOON + 0.9 * HOUR), ask(NOON + HOUR), ask(NOON + HOUR)] == [False, True, False]


def test_a_host_whose_clock_is_a_little_ahead_is_believed() -> None:
    ask(NOON - HOUR)
    ask(NOON + timedelta(seconds=50))

    assert not ask(NOON)


def test_what_a_clock_noted_that_was_far_ahead_is_not() -> None:
    ask(NOON - HOUR)
    ask(NOON + timedelta(days=30))

    assert not workers(NOON).alive
    assert ask(NOON)
    assert workers(NOON).alive


@no_times
def test_what_is_no_time_is_written_over(no_time: str) -> None:
    ask(NOON)
    damage("portfolios_workerbeat", "beat_at", no_time)

    ask(NOON)

    assert WorkerBeat.objects.get().beat_at == NOON
