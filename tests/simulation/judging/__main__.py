"""Judge simulated accounts of which the truth is known, beside the rules of other products.

`python -m tests.simulation.judging` prints one table and each bar; a number asks for more judged runs than 2,000.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from tests.simulation.judging.bars import bars, compared, table

RUNS = 2_000


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.judging",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=int, nargs="?", default=RUNS)
    runs = parser.parse_args().runs
    _say(*markdown(table(compared(runs))), "")
    failed = 0
    for bar in bars(runs):
        failed += not bar.is_cleared
        _say(str(bar))
    return 1 if failed else 0


def markdown(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    lengths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    heading, *others = rows
    for row in (heading, ["-" * length for length in lengths], *others):
        cells = (cell.ljust(length) for cell, length in zip(row, lengths, strict=True))
        yield f"| {' | '.join(cells)} |"


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
