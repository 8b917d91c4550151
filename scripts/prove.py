"""The long proof behind `make prove`: ten thousand histories, planted bugs, 20,000 judged runs, faults, laws at length.

Takes about an hour and a half on two cores; `python -m scripts.prove 500` runs fewer histories.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from scripts.gate import PYTEST, PYTHON
from scripts.postgres import PostgresMissing, private_postgres

HISTORIES: Final = 10_000
JOBS: Final = "2"
# Looks at accounts on which all is right, and a tenth as many faults of each kind.
JUDGED_RUNS: Final = "20000"
# Seeds within which each planted bug has to be found.
PLANTED_WITHIN: Final = "500"
# With real processes, several clusters of them; and as a matrix of faults, reads and syncs.
FAULTS: Final = (
    "tests/processes/test_faults.py",
    "tests/portfolios/scenarios/test_fault_matrix.py",
)


def prove(histories: int) -> list[str]:
    """Run every part; the names of those that failed."""
    parts = {
        f"{histories} histories": _simulation("0", str(histories)),
        "planted bugs": _simulation("0", PLANTED_WITHIN, "--plants"),
        "judging": (PYTHON, "-m", "tests.simulation.judging", JUDGED_RUNS),
        "causes": (PYTHON, "-m", "tests.simulation.attribution"),
        "kills": (*PYTEST, "--timeout", "3600", "tests/processes/test_kill.py"),
        "faults": (*PYTEST, "--timeout", "3600", *FAULTS),
        "bench": (*PYTEST, "--timeout", "3600", "tests/portfolios/commands/test_bench.py"),
        "laws": (*PYTEST, "--timeout", "3600", *_property_tests()),
    }
    on_postgres = {
        "faults on PostgreSQL": (*PYTEST, "--timeout", "3600", FAULTS[0]),
        "all of the database on PostgreSQL": (
            *PYTEST,
            *("--timeout", "3600", "-m", "database and not processes"),
        ),
    }
    failed = [name for name, command in parts.items() if not _passes(name, command)]
    for name, command in on_postgres.items():
        try:
            with private_postgres() as url:
                passes = _passes(name, command, {"POSSYNC_DATABASE_URL": url})
        except PostgresMissing as e:
            print(f"   NOT PROVED: {name}: {e}.")
            passes = False
        failed += [] if passes else [name]
    return failed


def _simulation(*words: str) -> Sequence[str]:
    return (PYTHON, "-m", "tests.simulation", *words, "--jobs", JOBS)


def _property_tests() -> list[str]:
    files = sorted(Path("tests").rglob("test_*.py"))
    given = ("@given", "@schema.parametrize")
    return [
        str(file) for file in files if any(x in file.read_text(encoding="utf-8") for x in given)
    ]


def _passes(name: str, command: Sequence[str], more: Mapping[str, str] | None = None) -> bool:
    print(f"== {name}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="possync-prove-") as folder:
        environment = {
            **os.environ,
            "POSSYNC_PROVE": "1",
            "POSSYNC_ENV_FILE": os.devnull,
            "POSSYNC_DATA_DIR": folder,
            **(more or {}),
        }
        done = subprocess.run(command, env=environment, check=False)  # noqa: S603 - our own words
    print(f"   {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode == 0


def main() -> int:
    failed = prove(int(sys.argv[1]) if len(sys.argv) > 1 else HISTORIES)
    print(f"\nFAILED: {', '.join(failed)}" if failed else "\nEverything is proved.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
