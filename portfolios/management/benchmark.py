"""What judging costs beside fetching: the pure code on values such as are stored, and reads of a practice exchange.

Run as a program it is that exchange, in a process of its own, for as long as its standard input stays open.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from django.utils.module_loading import import_string

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
from providers.sandbox.books import Instrument
from providers.sandbox.engine import Engine
from providers.sandbox.server import LOOPBACK, SandboxServer

ASSETS: Final = 50
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
_KEY: Final = "bench-key"
_SECRET: Final = "bench-secret"  # noqa: S105 - of the practice exchange
_TOTAL: Final = Decimal("1234.56789012")
_PRICE: Final = Decimal("12.34")
_AMOUNT: Final = Decimal("0.5")
_AT_ONCE: Final = 20


class BenchFailed(Exception):
    """The exchange could not be read, or what was read is not what is there."""


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
    return Evidence(_TOTAL, _TOTAL, WINDOW, LAG, effects)


def _order(number: int) -> tuple[OrderState, OrderReport, OrderFacts]:
    base, id_ = asset_name(number % ASSETS), str(number)
    state = OrderState(OrderStatus.OPEN, _AMOUNT, ZERO, id_, price=_PRICE, created_at=NOON)
    report = OrderReport(
        id_,
        f"{base}/USDT",
        OrderSide.SELL,
        OrderType.LIMIT,
        OrderStatus.OPEN,
        _AMOUNT,
        ZERO,
        price=_PRICE,
        created_at=NOON,
    )
    return state, report, OrderFacts(base, "USDT", OrderSide.SELL, ZERO, price=_PRICE)


def asset_name(number: int) -> str:
    return f"B{chr(65 + number // 26)}{chr(65 + number % 26)}"


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
        judge_used(_AMOUNT, locks.get(asset_name(number), ()))
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
    secrets = Credentials({"apiKey": _KEY, "secret": _SECRET})
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


@contextmanager
def practice_exchange() -> Iterator[str]:
    """Run the exchange in another process; yields its URL."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(  # noqa: S603 - our own words
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        ears, mouth = process.stdin, process.stdout
        if ears is None or mouth is None:
            raise BenchFailed("The practice exchange has no pipes.")
        try:
            url = mouth.readline().strip()
            if not url:
                raise BenchFailed("The practice exchange did not start.")
            yield url
        finally:
            ears.close()


def serve() -> None:
    engine = Engine()
    engine.add_account(_KEY, _SECRET)
    for number in range(ASSETS):
        base = asset_name(number)
        engine.add_instrument(
            Instrument(f"{base}/USDT", Decimal("0.00000001"), Decimal("0.01"), _PRICE)
        )
        engine.deposit(_KEY, base, _TOTAL)
    for number in range(ORDERS):
        engine.sell(_KEY, f"{asset_name(number % ASSETS)}/USDT", _AMOUNT, _PRICE)
    with SandboxServer(engine) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    serve()
