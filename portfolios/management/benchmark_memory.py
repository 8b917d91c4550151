"""What memory workers hold: forks of a process that has loaded what they need and done nothing else."""

from __future__ import annotations

import gc
import multiprocessing
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final

from django.db import connections

from portfolios.management.benchmark_exchange import BenchFailed
from portfolios.management.benchmark_syncs import AT_ONCE, MANY, synced
from portfolios.models import ExchangeAccount
from portfolios.services.providers import preload_markets, provider_lookup

WORKERS: Final = 4
# Of one worker, and how often it does them.
TASKS: Final = 10
TIMES: Final = 3
_MB: Final = 1024
_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Look:
    """How long a fork took to sync its accounts, and the most that it had held by then."""

    seconds: float
    peak_mb: float


def measure() -> dict[str, Any]:
    """Tell the most that a worker held, what it grew by when it did all once more, and what further workers add.

    Reads the accounts that `benchmark_syncs` has left; the exchange has to be there.
    """
    # As the worker does before it begins: what is loaded by now stays for good, and is there once for all forks.
    provider_lookup()
    preload_markets()
    gc.freeze()
    accounts = list(ExchangeAccount.objects.filter(label__startswith=f"{MANY} ").order_by("pk"))
    [looks], one = forked([accounts[: TASKS * AT_ONCE]])
    _, all_of_them = forked([accounts[start::WORKERS][:AT_ONCE] for start in range(WORKERS)])
    beyond = None if one is None or all_of_them is None else round(all_of_them - one, 1)
    return {
        "worker_mb": round(looks[-1].peak_mb, 1),
        "growth_mb": round(looks[-1].peak_mb - looks[-2].peak_mb, 1),
        "workers": WORKERS,
        "beyond_one_mb": beyond,
    }


def forked(
    shares: Sequence[Sequence[ExchangeAccount]],
) -> tuple[list[list[Look]], float | None]:
    """Sync each share in a fork, all at the same time, and again.

    Gives what each of them tells of each time, and what this process and they hold together in the end, in MB; None
    where that cannot be told.

    Raises
    ------
    BenchFailed
        If one of them fails.
    """
    connections.close_all()  # a fork must not share them
    fork = multiprocessing.get_context("fork")
    told, go = fork.Queue(), fork.Event()
    workers = [fork.Process(target=_work, args=(share, told, go)) for share in shares]
    for worker in workers:
        worker.start()
    try:
        looks = [told.get(timeout=_SECONDS) for _ in workers]
        if min(map(len, looks)) < TIMES:
            raise BenchFailed("A worker failed.")
        # Only now that all are there: what is shared counts by the number of those who share it.
        return looks, _together([worker.pid for worker in workers])
    finally:
        go.set()
        for worker in workers:
            worker.join()


def _work(accounts: Sequence[ExchangeAccount], told: Queue[list[Look]], go: Any) -> None:
    looks: list[Look] = []
    try:
        for _ in range(TIMES):
            seconds = synced(accounts).wall if accounts else 0
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB
            looks.append(Look(seconds, peak))
    finally:
        told.put(looks)
        go.wait(_SECONDS)


def _together(pids: Iterable[int | None]) -> float | None:
    rollups = [Path(f"/proc/{pid}/smaps_rollup") for pid in ("self", *pids)]
    if not all(rollup.exists() for rollup in rollups):
        return None
    lines = (line for rollup in rollups for line in rollup.read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / _MB
