"""The gate behind `make test`: every check, each with its time; all run, and any failure fails the whole.

On the way it starts a PostgreSQL server of its own, and as root installs a missing Chromium. What cannot be had is
said in a line, and is a failure where ``CI=true``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.leashed import leashed
from scripts.postgres import PostgresMissing, private_postgres
from tests.both_databases import BOTH_DATABASES

TOOLS: Final = Path(sys.executable).parent
PYTHON: Final = sys.executable
CI: Final = os.environ.get("CI") == "true"
CHROMIUM: Final = Path(os.environ.get("POSSYNC_CHROMIUM", "/usr/bin/chromium"))
CHROMIUM_PACKAGES: Final = ("chromium", "fonts-dejavu-core")
# Seconds that all checks of a stage are meant to take together, on two cores. Beyond them a line says so; a check
# that takes this many times as long hangs, and is ended.
STATIC_LIMIT: Final = 60.0
HISTORIES_LIMIT: Final = 90.0
TEST_LIMIT: Final = 330.0
HANGS_AFTER: Final = 4
# By file, since some files start servers for all their tests; in the order of `tests/conftest.py`.
BY_FILE: Final = ("--dist", "loadfile", "--no-loadscope-reorder")
PYTEST: Final = (PYTHON, "-m", "pytest", *BY_FILE, "--quiet")
# Two more than cores: a test that waits for a server or a browser leaves its core to another one. On PostgreSQL none
# does, and each process takes seconds to start.
ON_SQLITE: Final = (*PYTEST, "--numprocesses", "4")
CLUSTERS: Final = "tests/processes/test_faults.py"
ON_POSTGRES: Final = (
    *PYTEST,
    "--numprocesses",
    "2",
    "-m",
    "database and not processes or clusters",
    *BOTH_DATABASES,
    CLUSTERS,
)
# Histories of an exchange and its books under faults, a few of those that `make prove` plays.
HISTORIES: Final = "150"
SIMULATION: Final = (PYTHON, "-m", "tests.simulation", "--jobs", "2")
# A developer's own settings are not what is tested; and modules are compiled once, not by every process.
NOT_KEPT: Final = ("POSSYNC_", "DJANGO_", "Q_", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    command: tuple[str | Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


STATIC_CHECKS: Final = (
    Check("types", (TOOLS / "mypy", "--no-error-summary")),
    Check("format", (TOOLS / "ruff", "format", "--check", "--quiet", ".")),
    Check("lint", (TOOLS / "ruff", "check", "--quiet", ".")),
    Check("imports", (TOOLS / "lint-imports", "--no-logo", "--no-cache")),
    Check("templates", (TOOLS / "djlint", "--check", "--lint", "--quiet", "templates")),
    Check("translations", (PYTHON, "-m", "scripts.messages", "--check")),
    Check("migrations", (PYTHON, "manage.py", "makemigrations", "--check", "--dry-run")),
    Check(
        "deployment",
        (PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        {"POSSYNC_ENV": "production"},
    ),
)


class Gate:
    """Runs checks and remembers which failed."""

    def __init__(self, data_folder: Path) -> None:
        self.failed: list[str] = []
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(NOT_KEPT)},
            "POSSYNC_ENV_FILE": os.devnull,
            "POSSYNC_DATA_DIR": str(data_folder),
            "POSSYNC_CHROMIUM": str(CHROMIUM),
        }

    def run(self, check: Check, seconds: float, *, shown: bool = False) -> None:
        """Run one check; its output is shown as it comes if `shown`, else only if it fails."""
        with self._step(check.name, first=shown), tempfile.TemporaryFile() as output:
            environment = {**self._environment, **check.environment}
            with leashed(check.command, environment, output=None if shown else output) as process:
                try:
                    code = process.wait(seconds)
                except subprocess.TimeoutExpired:
                    code = -1
                    print(f"   was ended after {seconds:.0f} s: it hangs")
            if code:
                self.failed.append(check.name)
                output.seek(0)
                sys.stdout.write(output.read().decode(errors="replace"))

    def miss(self, what: str) -> None:
        """Say what could not be checked; where everything must be, that is a failure."""
        print(f"   NOT CHECKED: {what}")
        if CI:
            self.failed.append(what)

    @contextmanager
    def _step(self, name: str, *, first: bool) -> Iterator[None]:
        """Print the name at first, or with the time: several steps may be on their way."""
        if first:
            print(f"== {name}", flush=True)
        started = time.monotonic()
        yield
        head = "" if first else f"== {name}\n"
        print(f"{head}   {time.monotonic() - started:.1f} s", flush=True)


def check_statically(gate: Gate) -> None:
    """Run the static checks two at a time, the longest of them first."""
    with _stage(STATIC_LIMIT), ThreadPoolExecutor(2) as pool:
        limit = HANGS_AFTER * STATIC_LIMIT
        list(pool.map(lambda check: gate.run(check, limit), STATIC_CHECKS))


def simulate(gate: Gate) -> None:
    check = Check(f"{HISTORIES} simulated histories", (*SIMULATION, "0", HISTORIES))
    with _stage(HISTORIES_LIMIT):
        gate.run(check, HANGS_AFTER * HISTORIES_LIMIT)


def test(gate: Gate) -> None:
    with _stage(TEST_LIMIT):
        gate.run(Check("tests on SQLite", ON_SQLITE), HANGS_AFTER * TEST_LIMIT, shown=True)
        try:
            with private_postgres() as url:
                check = Check(
                    "tests of the database on PostgreSQL",
                    ON_POSTGRES,
                    {"POSSYNC_DATABASE_URL": url},
                )
                gate.run(check, HANGS_AFTER * TEST_LIMIT, shown=True)
        except PostgresMissing as e:
            gate.miss(f"the database tests on PostgreSQL: {e}.")


@contextmanager
def _stage(limit: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    if took > limit:
        print(f"   This stage took {took:.0f} s and is meant to take {limit:.0f} s at most.")


def require_chromium(gate: Gate) -> None:
    if not CHROMIUM.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        _install_chromium()
    if not CHROMIUM.exists():
        gate.miss(f"pages in a browser: no {CHROMIUM}; install chromium, or set POSSYNC_CHROMIUM.")


def _install_chromium() -> None:
    print("== chromium", flush=True)
    for words in (("update",), ("install", "--yes", "--no-install-recommends", *CHROMIUM_PACKAGES)):
        done = subprocess.run(  # noqa: S603 - our own words
            ["apt-get", "--quiet=2", *words],  # noqa: S607 - wherever the system has it
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"   apt-get {words[0]} failed: {done.stderr.strip()}")
            return


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="possync-gate-") as folder:
        gate = Gate(Path(folder))
        require_chromium(gate)
        check_statically(gate)
        simulate(gate)
        test(gate)
    print(f"\nFAILED: {', '.join(gate.failed)}" if gate.failed else "\nEverything passed.")
    return 1 if gate.failed else 0


if __name__ == "__main__":
    sys.exit(main())
