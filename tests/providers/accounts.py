"""Requests for snapshots, and their outcome."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from providers.ccxt_provider import CCXTPortfolioProvider
from providers.credentials import Credentials
from providers.fetching import fetch_snapshots
from providers.reports import (
    KnownOrder,
    Leg,
    LegKind,
    Snapshot,
    SnapshotRequest,
)
from providers.resilience import Retry

AT_ONCE = Retry(wait_initial=0.0, wait_max=0.0, wait_jitter=0.0)
PRACTICE = Credentials({"apiKey": "practice-key", "secret": "practice-secret"})


def make_provider(**settings: Any) -> CCXTPortfolioProvider:
    return CCXTPortfolioProvider(
        **{"endpoint_allowlist": ("127.0.0.1",), "retry": AT_ONCE, **settings}
    )


def make_request(endpoint: str, **facts: Any) -> SnapshotRequest:
    return SnapshotRequest(
        **{
            "account": "main",
            "market": "binance",
            "credentials": PRACTICE,
            "endpoint": endpoint,
            "deadline": 20.0,
            **facts,
        }
    )


def make_known(external_id: object, symbol: str = "BTC/USDT", **facts: Any) -> KnownOrder:
    return KnownOrder(
        **{"external_id": str(external_id), "symbol": symbol, "filled": Decimal(0), **facts}
    )


def fetch(provider: CCXTPortfolioProvider, request: SnapshotRequest) -> Snapshot:
    (snapshot,) = (
        event for event in fetch_snapshots([(provider, request)]) if isinstance(event, Snapshot)
    )
    return snapshot


def legs_of(snapshot: Snapshot, kind: LegKind) -> list[Leg]:
    return [leg for leg in snapshot.legs if leg.kind is kind]


def leg_of(snapshot: Snapshot, kind: LegKind) -> Leg:
    (leg,) = legs_of(snapshot, kind)
    return leg


def messages(snapshot: Snapshot) -> Iterable[str]:
    errors = [snapshot.error, *(leg.error for leg in snapshot.legs)]
    return [f"{error.message}\n{error.trace}" for error in errors if error]
