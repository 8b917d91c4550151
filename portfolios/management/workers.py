"""Keeps the queue's workers running: starts them anew when they end or stall, and ends them when this process does.

django-q2 stalls for good when a worker is killed while it waits for work, and a signal to all of its processes
deadlocks it. So they run in a session of their own, which is told to stop by its first process alone and is killed as
a whole if that does not help.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess
from types import FrameType
from typing import Final, NoReturn

import structlog

from portfolios.management.supervisor import pause_after
from portfolios.pulse import Pulse

log = structlog.get_logger(__name__)
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds between two looks at what they do, and at what is to be done.
LOOK: Final = 5.0
# Seconds after which a look is taken for one that never ends; a database may keep it waiting for long.
LONGEST_LOOK: Final = 300.0
# Workers that lived this many seconds start again at once; those that die young wait longer each time.
HEALTHY_LIFE: Final = 30.0


@dataclass(slots=True)
class Workers:
    """Runs `work` in forks of this process until SIGINT, SIGTERM or SIGHUP.

    This process itself asks nothing of the database, which may keep waiting whoever does, also from ending in time.

    Parameters
    ----------
    work : Callable
        Runs in a session of its own, and looks again and again for what is to be done; its own SIGTERM lets it end in
        order.
    stalled_after : float
        Seconds without an answer after which the workers are ended and started anew.
    grace : float
        Seconds to end in order.
    """

    work: Callable[[], None]
    pulse: Pulse
    stalled_after: float
    grace: float
    watch_every: float = LOOK
    healthy_life: float = HEALTHY_LIFE
    _wake: tuple[int, int] = field(default=(-1, -1), init=False)
    _is_stopping: bool = field(default=False, init=False)

    def run(self) -> None:
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for name in STOP_SIGNALS:
            signal.signal(name, self._stop)
        early_deaths = 0
        while not self._is_stopping:
            started = time.monotonic()
            self._run_once()
            early_deaths = 0 if time.monotonic() - started > self.healthy_life else early_deaths + 1
            self._sleep(pause_after(early_deaths))

    def _run_once(self) -> None:
        self.pulse.start()
        leash, held = os.pipe()  # whoever holds `held` keeps the session alive
        session = get_context("fork").Process(target=self._begin, args=(leash, held))
        session.start()
        os.close(leash)
        try:
            self._watch(session)
        finally:
            _kill(session)
            os.close(held)

    def _begin(self, leash: int, held: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for name in STOP_SIGNALS:
            signal.signal(name, signal.SIG_DFL)
        for end in (held, *self._wake):
            os.close(end)
        if os.fork() == 0:
            _end_with(leash)
        os.close(leash)
        if not self._is_stopping:
            self.work()

    def _watch(self, session: ForkProcess) -> None:
        looked = time.monotonic()
        while session.is_alive():
            if self._is_stopping:
                session.terminate()
                session.join(self.grace)
                return
            self._sleep(self.watch_every, session.sentinel)
            if time.monotonic() - looked > 2 * self.watch_every:
                self.pulse.forgive()  # this process was stopped itself, and so were the workers, perhaps
            looked = time.monotonic()
            if self.pulse.is_stalled(self.stalled_after):
                log.error("workers_stalled", seconds=self.stalled_after)
                return
            if self.pulse.is_unwatched(LONGEST_LOOK):
                log.error("workers_unwatched", seconds=LONGEST_LOOK)
                return
        log.warning("workers_ended", code=session.exitcode)

    def _sleep(self, seconds: float, *until: int) -> None:
        """Wait for so long, or until a signal comes or one of `until` is ready."""
        if not self._is_stopping:
            connection.wait([self._wake[0], *until], seconds)
            with suppress(BlockingIOError):
                os.read(self._wake[0], 1024)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_stopping = True


def _end_with(leash: int) -> NoReturn:
    """Kill this session once nobody holds the other end of `leash` any more."""
    for name in STOP_SIGNALS:
        signal.signal(name, signal.SIG_IGN)
    # Among the others is the pipe by which the end of the session's first process is seen.
    os.closerange(3, leash)
    os.closerange(leash + 1, os.sysconf("SC_OPEN_MAX"))
    with suppress(OSError):
        os.read(leash, 1)
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _kill(session: ForkProcess) -> None:
    """End whatever is left of the session, also what its first process has left behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session.pid or 0, signal.SIGKILL)
    session.kill()  # it may not have come as far as a session of its own
    session.join()
