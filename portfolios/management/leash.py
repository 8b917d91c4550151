"""Runs one command for as long as its own standard input stays open.

``python leash.py GRACE COMMAND...`` is started in a process session of its own by a supervisor that holds the other
end of its standard input. Letting go of it, on purpose or by dying, ends the command: SIGTERM to the command's own
process only (a signal to all processes of a qcluster deadlocks it), and after GRACE seconds SIGKILL to the whole
session. If the command ends by itself, its exit code is passed on.

A script of its own, without imports from elsewhere: it has to be small, and to outlive whatever goes wrong around it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def run(grace: float, command: list[str]) -> int:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler that does nothing: an ignored signal would stay ignored in the command.
        signal.signal(name, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the supervisor's own words
    let_go = threading.Event()
    threading.Thread(target=_end_when_let_go, args=(child, grace, let_go), daemon=True).start()
    code = child.wait()
    if let_go.is_set():
        _end_session()
    return code


def _end_when_let_go(child: subprocess.Popen[bytes], grace: float, let_go: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    let_go.set()
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(grace)
    _end_session()


def _end_session() -> None:
    # Nobody may be left who would end what the command has started; this process goes with it.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    code = run(float(sys.argv[1]), sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
