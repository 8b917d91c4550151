"""Many histories, in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import partial

from tests.simulation import standalone
from tests.simulation.bugs import BUGS, WITHOUT
from tests.simulation.history import History, Outcome


def play(seed: int, plant: str = "", without: frozenset[str] = frozenset()) -> Outcome:
    """Run one history, with the bug `plant` in the product if it is named."""
    with BUGS[plant]() if plant else nullcontext():
        return History(seed, without=without).run()


def outcomes(
    seeds: Iterable[int], *, jobs: int, plant: str = "", without: frozenset[str] = frozenset()
) -> Iterator[Outcome]:
    """Run histories in `jobs` processes, each with a database of its own; in the order of `seeds`."""
    run = partial(play, plant=plant, without=without)
    with multiprocessing.get_context("spawn").Pool(jobs, standalone.open_database) as pool:
        yield from pool.imap(run, seeds)


def first_found(plant: str, seeds: Iterable[int], *, jobs: int) -> Outcome | None:
    """Find the first history that goes wrong with the bug and well without it."""
    without = WITHOUT.get(plant, frozenset())
    for outcome in outcomes(seeds, jobs=jobs, plant=plant, without=without):
        clean = outcomes([outcome.seed], jobs=1, without=without) if outcome.wrong else ()
        if outcome.wrong and not any(each.wrong for each in clean):
            return outcome
    return None
