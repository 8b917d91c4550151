from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Running:
    """A started command and the lines that it has printed so far, standard error included."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    silent: bool = False
    _news: threading.Condition = field(default_factory=threading.Condition)

    def read_all(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.silent = True
            self._news.notify_all()

    def line(self, pattern: str, seconds: float = 30) -> str:
        """Wait for a line that matches `pattern`."""
        with self._news:
            self._news.wait_for(lambda: self.silent or self._matching(pattern), seconds)
            found = self._matching(pattern)
            assert found, f"No line like {pattern!r}, were:\n" + "\n".join(self.lines)
            return found[0]

    def descendants(self) -> set[int]:
        rows = _process_table()
        found = {self.process.pid}
        while more := {pid for pid, (parent, _state) in rows.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}

    def stop(self, name: signal.Signals = signal.SIGINT) -> float:
        """Send the signal and wait for the end; the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(name)
        self.process.wait(30)
        return time.monotonic() - started

    def _matching(self, pattern: str) -> list[str]:
        return [line for line in self.lines if re.search(pattern, line)]


@contextmanager
def running(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started = Running(process)
    reader = threading.Thread(target=started.read_all)
    reader.start()
    try:
        yield started
    finally:
        process.kill()
        process.wait()
        reader.join(30)
        assert process.stdout is not None
        process.stdout.close()


def alive(pids: set[int]) -> set[int]:
    rows = _process_table()
    # Z: ended, and only not yet collected by whoever inherited it.
    return {pid for pid in pids if pid in rows and not rows[pid][1].startswith("Z")}


def wait_until_gone(pids: set[int], seconds: float) -> set[int]:
    """Those of `pids` that still live after `seconds`."""
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive(pids)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def product_environment(data_folder: Path, **more: str) -> dict[str, str]:
    """Return what a person's shell gives to `manage.py`, and nothing of the test's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("POSSYNC_", "DJANGO_"))}
    own = {"POSSYNC_ENV_FILE": os.devnull, "POSSYNC_DATA_DIR": str(data_folder)}
    return {**kept, **own, **more}


def _process_table() -> dict[int, tuple[int, str]]:
    """Parent and state of every process."""
    table = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = (line.split() for line in table.stdout.splitlines())
    return {int(pid): (int(parent), state) for pid, parent, state in rows}
