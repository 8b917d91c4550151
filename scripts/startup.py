"""What `manage.py check` costs beside that of an empty Django project: `python -m scripts.startup`."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

ROOT: Final = Path(__file__).parent.parent
TIMES: Final = 9


def cpu_seconds(project: Path) -> float:
    """Measure one check, by the CPU time of its process."""
    before = _spent()
    subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=project, capture_output=True, check=True
    )
    return _spent() - before


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="possync-startup-") as folder:
        empty = Path(folder)
        command = [sys.executable, "-m", "django", "startproject", "empty", folder]
        subprocess.run(command, check=True)  # noqa: S603 - our own words
        # Once before, so that what is compiled once is there; then by turns, as what else runs slows both.
        pairs = [(cpu_seconds(ROOT), cpu_seconds(empty)) for _ in range(1 + TIMES)][1:]
    ours, theirs = (median(column) for column in zip(*pairs, strict=True))
    sys.stdout.write(
        f"check: {ours:.2f} s of CPU, of an empty project {theirs:.2f} s: {ours / theirs:.2f} times\n"
    )


if __name__ == "__main__":
    main()
