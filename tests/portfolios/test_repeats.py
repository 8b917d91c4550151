from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
import structlog
from django.db import IntegrityError, OperationalError

from portfolios.repeats import QUIET, SaidOnce

FULL = OperationalError("database or disk is full")


class Log:
    """As a process's: what it says, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self._say = SaidOnce(lambda: self.now)

    def say(
        self, error: Exception, event: str = "event_lost", **more: str
    ) -> MutableMapping[str, Any] | None:
        try:
            raise error
        except type(error):
            told: dict[str, Any] = {"event": event, "exc_info": True, **more}
            try:
                return self._say(None, "error", told)
            except structlog.DropEvent:
                return None


def test_a_full_disk_is_said_once_a_tick_however_many_accounts_meet_it() -> None:
    log = Log()

    said = [log.say(FULL, account=f"a{number}") for number in range(1000)]

    assert [told["account"] for told in said if told] == ["a0"]


def test_the_next_tick_tells_how_often_it_was_not_said() -> None:
    log = Log()
    for _account in range(3):
        log.say(FULL)
    log.now = QUIET

    assert (log.say(FULL) or {})["dropped"] == 2
    assert log.say(FULL) is None


@pytest.mark.parametrize(
    ("error", "event"),
    [(FULL, "look_failed"), (OperationalError("database is locked"), "event_lost")],
)
def test_what_else_happens_or_goes_wrong_is_said_too(error: Exception, event: str) -> None:
    log = Log()
    log.say(FULL)

    assert log.say(error, event)


def test_faults_of_a_single_account_are_all_said() -> None:
    log = Log()

    assert [bool(log.say(IntegrityError("UNIQUE"))) for _account in range(3)] == [True] * 3


def test_what_is_remembered_is_bounded() -> None:
    log = Log()
    for number in range(1000):
        log.say(OperationalError(f"port {number}"))

    assert len(log._say._said) <= 100


def test_what_is_no_error_is_said() -> None:
    event = {"event": "began"}

    assert SaidOnce()(None, "info", event) == event
