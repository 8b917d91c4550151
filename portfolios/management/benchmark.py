"""What judging costs beside fetching: the pure code on values such as are stored, and reads of a practice exchange."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from django.utils.module_loading import import_string

from portfolios.management.benchmark_exchange import (
    AMOUNT,
    ASSETS,
    PRICE,
    SECRET,
    TOTAL,
    BenchFailed,
    asset_name,
    key_of,
)
from portfolios.reconciliation.balances import Evidence, judged
from portfolios.reconciliation.episodes import Look, next_turn
from portfolios.reconciliation.execution import OrderFacts
from portfolios.reconciliation.locks import Lock, judge_used, order_lock
from portfolios.reconciliation.orders import OrderState, merged_order
from portfolios.reconciliation.verdicts import Effect, Verdict, Window
from providers.base import PortfolioProvider
from providers.credentials import Credentials
from providers.fetching import fetch_snapshots
from providers.reports import (
    KnownOrder,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
    Snapshot,
    SnapshotRequest,
)
from providers.sandbox.server import LOOPBACK

ORDERS: Final = 50
# Trades of each asset in the time that the read leaves open.
TRADES: Final = 4
LOOKS: Final = 6
ZERO = Decimal(0)
NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW: Final = Window(NOON, NOON + timedelta(seconds=10))
LAG: Final = timedelta(seconds=60)
GRACE: Final = timedelta(seconds=30)
_PROVIDER: Final = "providers.ccxt_provider.CCXTPortfolioProvider"
_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Account:
    """What is stored of one account, and what a read of it told."""

    evidence: tuple[Evidence, ...]
    looks: tuple[Look, ...]
    orders: tuple[tuple[OrderState, OrderReport, OrderFacts], ...]


def made_account() -> Account:
    """Make an account of which every asset was traded a moment ago, so that its interval has to be reckoned."""
    evidence = tuple(_evidence(n) for n in range(ASSETS))
    look = Look(NOON, judged(evidence[0]))
    return Account(evidence, (look,) * LOOKS, tuple(_order(n) for n in range(ORDERS)))


def _evidence(number: int) -> Evidence:
    effects = tuple(
        Effect(NOON - timedelta(seconds=11 * n), Decimal(n + number + 1).scaleb(-8), "fills")
        for n in range(TRADES)
    )
    return Evidence(TOTAL, TOTAL, WINDOW, LAG, effects)


def _order(number: int) -> tuple[OrderState, OrderReport, OrderFacts]:
    base, id_ = asset_name(number % ASSETS), str(number)
    state = OrderState(OrderStatus.OPEN, AMOUNT, ZERO, id_, price=PRICE, created_at=NOON)
    report = OrderReport(
        id_,
        f"{base}/USDT",
        OrderSide.SELL,
        OrderType.LIMIT,
        OrderStatus.OPEN,
        AMOUNT,
        ZERO,
        price=PRICE,
        created_at=NOON,
    )
    return state, report, OrderFacts(base, "USDT", OrderSide.SELL, ZERO, price=PRICE)


def judge_account(account: Account) -> int:
    """Join its orders, judge each asset and what its orders lock; how many assets were judged."""
    locks: dict[str, list[Lock]] = {}
    for state, report, facts in account.orders:
        merged = merged_order(state, report)
        lock = order_lock(facts, merged.amount, is_open=True, is_certain=True)
        locks.setdefault(lock.asset, []).append(lock)
    count = 0
    for number, evidence in enumerate(account.evidence):
        look = Look(NOON, judged(evidence))
        next_turn(None, [*account.looks[1:], look], grace=GRACE, tolerance=evidence.tolerance)
        judge_used(AMOUNT, locks.get(asset_name(number), ()))
        count += look.judged.verdict is not Verdict.NOT_VERIFIABLE
    return count


def judging_seconds(accounts: int) -> float:
    """Measure CPU seconds; the accounts are made before."""
    made = [made_account() for _ in range(accounts)]
    began = time.process_time()
    for account in made:
        judge_account(account)
    return time.process_time() - began


@dataclass(frozen=True, slots=True)
class Fetched:
    """`cpu` seconds of this process, the exchange's own not counted, and `wall` seconds."""

    cpu: float
    wall: float
    requests: int


def fetch_accounts(url: str, accounts: int) -> Fetched:
    """Read the cheap way: balances and open orders, which are all known.

    Raises
    ------
    BenchFailed
        If anything could not be read whole.
    """
    with tempfile.TemporaryDirectory(prefix="possync-bench-") as folder:
        provider = import_string(_PROVIDER)(cache_dir=Path(folder), endpoint_allowlist=(LOOPBACK,))
        # Once before, for what is read once a process.
        known = _known(_snapshots(provider, [_request(url, 0)])[0])
        requests = [_request(url, n, known) for n in range(accounts)]
        cpu, wall = time.process_time(), time.monotonic()
        snapshots = _snapshots(provider, requests)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return Fetched(cpu, wall, sum(snapshot.http_requests for snapshot in snapshots))


def _request(url: str, number: int, known: tuple[KnownOrder, ...] = ()) -> SnapshotRequest:
    secrets = Credentials({"apiKey": key_of(ORDERS), "secret": SECRET})
    return SnapshotRequest(
        f"bench {number}", "binance", secrets, url, known_orders=known, deadline=600.0
    )


def _snapshots(provider: PortfolioProvider, requests: list[SnapshotRequest]) -> list[Snapshot]:
    jobs = [(provider, request) for request in requests]
    events = fetch_snapshots(jobs, concurrency=_AT_ONCE)
    snapshots = [event for event in events if isinstance(event, Snapshot)]
    for snapshot in snapshots:
        errors = [snapshot.error, *(leg.error for leg in snapshot.legs)]
        rows = sum(len(leg.rows) for leg in snapshot.legs)
        if any(errors) or rows < ASSETS + ORDERS:
            raise BenchFailed(f"{rows} rows, {[e.message for e in errors if e]}")
    return snapshots


def _known(snapshot: Snapshot) -> tuple[KnownOrder, ...]:
    rows = (row for leg in snapshot.legs for row in leg.rows if isinstance(row, OrderReport))
    return tuple(KnownOrder(row.external_id, row.symbol, ZERO) for row in rows)
