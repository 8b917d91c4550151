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

from scripts.gate import PYTEST, PYTHON, SIMULATION
from scripts.postgres import PostgresMissing, private_postgres

HISTORIES: Final = 10_000
# Looks at accounts on which all is right, and a tenth as many faults of each kind.
JUDGED_RUNS: Final = "20000"
# Seeds within which each planted bug has to be found.
PLANTED_WITHIN: Final = "500"
# With real processes, several clusters of them; and as a matrix of faults, reads and syncs.
FAULTS: Final = (
    "tests/processes/test_faults.py",
    "tests/portfolios/scenarios/test_fault_matrix.py",
)


# One part may take an hour; four processes, since some tests wait for a server.
TESTS: Final = (*PYTEST, "--numprocesses", "4", "--timeout", "3600")


def prove(histories: int) -> list[str]:
    """Run every part; the names of those that failed."""
    failed = [name for name, command in parts(histories).items() if not _passes(name, command)]
    for name, command in parts_on_postgres().items():
        try:
            with private_postgres() as url:
                passes = _passes(name, command, {"POSSYNC_DATABASE_URL": url})
        except PostgresMissing as e:
            print(f"   NOT PROVED: {name}: {e}.")
            passes = False
        failed += [] if passes else [name]
    return failed


def parts(histories: int) -> dict[str, Sequence[str]]:
    return {
        f"{histories} histories": (*SIMULATION, "0", str(histories)),
        "planted bugs": (*SIMULATION, "0", PLANTED_WITHIN, "--plants"),
        "judging": (PYTHON, "-m", "tests.simulation.judging", JUDGED_RUNS),
        "causes": (PYTHON, "-m", "tests.simulation.attribution"),
        "kills": (*TESTS, "tests/processes/test_kill.py"),
        "faults": (*TESTS, *FAULTS),
        "bench": (*TESTS, "tests/portfolios/commands/test_bench.py"),
        "laws": (*TESTS, *_property_tests()),
    }


def parts_on_postgres() -> dict[str, Sequence[str]]:
    return {
        "faults on PostgreSQL": (*TESTS, FAULTS[0]),
        "all of the database on PostgreSQL": (*TESTS, "-m", "database and not processes"),
    }


def _property_tests() -> list[str]:
    files = sorted(Path("tests").rglob("test_*.py"))
    return [str(file) for file in files if "from hypothesis import" in file.read_text("utf-8")]


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
