"""A worker of PosSync in this thread: the real services and the real provider, on virtual time, without sockets."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services import portfolio_sync, runs
from providers import connection, fetching
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.fetching import Job
from providers.lookup import PortfolioProviderLookup
from providers.reports import Progress, Snapshot
from providers.sandbox.in_process import InProcess
from tests.simulation.clock import VirtualClock, run_virtually
from tests.simulation.transport import InProcessTransport, OnRequest


class Worker:
    """Syncs accounts as the queue's workers do.

    Parameters
    ----------
    after_reading : Callable
        Called when everything is read and nothing of it is written yet.
    """

    def __init__(self, clock: VirtualClock, after_reading: Callable[[], None]) -> None:
        self._clock = clock
        self._after_reading = after_reading
        self.forget()

    def forget(self) -> None:
        """Be a new process: what was learned of the exchanges is known no more."""
        self._lookup = PortfolioProviderLookup()
        self._lookup.add(CCXTPortfolioProvider(endpoint_allowlist=("127.0.0.1",)))

    def due_runs(self) -> list[int]:
        """Open a run for every account, as the schedule does; a run that lost its worker is tried again."""
        waiting = {run.pk for run in runs.heal_abandoned_runs()}
        for account in ExchangeAccount.objects.order_by("pk"):
            run, _is_new = runs.open_run(account, SyncRun.Trigger.SCHEDULE)
            waiting.add(run.pk)
        return sorted(waiting)

    def execute(self, run_ids: Iterable[int]) -> None:
        portfolio_sync.execute_runs(run_ids)

    @contextmanager
    def working(self, exchanges: Mapping[int, InProcess], on_request: OnRequest) -> Iterator[None]:
        """Put this worker's loop, transport and provider in the place of the product's own."""

        def transport() -> InProcessTransport:
            return InProcessTransport(exchanges, on_request)

        with (
            patch.object(portfolio_sync, "fetch_batches", self._fetch),
            patch.object(portfolio_sync, "provider_lookup", lambda: self._lookup),
            patch.object(fetching, "_run_loop", self._run_loop),
            patch.object(connection, "Transport", transport),
        ):
            yield

    def _fetch(
        self, jobs: Iterable[Job], *, idle_after: float | None = None
    ) -> Generator[list[Progress | Snapshot], None, None]:
        """Read everything in this thread, then tell it: without a thread there is no race."""
        reading = fetching._Run(tuple(jobs), 20)
        reading._work()
        self._after_reading()
        yield from reading.batches(idle_after)

    def _run_loop(self, main: Coroutine[Any, Any, Any], *, threads: int) -> Any:
        return run_virtually(self._clock, main)
