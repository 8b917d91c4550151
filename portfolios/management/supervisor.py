"""Keeps processes running, each on a leash of its own (`leash.py`), until this one is told to stop or dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio import subprocess
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _

LEASH: Final = Path(__file__).with_name("leash.py")
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# All must be gone 10 s after Ctrl-C, if nobody wants it otherwise.
GRACE: Final = 7.0
# A process that lived this many seconds starts again at once; one that dies young waits longer each time.
HEALTHY_LIFE: Final = 30.0
LONGEST_PAUSE: Final = 30.0
# Deaths after which a pause is the longest by far; no float holds two to the power of a thousand.
_MOST_DOUBLED: Final = 10
LONGEST_LINE: Final = 65_536

Say = Callable[[str], None]


def pause_after(early_deaths: int) -> float:
    """Tell how many seconds to wait before something starts again that died young so many times in a row."""
    return min(2.0 ** min(early_deaths, _MOST_DOUBLED) - 1, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Service:
    """What is kept running.

    Parameters
    ----------
    grace : float
        Seconds that it has to end in order; then its whole session is killed.
    """

    name: str
    command: tuple[str, ...]
    grace: float = GRACE


@dataclass(slots=True)
class Supervisor:
    """Runs `services` in `folder` until SIGINT, SIGTERM or SIGHUP; every line they print goes to `say`."""

    services: Sequence[Service]
    folder: Path
    environment: Mapping[str, str]
    say: Say

    async def run(self, when_started: Callable[[], Coroutine[Any, Any, None]]) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in STOP_SIGNALS:
            loop.add_signal_handler(name, stopping.set)
        async with asyncio.TaskGroup() as group:
            for service in self.services:
                group.create_task(self._keep_running(service, stopping))
            start = group.create_task(when_started())
            await stopping.wait()
            start.cancel()
            self.say(_("Stopping."))

    async def _keep_running(self, service: Service, stopping: asyncio.Event) -> None:
        early_deaths = 0
        while not stopping.is_set():
            started = asyncio.get_running_loop().time()
            code = await self._run_until_it_ends(service, stopping)
            if stopping.is_set():
                return
            lived = asyncio.get_running_loop().time() - started
            early_deaths = 0 if lived > HEALTHY_LIFE else early_deaths + 1
            pause = pause_after(early_deaths)
            self.say(
                _("%(name)s ended with exit code %(code)d. Starting it again in %(pause)d s.")
                % {"name": service.name, "code": code, "pause": pause}
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)

    async def _run_until_it_ends(self, service: Service, stopping: asyncio.Event) -> int:
        # A pipe of our own: asyncio would wait for all who hold its pipe, and so for what a dead process left behind.
        output, write_end = os.pipe()
        relay = asyncio.create_task(self._relay_lines(service.name, output))
        try:
            leash = await self._start(service, write_end)
        finally:
            os.close(write_end)
        ended = asyncio.create_task(leash.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if leash.stdin is not None:
            leash.stdin.close()
        code = await ended
        # What a dead process has left behind; its session bears the number of the leash.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leash.pid, signal.SIGKILL)
        await relay
        return code

    async def _start(self, service: Service, output: int) -> subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-IS",
            str(LEASH),
            str(service.grace),
            *service.command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
        )

    async def _relay_lines(self, name: str, output: int) -> None:
        reader = asyncio.StreamReader()
        transport, _protocol = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb", buffering=0)
        )
        rest = b""
        while chunk := await reader.read(LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            self._say_each(name, lines)
        self._say_each(name, [rest] if rest else [])
        transport.close()

    def _say_each(self, name: str, lines: Sequence[bytes]) -> None:
        for line in lines:
            self.say(f"{name:<8} | {line.decode(errors='replace')}")
