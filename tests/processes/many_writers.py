"""Ten threads, each with a connection of its own, go for the same run at the same moment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import django

django.setup()

from django.db import connection  # noqa: E402 - only after the set-up

from portfolios.models import ExchangeAccount, SyncRun  # noqa: E402
from portfolios.services.runs import claim_run, close_run, open_run  # noqa: E402

WRITERS = 10
ROUNDS = 5
T = TypeVar("T")


def at_once(do: Callable[[], T]) -> list[T]:
    barrier = Barrier(WRITERS)

    def one(_writer: int) -> T:
        try:
            barrier.wait()
            return do()
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


def one_round(account: ExchangeAccount) -> dict[str, int]:
    opened = at_once(lambda: open_run(account, SyncRun.Trigger.MANUAL))
    run_id = opened[0][0].pk

    def claim_and_close() -> bool:
        run = claim_run(run_id)
        if run is not None:
            close_run(run, SyncRun.Status.SUCCEEDED)
        return run is not None

    claimed = at_once(claim_and_close)
    return {
        "runs": len({run.pk for run, _is_new in opened}),
        "new": sum(is_new for _run, is_new in opened),
        "claimed": sum(claimed),
        "attempts": SyncRun.objects.get(pk=run_id).attempts,
    }


def main() -> None:
    account = ExchangeAccount.objects.get()
    json.dump([one_round(account) for _round in range(ROUNDS)], sys.stdout)


if __name__ == "__main__":
    main()
