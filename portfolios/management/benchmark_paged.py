"""What one large account costs whose open orders are told in pages."""

from __future__ import annotations

import gc
from statistics import median
from typing import Any, Final

from portfolios.management.benchmark_exchange import BenchFailed, asset_name
from portfolios.management.benchmark_memory import forked
from portfolios.management.benchmark_paged_exchange import paged_exchange
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.book import import_book
from portfolios.services.providers import provider_lookup

LABEL: Final = "paged"


def measure(orders: int) -> dict[str, Any]:
    """Sync an account with `orders` open orders for the first time, and then unchanged.

    Raises
    ------
    BenchFailed
        If it could not be read whole, or does not come to rest.
    """
    provider_lookup()
    gc.freeze()
    with paged_exchange(orders) as url:
        account = _written(url)
        # In a fork of their own, so that what the first looks hold is not taken for what is held from then on.
        [first], _ = forked([[account]])
        [looks], _ = forked([[account]])
    run = account.runs.order_by("-pk")[0]
    account.refresh_from_db()
    if run.status != SyncRun.Status.SUCCEEDED or account.quiet_run != run:
        raise BenchFailed(f"{run}: {run.status} {run.message}")
    return {
        "orders": run.orders_checked,
        "requests": run.http_requests,
        "seconds": round(median(look.seconds for look in looks), 2),
        "worker_mb": round(looks[-1].peak_mb, 1),
        "first_seconds": round(first[0].seconds, 2),
        "first_mb": round(max(look.peak_mb for look in first), 1),
    }


def _written(url: str) -> ExchangeAccount:
    credential = {"apiKey": "paged", "secret": "paged", "password": "paged"}
    row = {"label": LABEL, "market": "kucoin", "credential": credential, "endpoint": url}
    book = {"name": LABEL, "account": LABEL, "trading_symbol": asset_name(0)}
    times = {"lag_seconds": 0, "grace_seconds": 0}
    import_book({"accounts": [row | times], "portfolios": [book]})
    return ExchangeAccount.objects.get(label=LABEL)
