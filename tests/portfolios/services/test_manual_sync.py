"""When a button may be pressed again; the command line's way is tested with its command."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.manual_sync import COOL_DOWN, cooling_runs
from tests.builders import NOON, make_account, make_run

Status = SyncRun.Status
Trigger = SyncRun.Trigger
pytestmark = pytest.mark.django_db


def pressed(account: ExchangeAccount, **run: Any) -> SyncRun:
    return make_run(account, **{"trigger": Trigger.MANUAL} | run)


def cooling(seconds: float) -> list[SyncRun]:
    """Find what keeps a press waiting so long after noon, when every run of these tests ended."""
    now = NOON + timedelta(seconds=seconds)
    return list(cooling_runs(ExchangeAccount.objects.all(), now).values())


def test_a_press_soon_after_the_end_of_the_last_one_shows_that() -> None:
    run = pressed(make_account())

    assert cooling(1) == [run]


def test_a_failure_is_not_pressed_at_faster() -> None:
    run = pressed(make_account(), status=Status.FAILED)

    assert cooling(1) == [run]


def test_it_is_over_after_a_few_seconds() -> None:
    pressed(make_account())

    assert cooling(COOL_DOWN.total_seconds()) == []


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.START, Trigger.CLI, Trigger.API])
def test_the_first_press_is_never_held_up(trigger: Trigger) -> None:
    make_run(make_account(), trigger=trigger)

    assert cooling(0) == []


def test_a_press_while_a_run_is_under_way_joins_it() -> None:
    account = make_account()
    pressed(account)
    make_run(account, status=Status.QUEUED)

    assert cooling(0) == []


def test_every_account_cools_by_itself() -> None:
    hot = pressed(make_account())
    make_run(make_account())
    make_account()

    assert cooling(1) == [hot]
