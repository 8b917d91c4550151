"""Many accounts at once: asyncio begins and ends here."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import Any, Final, TypeVar

from providers.base import PortfolioProvider
from providers.errors import ExchangeTimeout
from providers.redaction import leg_error
from providers.reports import ConnectionReport, Progress, Snapshot, SnapshotRequest

Job = tuple[PortfolioProvider, SnapshotRequest]

T = TypeVar("T")

# A provider ends at its deadline by itself; this is for one that does not.
_GRACE_SECONDS: Final = 5.0


def longest_read(deadline: float, patience: float | None = None) -> float:
    """Seconds after which a read is over, whatever its provider does; it may wait as long as it may read."""
    return deadline + (deadline if patience is None else patience) + _GRACE_SECONDS


def fetch_snapshots(
    jobs: Iterable[Job], *, concurrency: int = 20, idle_after: float | None = None
) -> Generator[Progress | Snapshot | None, None, None]:
    """Fetch all snapshots in one event loop, and tell each thing when it happens.

    A provider that raises gives a snapshot with that error. Closing the generator cancels what still runs
    and waits for it.

    Parameters
    ----------
    concurrency : int
        Snapshots at the same time.
    idle_after : float or None
        Seconds without news after which None is told, for callers that have to do something meanwhile.
    """
    batches = fetch_batches(jobs, concurrency=concurrency, idle_after=idle_after)
    with closing(batches):
        for events in batches:
            yield from events
            if not events:
                yield None


def fetch_batches(
    jobs: Iterable[Job], *, concurrency: int = 20, idle_after: float | None = None
) -> Generator[list[Progress | Snapshot], None, None]:
    """As `fetch_snapshots`, but tell at once all that happened since the caller last looked; empty if nothing did."""
    run = _Run(tuple(jobs), concurrency)
    run.start()
    try:
        yield from run.batches(idle_after)
    finally:
        run.stop()


def test_connection(provider: PortfolioProvider, request: SnapshotRequest) -> ConnectionReport:
    """Try the account's credentials by reading; never raises for what the exchange does."""

    async def main() -> ConnectionReport:
        try:
            async with asyncio.timeout(request.deadline + _GRACE_SECONDS):
                return await provider.test_connection(request)
        except Exception as e:  # a user's own provider may raise anything
            return ConnectionReport(error=leg_error(e))
        finally:
            await provider.close()

    return _run_loop(main(), threads=2)


class _Finished:
    """The loop has ended; `error` is what ended it, if that was a fault."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Run:
    def __init__(self, jobs: tuple[Job, ...], concurrency: int) -> None:
        self._jobs = jobs
        self._concurrency = concurrency
        self._events: queue.SimpleQueue[Progress | Snapshot | _Finished] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="fetch-snapshots", daemon=True)
        self._lock = threading.Lock()
        self._is_stopped = False
        self._cancel: Callable[[], object] | None = None

    def start(self) -> None:
        self._thread.start()

    def batches(self, idle_after: float | None) -> Generator[list[Progress | Snapshot], None, None]:
        end: _Finished | None = None
        while end is None:
            told: list[Progress | Snapshot] = []
            for event in self._waiting(idle_after):
                if isinstance(event, _Finished):
                    end = event
                else:
                    told.append(event)
            if told or end is None:
                yield told
        if end.error is not None:
            raise end.error

    def _waiting(self, idle_after: float | None) -> Iterator[Progress | Snapshot | _Finished]:
        """Wait for one event, and give it and those that came meanwhile."""
        with suppress(queue.Empty):
            yield self._events.get(timeout=idle_after)
            while True:
                yield self._events.get_nowait()

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._cancel is not None:
                self._cancel()
        self._thread.join()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            # A provider without asyncio blocks a thread, and must not block its neighbours.
            _run_loop(self._fetch_all(), threads=self._concurrency + 4)
        except asyncio.CancelledError:
            pass
        except BaseException as e:  # told to the caller in its own thread
            error = e
        self._events.put(_Finished(error))

    async def _fetch_all(self) -> None:
        if not self._may_begin():
            return
        slots = asyncio.Semaphore(self._concurrency)
        keys: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        try:
            async with asyncio.TaskGroup() as group:
                for provider, request in self._jobs:
                    # Two requests with one key at a time would take each other's nonce.
                    key = keys[request.key_name or object()]
                    group.create_task(self._fetch(provider, request, key, slots))
        finally:
            with self._lock:
                self._cancel = None
            providers = {id(provider): provider for provider, _ in self._jobs}
            closing = (provider.close() for provider in providers.values())
            await asyncio.gather(*closing, return_exceptions=True)

    def _may_begin(self) -> bool:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        with self._lock:
            if task is not None and not self._is_stopped:
                self._cancel = partial(loop.call_soon_threadsafe, task.cancel)
            return not self._is_stopped

    async def _fetch(
        self,
        provider: PortfolioProvider,
        request: SnapshotRequest,
        key: asyncio.Lock,
        slots: asyncio.Semaphore,
    ) -> None:
        async with key, slots:
            try:
                async with asyncio.timeout(longest_read(request.deadline, request.patience)):
                    snapshot = await provider.fetch_snapshot(request, self._events.put)
            except TimeoutError:
                late = ExchangeTimeout(f"{request.market} did not answer in time.")
                snapshot = Snapshot(request, error=leg_error(late))
            except Exception as e:  # a user's own provider may raise anything
                snapshot = Snapshot(request, error=leg_error(e))
        self._events.put(snapshot)


class _UnwaitedThreads(ThreadPoolExecutor):
    """Threads that nobody waits for at the end: one may hang in a provider of the user's own."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


def _run_loop(main: Coroutine[Any, Any, T], *, threads: int) -> T:
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(_UnwaitedThreads(threads))
        return runner.run(main)
