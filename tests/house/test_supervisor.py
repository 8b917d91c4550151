from __future__ import annotations

import signal
import sys
from contextlib import AbstractContextManager

import pytest

from portfolios.management.supervisor import LONGEST_PAUSE, pause_after
from tests.house.processes import Running, running, wait_until_gone

pytestmark = pytest.mark.processes
# `exec` keeps the shell from being a second process; `&` leaves a grandchild behind.
PATIENT = "patient=echo ready; exec sleep 600"
DEAF = "deaf=trap '' TERM; echo ready; while :; do sleep 1; done"
PARENT = "parent=sleep 600 & echo ready; exec sleep 600"


def supervised(*services: str) -> AbstractContextManager[Running]:
    return running([sys.executable, "-m", "tests.house.supervised", *services])


def test_it_prefixes_every_line_with_its_service() -> None:
    with supervised("talker=echo one; echo two; exec sleep 600") as supervisor:
        assert supervisor.line("one") == "talker   | one"
        assert supervisor.line("two") == "talker   | two"


def test_it_starts_a_dead_service_again_and_says_so() -> None:
    with supervised("mortal=echo life; exit 3") as supervisor:
        supervisor.line(r"^mortal ended with exit code 3\. Starting it again in 1 s\.")
        supervisor.line(r"^mortal ended with exit code 3\. Starting it again in 3 s\.")


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_every_process_when_told_to(name: signal.Signals) -> None:
    with supervised(PATIENT, PARENT) as supervisor:
        supervisor.line("^patient +. ready")
        supervisor.line("^parent +. ready")
        started = supervisor.descendants()

        supervisor.stop(name)

        assert supervisor.process.returncode == 0
        assert wait_until_gone(started, 0) == set()


def test_it_kills_a_service_that_does_not_listen() -> None:
    with supervised(DEAF) as supervisor:
        supervisor.line("ready")
        started = supervisor.descendants()

        seconds = supervisor.stop()

        assert 1 <= seconds < 5
        assert wait_until_gone(started, 0) == set()


@pytest.mark.parametrize("service", [PATIENT, DEAF, PARENT])
def test_no_process_outlives_a_killed_supervisor(service: str) -> None:
    with supervised(service) as supervisor:
        supervisor.line("ready")
        started = supervisor.descendants()

        supervisor.stop(signal.SIGKILL)

        assert wait_until_gone(started, 5) == set()


def test_what_a_dead_service_left_behind_is_ended() -> None:
    with supervised("parent=sleep 600 & echo child $!; exit 1") as supervisor:
        child = int(supervisor.line("child").split()[-1])
        supervisor.line("Starting it again")

        # Long before its own end; that it was killed a busy machine may tell a moment later.
        assert wait_until_gone({child}, 5) == set()


def test_stopping_signals_the_service_itself_and_not_its_children() -> None:
    child = "trap 'echo child was told' TERM; while :; do sleep 0.1; done"
    with supervised(
        f"parent=({child}) & trap 'echo parent was told; exit' TERM; echo ready; wait"
    ) as supervisor:
        supervisor.line("ready")

        supervisor.stop()

        assert "parent   | parent was told" in supervisor.lines
        assert "parent   | child was told" not in supervisor.lines


def test_what_dies_young_for_a_whole_night_is_still_started_again() -> None:
    assert [pause_after(deaths) for deaths in (0, 1, 2, 5_000)] == [0, 1, 3, LONGEST_PAUSE]
