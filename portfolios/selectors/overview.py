from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Incident,
    MarketCredential,
    Portfolio,
    SyncRun,
)
from portfolios.models.choices import Health, Severity
from portfolios.selectors.accounts import UNRESOLVED, AccountSummary, account_summaries
from portfolios.selectors.workers import Workers, workers

# What stands first, so that what needs somebody is seen first.
_WORST_FIRST = (
    Health.LOCKED,
    Health.SUSPENDED,
    Health.FAILING,
    Health.LATE,
    Health.NEW,
    Health.OK,
    Health.PAUSED,
)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows are in a state; `value` is the state as a filter of a list names it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class FirstSteps:
    account: bool
    credential: bool
    portfolio: bool
    synced: bool


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """What is going on.

    Parameters
    ----------
    oldest_verified : AccountSummary or None
        The account that has waited longest for a run that judged everything, one that never had any first; None
        if no account is active.
    first_steps : FirstSteps or None
        None once a sync has succeeded.
    """

    accounts: list[AccountSummary]
    health: list[Tally]
    differences: list[Tally]
    unresolved: int
    oldest_verified: AccountSummary | None
    workers: Workers
    first_steps: FirstSteps | None

    @property
    def open_differences(self) -> int:
        return sum(tally.count for tally in self.differences)

    @property
    def failing(self) -> int:
        bad = (Health.FAILING, Health.LOCKED, Health.SUSPENDED)
        return sum(row.health in bad for row in self.accounts)

    @property
    def all_in_order(self) -> bool:
        in_order = (Health.OK, Health.PAUSED)
        return (
            not self.open_differences
            and not self.unresolved
            and all(row.health in in_order for row in self.accounts)
        )


def overview_page(now: datetime) -> OverviewPage:
    accounts = account_summaries(ExchangeAccount.objects.all(), now)
    active = [row for row in accounts if row.health is not Health.PAUSED]
    return OverviewPage(
        accounts=sorted(accounts, key=lambda row: _WORST_FIRST.index(row.health)),
        health=_health_tallies(accounts),
        differences=_difference_tallies(),
        unresolved=Incident.objects.filter(state__in=UNRESOLVED).count(),
        oldest_verified=min(active, key=_verified_first, default=None),
        workers=workers(now),
        first_steps=_first_steps(),
    )


def _verified_first(row: AccountSummary) -> tuple[bool, float]:
    verified_at = row.account.verified_at
    return verified_at is not None, verified_at.timestamp() if verified_at else 0


def _health_tallies(accounts: list[AccountSummary]) -> list[Tally]:
    counts = Counter(row.health for row in accounts)
    return [Tally(health, counts[health]) for health in _WORST_FIRST if counts[health]]


def _difference_tallies() -> list[Tally]:
    rows = Discrepancy.objects.filter(state=Discrepancy.State.OPEN).order_by()
    counts = dict(rows.values_list("severity").annotate(number=Count("pk")))
    return [Tally(key, counts[key]) for key in reversed(Severity.values) if key in counts]


def _first_steps() -> FirstSteps | None:
    done = (SyncRun.Status.SUCCEEDED, SyncRun.Status.PARTIAL)
    if SyncRun.objects.filter(status__in=done).exists():
        return None
    return FirstSteps(
        account=ExchangeAccount.objects.exists(),
        credential=MarketCredential.objects.exists(),
        portfolio=Portfolio.objects.exists(),
        synced=False,
    )
