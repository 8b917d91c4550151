"""What syncs cost beside what cannot be done without: the same requests by aiohttp alone, and by ccxt alone.

Works on the database that is configured, which has to be one of its own.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import aiohttp
from django.db import connection
from django.utils.module_loading import import_string

from portfolios.management.benchmark_exchange import (
    SECRET,
    BenchFailed,
    asset_name,
    key_of,
    practice_exchange,
)
from portfolios.management.own_database import run_manage
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.book import import_book
from portfolios.services.portfolio_sync import execute_runs
from portfolios.services.providers import provider_lookup
from portfolios.services.runs import open_run

# In the order in which an unchanged account is read.
READS: Final = ("/api/v3/openOrders", "/api/v3/account")
# As many as a task holds.
AT_ONCE: Final = 20
# Looks after which an account that nothing happens to is settled.
_UNTIL_QUIET: Final = 8
_MS: Final = 1000
# The accounts that are synced together, whose names begin so.
MANY: Final = "many"
# Has the command measure memory where nothing but a worker's work was done.
MEMORY: Final = ("bench", "--on-this-database", "--memory", "--json")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the clock and of this process, and requests."""

    wall: float
    cpu: float
    requests: int = 0


def measure(
    *,
    sizes: Sequence[int],
    orders: Sequence[int],
    latencies: Sequence[int],
    repeats: int,
) -> dict[str, Any]:
    """Measure everything; `sizes` are numbers of accounts, `latencies` are milliseconds.

    Raises
    ------
    BenchFailed
        If an account could not be read whole, or does not come to rest.
    """
    # As the worker does before it begins: what is loaded by now stays for good.
    provider_lookup()
    gc.freeze()
    seconds = [each / _MS for each in latencies]
    with practice_exchange(orders, seconds, max(sizes)) as urls:
        told: dict[str, Any] = {"database": connection.vendor}
        told["one_account"] = [
            _one_account(url, latency, count, repeats)
            for count in orders
            for url, latency in zip(urls, latencies, strict=True)
        ]
        # Answers that come at once leave nothing to hide behind.
        many = _opened(urls[0], MANY, orders[0], max(sizes))
        told["accounts"] = [_many(many[:size], repeats) for size in sorted(sizes)]
        told |= json.loads(run_manage(MEMORY, os.environ))
        told["against_ccxt"] = _against_ccxt(urls[0], many, orders[0], repeats)
    return told


def _opened(url: str, name: str, orders: int, accounts: int) -> list[ExchangeAccount]:
    """Open accounts and sync them until nothing is left to be found."""
    rows = [
        {
            "label": f"{name} {number}",
            "market": "binance",
            "credential": {"apiKey": key_of(orders, number), "secret": SECRET},
            "endpoint": url,
            "lag_seconds": 0,
            "grace_seconds": 0,
        }
        for number in range(accounts)
    ]
    books = [
        {"name": row["label"], "account": row["label"], "trading_symbol": asset_name(0)}
        for row in rows
    ]
    import_book({"accounts": rows, "portfolios": books})
    opened = list(ExchangeAccount.objects.filter(label__startswith=f"{name} ").order_by("pk"))
    for _ in range(_UNTIL_QUIET):
        restless = ExchangeAccount.objects.filter(pk__in=[each.pk for each in opened])
        waiting = list(restless.filter(quiet_run=None).order_by("pk"))
        if not waiting:
            return opened
        synced(waiting)
    raise BenchFailed(f"{len(waiting)} accounts of {orders} orders do not come to rest.")


def synced(accounts: Sequence[ExchangeAccount]) -> Cost:
    ids = [open_run(account, SyncRun.Trigger.SCHEDULE)[0].pk for account in accounts]
    cost = _cost(lambda: _execute(ids))
    runs = SyncRun.objects.filter(pk__in=ids)
    failed = runs.exclude(status=SyncRun.Status.SUCCEEDED).first()
    if failed is not None:
        raise BenchFailed(f"{failed.account}: {failed.message}")
    return Cost(cost.wall, cost.cpu, sum(runs.values_list("http_requests", flat=True)))


def _execute(ids: Sequence[int]) -> None:
    for start in range(0, len(ids), AT_ONCE):
        execute_runs(ids[start : start + AT_ONCE])
        gc.collect()  # as the task does


def _cost(work: Callable[[], object]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _one_account(url: str, latency: int, orders: int, repeats: int) -> dict[str, Any]:
    accounts = _opened(url, f"one {orders} {latency}", orders, 1)
    syncs, floors = [], []
    for _ in range(repeats):
        syncs.append(synced(accounts))
        floors.append(_cost(lambda: asyncio.run(_floor(url, key_of(orders)))))
    wall, floor = median(x.wall for x in syncs), median(x.wall for x in floors)
    return {
        "orders": orders,
        "latency_ms": latency,
        "requests": syncs[-1].requests,
        "seconds": round(wall, 4),
        "floor_seconds": round(floor, 4),
        "to_floor": round(wall / floor, 2),
    }


async def _floor(url: str, key: str) -> None:
    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": key}) as session:
        for path in READS:
            query = f"timestamp={round(time.time() * _MS)}&recvWindow=10000"
            signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
            async with session.get(f"{url}{path}?{query}&signature={signature}") as answer:
                if answer.status != 200:
                    raise BenchFailed(await answer.text())
                json.loads(await answer.read())


def _many(accounts: Sequence[ExchangeAccount], repeats: int) -> dict[str, Any]:
    costs = [synced(accounts) for _ in range(repeats)]
    wall, cpu = median(x.wall for x in costs), median(x.cpu for x in costs)
    return {
        "accounts": len(accounts),
        "seconds": round(wall, 3),
        "ms_each": round(_MS * wall / len(accounts), 2),
        "cpu_ms_each": round(_MS * cpu / len(accounts), 2),
    }


def _against_ccxt(
    url: str, accounts: Sequence[ExchangeAccount], orders: int, repeats: int
) -> dict[str, Any]:
    """Sync accounts by turns with a ccxt that only reads them, its markets loaded before."""
    some = accounts[: 2 * AT_ONCE]
    keys = [key_of(orders, number) for number in range(len(some))]
    loaded = asyncio.run(_loaded(url, keys[0]))
    ours, bare = [], []
    for _ in range(repeats):
        ours.append(synced(some))
        bare.append(_cost(lambda: asyncio.run(_bare(url, keys, loaded))))
    wall, bare_wall = median(x.wall for x in ours), median(x.wall for x in bare)
    return {
        "accounts": len(some),
        "each_second": round(len(some) / wall, 1),
        "ccxt_each_second": round(len(some) / bare_wall, 1),
        "to_ccxt": round(bare_wall / wall, 2),
        "cpu_ms_each": round(_MS * median(x.cpu for x in ours) / len(some), 2),
        "ccxt_cpu_ms_each": round(_MS * median(x.cpu for x in bare) / len(some), 2),
    }


def _client(url: str, key: str) -> Any:
    client = import_string("ccxt.async_support.binance")(
        {
            "apiKey": key,
            "secret": SECRET,
            "enableRateLimit": False,
            "options": {
                "defaultType": "spot",
                "fetchCurrencies": False,
                "fetchMarkets": {"types": ["spot"]},
                "warnOnFetchOpenOrdersWithoutSymbol": False,
            },
        }
    )
    for name, address in client.urls["api"].items():
        if isinstance(address, str):
            path = address.partition("://")[2].partition("/")[2]
            client.urls["api"][name] = f"{url}/{path}"
    return client


async def _loaded(url: str, key: str) -> Any:
    client = _client(url, key)
    await client.load_markets()
    await client.close()
    return client


async def _bare(url: str, keys: Sequence[str], loaded: Any) -> None:
    for start in range(0, len(keys), AT_ONCE):
        reads = (_read(url, key, loaded) for key in keys[start : start + AT_ONCE])
        await asyncio.gather(*reads)


async def _read(url: str, key: str, loaded: Any) -> None:
    client = _client(url, key)
    for name in ("markets", "markets_by_id", "currencies", "currencies_by_id", "symbols", "ids"):
        setattr(client, name, getattr(loaded, name))
    try:
        await client.fetch_open_orders()
        await client.fetch_balance()
    finally:
        await client.close()
