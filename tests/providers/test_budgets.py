from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from providers.budgets import (
    Block,
    Budgets,
    MemoryBudgets,
    Pacer,
    Pacing,
    budget_name,
    has_rate_limit,
    place_name,
)
from providers.catalogue import market
from providers.ccxt_client import make_exchange
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.credentials import Credentials
from providers.fetching import fetch_snapshots
from providers.reports import Snapshot
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.providers.accounts import make_request

PLACE = ("binance",)


class Hands:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr("providers.budgets.monotonic", hands)
    return hands


class CountedBudgets(MemoryBudgets):
    """Counts the times that a store in a database would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def reserve(self, names: Sequence[str], seconds: float, burst: float) -> float:
        self.writes += 1
        return super().reserve(names, seconds, burst)


def waits(pacer: Pacer, *costs: float, burst: float = 1.0) -> list[float]:
    async def ask() -> list[float]:
        return [round(await pacer.wait(PLACE, cost, burst), 3) for cost in costs]

    return asyncio.run(ask())


def pacer(store: MemoryBudgets) -> Pacer:
    """Make what a process of its own would have."""
    return Pacer(store, {})


@pytest.mark.usefixtures("clock")
def test_after_a_rest_a_settled_account_is_read_without_waiting() -> None:
    assert waits(pacer(MemoryBudgets()), 0.8, 0.2) == [0, 0]


@pytest.mark.usefixtures("clock")
def test_what_is_used_up_comes_back_as_time_passes() -> None:
    store = MemoryBudgets()

    assert waits(pacer(store), 1.0, 1.0, 1.0, 1.0) == [0, 0, 1, 2]


@pytest.mark.usefixtures("clock")
def test_a_settled_account_costs_one_write() -> None:
    store = CountedBudgets()

    waits(pacer(store), 0.8, 0.2)

    assert store.writes == 1


@pytest.mark.usefixtures("clock")
def test_cheap_requests_share_a_write() -> None:
    store = CountedBudgets()

    waits(pacer(store), *[0.02] * 50)

    assert store.writes == 1


@pytest.mark.usefixtures("clock")
def test_two_processes_together_are_no_faster_than_one() -> None:
    store = MemoryBudgets()
    one, other = pacer(store), pacer(store)

    asked = [wait for _turn in range(10) for x in (one, other) for wait in waits(x, 1.0)]

    # Twenty requests of a second each, of which one was saved up and each process owes one at most.
    assert max(asked) >= 20 - 1 - 2


def test_what_nobody_spent_in_time_is_not_saved_up(clock: Hands) -> None:
    mine = pacer(MemoryBudgets())
    waits(mine, 0.1)
    clock.now += 3600

    assert waits(mine, 1.0, 1.0, 1.0) == [0, 0, 1]


@pytest.mark.usefixtures("clock")
def test_a_hold_counts_for_every_process_at_once() -> None:
    store = MemoryBudgets()
    one, other = pacer(store), pacer(store)
    asyncio.run(one.hold("binance", 30))

    assert waits(other, 0.1)[0] >= 30
    assert waits(one, 0.1)[0] >= 30


@pytest.mark.usefixtures("clock")
def test_a_shorter_hold_shortens_no_longer_one() -> None:
    store = MemoryBudgets()
    asyncio.run(pacer(store).hold("binance", 60))
    asyncio.run(pacer(store).hold("binance", 5))

    assert waits(pacer(store), 0.1) == [60]


def test_private_reads_use_up_the_budgets_of_address_and_key() -> None:
    budgets = Budgets("binance", "binance", "binance key 1")

    assert budgets.of(private=True) == ("binance", "binance key 1")
    assert budgets.of(private=False) == ("binance",)
    assert budgets.refused == "binance"


def test_where_keys_are_counted_an_address_is_not() -> None:
    budgets = Budgets("kraken", "kraken", "kraken key 1")

    assert budgets.of(private=True) == ("kraken key 1",)
    assert budgets.of(private=False) == ("kraken",)
    assert budgets.refused == "kraken key 1"


def test_a_test_network_and_another_endpoint_are_other_places() -> None:
    names = {
        place_name("binance", endpoint, sandbox=sandbox)
        for endpoint in ("", "https://proxy.example", "https://other.example")
        for sandbox in (False, True)
    }

    assert len(names) == 6
    assert budget_name("binance", "lisbon") != budget_name("binance", "")


@pytest.mark.parametrize(
    ("endpoint", "is_limited"),
    [
        ("", True),
        ("https://proxy.example", True),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
    ],
)
def test_what_answers_on_this_machine_limits_nobody(endpoint: str, is_limited: bool) -> None:
    assert has_rate_limit(endpoint) == is_limited


@pytest.mark.parametrize(
    ("method", "args", "seconds", "private"),
    [
        ("fetch_balance", (), 0.2, True),
        ("fetch_open_orders", (), 0.8, True),
        ("fetch_time", (), 0.01, False),
    ],
)
def test_a_request_costs_what_ccxts_own_throttler_reckons(
    method: str, args: tuple[str, ...], seconds: float, private: bool
) -> None:
    class Enough(Exception):
        pass

    asked: list[tuple[float, bool]] = []

    async def pace(cost: float, is_private: bool) -> None:
        asked.append((cost, is_private))
        raise Enough

    async def read() -> None:
        keys = Credentials({"apiKey": "k", "secret": "s"})
        exchange = make_exchange(market("binance"), None, keys)
        exchange.set_markets([])
        exchange.keep_pace(pace)
        with pytest.raises(Enough):
            await getattr(exchange, method)(*args)

    asyncio.run(read())

    [(cost, is_private)] = asked
    assert (round(cost, 3), is_private) == (seconds, private)


def read(exchange: SandboxServer, pacing: Pacing, **request: float) -> Snapshot:
    provider = CCXTPortfolioProvider(endpoint_allowlist=("127.0.0.1",), pacing=pacing)
    [snapshot] = [
        event
        for event in fetch_snapshots([(provider, make_request(exchange.url, **request))])
        if isinstance(event, Snapshot)
    ]
    return snapshot


def test_a_snapshot_tells_how_long_it_waited_and_its_deadline_allows_for_it(
    sandbox: SandboxServer,
) -> None:
    store = MemoryBudgets()
    store.reserve([place_name("binance", sandbox.url, sandbox=False)], 1.3, 1.0)

    snapshot = read(sandbox, Pacing(store, everywhere=True))

    assert {leg.error for leg in snapshot.legs} == {None}
    assert 0.1 < snapshot.waited_seconds < 5


def test_who_would_wait_for_too_long_sends_nothing_and_says_why(sandbox: SandboxServer) -> None:
    store = MemoryBudgets()
    place = place_name("binance", sandbox.url, sandbox=False)
    store.hold(place, 100)

    snapshot = read(sandbox, Pacing(store, everywhere=True))

    assert snapshot.error is not None
    assert (snapshot.error.category, snapshot.error.kind) == ("rate", "BudgetSpent")
    assert not sandbox.requests


def test_a_ban_is_told_to_every_process_when_it_comes(sandbox: SandboxServer) -> None:
    store = MemoryBudgets()
    sandbox.faults.append(Fault(FaultKind.BANNED, path="/openOrders$", retry_after=500))
    read(sandbox, Pacing(store, everywhere=True))
    sandbox.requests.clear()

    other = read(sandbox, Pacing(store, everywhere=True))

    assert other.error is not None
    assert other.error.kind == "BudgetSpent"
    assert not sandbox.requests


def test_a_practice_exchange_is_not_kept_waiting_for(sandbox: SandboxServer) -> None:
    store = CountedBudgets()

    snapshot = read(sandbox, Pacing(store))

    assert (snapshot.waited_seconds, store.writes) == (0, 0)


def test_blocks_of_a_held_budget_are_given_up() -> None:
    blocks: dict[tuple[str, ...], Block] = {PLACE: Block(0.0, 1.0), ("kraken",): Block(0.0, 1.0)}

    asyncio.run(Pacer(MemoryBudgets(), blocks).hold("binance", 1))

    assert list(blocks) == [("kraken",)]


@pytest.mark.usefixtures("clock")
def test_who_would_wait_for_too_long_uses_up_nothing() -> None:
    async def ask() -> list[float]:
        mine = pacer(MemoryBudgets())
        await mine.wait(PLACE, 100.0, 1.0)
        asked = [await mine.wait(PLACE, 10.0, 1.0, longest=60.0) for _ in range(20)]
        return [*asked, await mine.wait(PLACE, 10.0, 1.0)]

    told = asyncio.run(ask())

    assert told[0] > 60
    assert set(told) == {told[0]}
