"""Run histories: one, told in full, or many, of which those are told that went wrong.

`python -m tests.simulation 1234` replays one; `python -m tests.simulation 0 500 --jobs 2` runs 500 from 0 on;
`--plant NAME` puts a bug into the product first; `--plants` looks for the first history that finds each of them.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation import standalone
from tests.simulation.bugs import BUGS
from tests.simulation.sweep import first_found, outcomes, play

# Of what is wrong with one history.
LINES = 5


def main() -> int:
    asked = _asked()
    if asked.plants:
        return find_plants(asked)
    if asked.count == 1:
        standalone.open_database()
        outcome = play(asked.seed, asked.plant, asked.without)
        _say(str(outcome))
        return 1 if outcome.wrong else 0
    return run_many(asked)


def run_many(asked: argparse.Namespace) -> int:
    began, failed = time.monotonic(), 0
    seeds = range(asked.seed, asked.seed + asked.count)
    for outcome in outcomes(seeds, jobs=asked.jobs, plant=asked.plant, without=asked.without):
        if outcome.wrong:
            failed += 1
            _say("\n   ".join([outcome.command, *outcome.wrong[:LINES]]))
    _say(f"{failed} of {asked.count} histories went wrong, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def find_plants(asked: argparse.Namespace) -> int:
    missed = 0
    for plant in BUGS:
        seeds = range(asked.seed, asked.seed + asked.count)
        found = first_found(plant, seeds, jobs=asked.jobs)
        missed += found is None
        _say(f"{plant}: {'NOT FOUND' if found is None else f'{found.seed}: {found.wrong[0]}'}")
    return 1 if missed else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plant", choices=sorted(BUGS), default="")
    parser.add_argument("--plants", action="store_true")
    parser.add_argument(
        "--without",
        type=lambda names: frozenset(names.split(",")),
        default=frozenset(),
        help="acts that never happen, such as overfill,drift",
    )
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
