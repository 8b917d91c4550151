from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from portfolios.pulse import Pulse


class Hands:
    """Moves the monotonic clock, which no traveller of time does."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(time, "monotonic", hands)
    return hands


@contextmanager
def another_process() -> Iterator[int]:
    """Fork one that waits until it is let go."""
    hold, let_go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(let_go)
        os.read(hold, 1)
        os._exit(0)
    try:
        yield pid
    finally:
        os.close(let_go)
        os.close(hold)
        os.waitpid(pid, 0)


def test_who_was_asked_and_gives_no_sign_has_stalled(clock: Hands) -> None:
    pulse = Pulse()
    clock.now += 1
    pulse.ask()
    clock.now += 29
    pulse.ask()

    assert not pulse.is_stalled(30)
    clock.now += 1
    assert pulse.is_stalled(30)


def test_who_has_nothing_to_do_may_be_quiet(clock: Hands) -> None:
    pulse = Pulse()
    clock.now += 3600

    assert pulse.is_quiet(20)
    assert not pulse.is_stalled(30)


def test_a_task_that_begins_is_a_sign(clock: Hands) -> None:
    pulse = Pulse()
    clock.now += 1
    pulse.ask()
    clock.now += 1
    with pulse.working(180):
        pass
    clock.now += 10

    assert not pulse.is_quiet(20)
    clock.now += 3600
    assert not pulse.is_stalled(30)


def test_a_long_task_is_no_silence_until_it_should_have_been_ended(clock: Hands) -> None:
    pulse = Pulse()
    with pulse.working(180):
        clock.now += 1
        pulse.ask()
        clock.now += 178
        assert not pulse.is_stalled(30)
        clock.now += 2
        assert pulse.is_stalled(30)


def test_who_died_at_work_is_not_busy(clock: Hands) -> None:
    pulse = Pulse()
    with another_process() as pid:
        pulse._pids[5], pulse._until[5] = pid, clock.now + 180
        clock.now += 60
        assert not pulse.is_quiet(20)

    assert pulse.is_quiet(20)


def test_a_fork_beats_for_the_process_that_watches(clock: Hands) -> None:
    pulse = Pulse()
    clock.now += 1
    pulse.ask()
    clock.now += 60
    pid = os.fork()
    if pid == 0:
        with pulse.working(180):
            os._exit(0)
    os.waitpid(pid, 0)

    assert not pulse.is_stalled(30)


def test_what_nobody_could_answer_is_forgiven(clock: Hands) -> None:
    pulse = Pulse()
    clock.now += 1
    pulse.ask()
    clock.now += 60

    pulse.forgive()

    assert not pulse.is_stalled(30)


def test_who_looks_no_more_is_noticed(clock: Hands) -> None:
    pulse = Pulse()
    clock.now += 60
    pulse.look()
    clock.now += 59

    assert not pulse.is_unwatched(60)
    clock.now += 1
    assert pulse.is_unwatched(60)


def test_who_begins_anew_has_just_looked(clock: Hands) -> None:
    pulse = Pulse()
    clock.now += 60

    pulse.start()

    assert not pulse.is_unwatched(60)
