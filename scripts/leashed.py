from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

ROOT: Final = Path(__file__).resolve().parent.parent
LEASH: Final = ROOT / "portfolios" / "management" / "leash.py"


@contextmanager
def leashed(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    grace: float = 5,
    output: IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` for as long as this lasts; it ends with this process too, however that ends."""
    process = subprocess.Popen(  # noqa: S603 - the gate's own commands
        [sys.executable, "-IS", LEASH, str(grace), *command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
