from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from providers import fetching
from providers.base import OnProgress, PortfolioProvider
from providers.credentials import Credentials
from providers.errors import ExchangeUnavailable
from providers.reports import (
    BalanceReport,
    ConnectionReport,
    KnownOrder,
    LegKind,
    OrderReport,
    Progress,
    Snapshot,
    SnapshotRequest,
)
from tests.providers.accounts import make_request


class FakeProvider(PortfolioProvider):
    """Answers as told by account; remembers what happened to it."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Callable[[], object]] = {}
        self.running = 0
        self.most_running = 0
        self.cancelled: list[str] = []
        self.closed = 0

    def supports_market(self, market: str) -> bool:
        return True

    def get_position(
        self, account: SnapshotRequest, asset: str, credentials: Credentials
    ) -> BalanceReport | None:
        return None

    def get_order(
        self, account: SnapshotRequest, order: KnownOrder, credentials: Credentials
    ) -> OrderReport | None:
        return None

    async def fetch_snapshot(self, request: SnapshotRequest, on_progress: OnProgress) -> Snapshot:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            on_progress(Progress(request.account, LegKind.BALANCES, 1, 1))
            answer = self.answers.get(request.account)
            if answer is not None:
                await answer()  # type: ignore[misc]
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(request.account)
            raise
        finally:
            self.running -= 1
        return Snapshot(request)

    async def test_connection(self, request: SnapshotRequest) -> ConnectionReport:
        raise ExchangeUnavailable("Not today.")

    async def close(self) -> None:
        self.closed += 1


def jobs(provider: FakeProvider, *accounts: str) -> list[fetching.Job]:
    return [(provider, make_request("", account=account)) for account in accounts]


def snapshots(provider: FakeProvider, *accounts: str, concurrency: int = 20) -> dict[str, Snapshot]:
    events = fetching.fetch_snapshots(jobs(provider, *accounts), concurrency=concurrency)
    return {e.request.account: e for e in events if isinstance(e, Snapshot)}


async def hang() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ExchangeUnavailable("No answer.")


async def break_down() -> None:
    raise KeyError("a bug")


def test_every_job_gives_one_snapshot() -> None:
    assert snapshots(FakeProvider(), "a", "b", "c").keys() == {"a", "b", "c"}


def test_no_jobs_give_nothing() -> None:
    assert list(fetching.fetch_snapshots([])) == []


@pytest.mark.parametrize(("answer", "category"), [(fail, "transport"), (break_down, "bug")])
def test_a_provider_that_raises_costs_no_other(answer: Callable[[], object], category: str) -> None:
    provider = FakeProvider()
    provider.answers["b"] = answer

    found = snapshots(provider, "a", "b", "c")

    assert [found[name].error is None for name in "abc"] == [True, False, True]
    error = found["b"].error
    assert error is not None
    assert error.category == category


def test_a_slow_account_holds_up_no_other() -> None:
    provider = FakeProvider()
    provider.answers["slow"] = hang
    events = fetching.fetch_snapshots(jobs(provider, "slow", "quick"))

    first = next(event for event in events if isinstance(event, Snapshot))
    events.close()

    assert first.request.account == "quick"


def test_progress_is_told_before_its_snapshot() -> None:
    events = list(fetching.fetch_snapshots(jobs(FakeProvider(), "a")))

    assert [type(event) for event in events] == [Progress, Snapshot]


def test_only_so_many_run_at_once() -> None:
    provider = FakeProvider()

    snapshots(provider, *"abcdefgh", concurrency=3)

    assert provider.most_running == 3


def test_closing_it_early_cancels_and_closes_everything() -> None:
    provider = FakeProvider()
    provider.answers = {"a": hang, "b": hang}
    events = fetching.fetch_snapshots(jobs(provider, "a", "b"))
    next(events)

    events.close()

    assert sorted(provider.cancelled) == ["a", "b"]
    assert provider.closed == 1
    assert "fetch-snapshots" not in {thread.name for thread in threading.enumerate()}


def test_an_interrupt_in_the_caller_cancels_too() -> None:
    provider = FakeProvider()
    provider.answers["a"] = hang
    events = fetching.fetch_snapshots(jobs(provider, "a"))
    next(events)

    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())

    assert provider.cancelled == ["a"]


def test_a_provider_is_closed_once_at_the_end() -> None:
    provider = FakeProvider()

    snapshots(provider, "a", "b")

    assert provider.closed == 1


def test_a_provider_that_ignores_its_deadline_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_GRACE_SECONDS", 0.1)
    provider = FakeProvider()
    provider.answers["a"] = hang
    request = make_request("", account="a", deadline=0.0, patience=0.0)

    (_, snapshot) = fetching.fetch_snapshots([(provider, request)])

    assert isinstance(snapshot, Snapshot)
    assert snapshot.error is not None
    assert snapshot.error.kind == "ExchangeTimeout"


def test_a_blocking_provider_holds_up_nobody_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_GRACE_SECONDS", 0.1)
    provider = FakeProvider()
    release = threading.Event()
    provider.answers["a"] = lambda: asyncio.to_thread(release.wait, 30)
    started = time.monotonic()
    try:
        list(
            fetching.fetch_snapshots(
                [(provider, make_request("", account="a", deadline=0.0, patience=0.0))]
            )
        )
        assert time.monotonic() - started < 10
    finally:
        release.set()


def test_it_tells_when_nothing_happens() -> None:
    provider = FakeProvider()
    provider.answers["a"] = hang
    events = fetching.fetch_snapshots(jobs(provider, "a"), idle_after=0.01)
    next(events)

    assert next(events) is None
    events.close()


# F56
def test_a_connection_test_tells_what_went_wrong() -> None:
    provider = FakeProvider()

    report = fetching.test_connection(provider, make_request(""))

    assert report.error is not None
    assert report.error.message == "Not today."
    assert provider.closed == 1
