"""How the installation stands, in numbers for Prometheus: from the database, so that any web process may answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Q, QuerySet
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.models.choices import AccountState
from portfolios.selectors.standings import Standing, standings
from portfolios.selectors.workers import workers
from portfolios.services.runs import OPEN_STATUSES

RECENT: Final = timedelta(hours=1)


def metrics_text(now: datetime) -> bytes:
    """Write all numbers in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Installation(now))
    return generate_latest(registry)


class _Installation(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        found = standings(ExchangeAccount.objects.order_by("label"), self._now)
        yield from _of_accounts(found, _verified())
        yield from _of_runs(self._now)
        beat_at = workers(self._now).beat_at
        beat = GaugeMetricFamily(
            "possync_worker_beat_timestamp_seconds", "Last sign of life of a worker; 0 if none yet."
        )
        beat.add_metric([], 0 if beat_at is None else beat_at.timestamp())
        yield beat

    def describe(self) -> list[Metric]:
        """Name nothing in advance: registering asks the database nothing."""
        return []


def _verified() -> dict[int, datetime | None]:
    return dict(ExchangeAccount.objects.order_by().values_list("pk", "verified_at"))


def _of_accounts(
    found: list[Standing], verified_at: Mapping[int, datetime | None]
) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "possync_account_state",
        "1 for the state that an account is in.",
        labels=["account", "state"],
    )
    verified = GaugeMetricFamily(
        "possync_account_verified_timestamp_seconds",
        "When every asset of an account was last verified; 0 if never.",
        labels=["account"],
    )
    differences = GaugeMetricFamily(
        "possync_open_discrepancies",
        "Open discrepancies of an account.",
        labels=["account", "severity"],
    )
    failures = GaugeMetricFamily(
        "possync_unresolved_exceptions",
        "Groups of exceptions of an account that nobody has resolved.",
        labels=["account"],
    )
    for each in found:
        label, at = each.label, verified_at.get(each.pk)
        for state in AccountState:
            states.add_metric([label, state.value], float(each.state is state))
        verified.add_metric([label], 0 if at is None else at.timestamp())
        for severity, count in sorted(each.severities.items()):
            differences.add_metric([label, severity], count)
        failures.add_metric([label], each.failures)
    yield from (states, verified, differences, failures)


def ended_since(at: datetime) -> QuerySet[SyncRun]:
    return SyncRun.objects.filter(finished_at__gt=at).order_by()


def _of_runs(now: datetime) -> Iterator[Metric]:
    runs = GaugeMetricFamily(
        "possync_runs",
        "Sync runs that are open, or ended within the last hour.",
        labels=["status"],
    )
    open_runs = SyncRun.objects.filter(status__in=OPEN_STATUSES).order_by()
    # Not grouped by it: SQLite would walk all runs there are in the order of their status.
    each = {status: Count("pk", filter=Q(status=status)) for status in SyncRun.Status.values}
    counts: dict[str, int] = ended_since(now - RECENT).aggregate(**each)
    counts |= dict(open_runs.values_list("status").annotate(Count("pk")))
    for status, count in counts.items():
        runs.add_metric([status], count)
    yield runs
