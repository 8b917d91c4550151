"""How every account stands: little of each, so that it can be asked of a thousand."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

from django.db.models import (
    BooleanField,
    Case,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
    Window,
)
from django.db.models.functions import Concat, Rank

from portfolios.models import Discrepancy, ExchangeAccount, Incident, MarketCredential, SyncRun
from portfolios.models.choices import AccountState, Health
from portfolios.services.accounts import SCHEDULING, health_of
from portfolios.services.manual_sync import WARNING_AND_ABOVE
from portfolios.services.runs import OPEN_STATUSES

UNRESOLVED = Incident.ALARMING
State = AccountState
_NEEDS_CREDENTIALS = (Health.LOCKED, Health.SUSPENDED)
_NOT_READ = (Health.NEW, Health.FAILING)
_NO_DIFFERENCE: Final[Counter[str]] = Counter()
# What is wrong until somebody or something mends it.
TROUBLED = (State.CREDENTIALS, State.FAILING, State.DIFFERS, State.LATE)


@dataclass(frozen=True)
class Standing:
    """One account in a word and three numbers.

    Parameters
    ----------
    severities : Counter
        Open discrepancies by severity.
    failures : int
        Unresolved incidents.
    is_recovering : bool
        Whether its last run, which nobody asked for, is the first after one that failed.
    waited : int
        Its place among the accounts by when they were verified, those that never were first; 0 if it was not asked for.
    """

    pk: int
    label: str
    market: str
    health: Health
    has_key: bool
    is_verified: bool
    is_running: bool
    failures: int
    is_recovering: bool = False
    severities: Counter[str] = field(default_factory=Counter)
    waited: int = 0

    @property
    def differences(self) -> int:
        return self.severities.total()

    @cached_property
    def state(self) -> AccountState:
        """Name the state in one word, by what lasts.

        The last run that is over decides, so that a sync under way hides no state and none flickers while accounts are
        synced one after the other: RUNNING stands for an account only that has never been read, of others it is told
        besides. LATE begins a whole interval and a minute after its time. FAILING needs a run whose balances could not
        be read, one read of many that failed is none; it ends with the second good run in a row of the schedule, or the
        first that somebody asked for, so that an exchange that answers every other time does not come and go. DIFFERS
        counts from a warning on and opens only once a second look, a grace later, has found the same.
        """
        if self.health in _NEEDS_CREDENTIALS or (self.health in _NOT_READ and not self.has_key):
            return State.CREDENTIALS
        if self.health is Health.NEW and self.is_running:
            return State.RUNNING
        if self.health is not Health.OK:
            return State(self.health)
        if self.is_recovering:
            return State.FAILING
        if any(self.severities[severity] for severity in WARNING_AND_ABOVE):
            return State.DIFFERS
        return State.AGREES if self.is_verified else State.UNVERIFIED


# The three of a run in one column: so it is looked up once. A mark stands for balances that were read.
_TOLD: Final = Concat(
    "status",
    Value(" "),
    "trigger",
    Value(" "),
    Case(When(balances_read=True, then=Value("read")), default=Value("")),
)


class _Run(NamedTuple):
    status: str
    trigger: str
    balances_read: bool

    @classmethod
    def told(cls, words: str) -> _Run:
        status, trigger, read = words.split(" ")
        return cls(status, trigger, bool(read))


class _Facts(NamedTuple):
    """What the state of an account depends on. Whole rows of a thousand accounts take longer than all else on a page.

    `next_sync_at` is None as well while it cannot be too late.
    """

    pk: int
    label: str
    market: str
    paused: bool
    rejections: int
    interval_seconds: int
    cron: str
    time_zone: str
    credential__state: str | None
    is_verified: bool
    waited: int
    next_sync_at: datetime | None
    over: str | None
    status_before: str | None
    is_running: bool


# What takes a look at other rows is named apart.
_OWN: Final = _Facts._fields[: _Facts._fields.index("is_verified")]


def standings(accounts: QuerySet[ExchangeAccount], now: datetime) -> list[Standing]:
    """Judge accounts by their last runs that are over."""
    severities = _open_severities()
    failures = _unresolved()
    return [
        _standing(facts, severities.get(facts.pk, _NO_DIFFERENCE), failures[facts.pk], now)
        for facts in map(_Facts._make, _facts(accounts, now))
    ]


def _facts(accounts: QuerySet[ExchangeAccount], now: datetime) -> QuerySet[Any, Any]:
    runs = SyncRun.objects.filter(account=OuterRef("pk"))
    newest_over = runs.exclude(status__in=OPEN_STATUSES).order_by("-pk")
    oldest_first = F("verified_at").asc(nulls_first=True)
    return accounts.values_list(
        *_OWN,
        ExpressionWrapper(Q(verified_at__isnull=False), BooleanField()),
        Window(Rank(), order_by=oldest_first),
        Case(When(next_sync_at__lte=now - SCHEDULING, then="next_sync_at")),
        Subquery(newest_over.values(told=_TOLD)[:1]),
        Subquery(newest_over.values("status")[1:2]),
        Exists(runs.filter(status__in=OPEN_STATUSES)),
    )


def _standing(facts: _Facts, severities: Counter[str], failures: int, now: datetime) -> Standing:
    last_run = None if facts.over is None else _Run.told(facts.over)
    is_locked = facts.credential__state == MarketCredential.State.LOCKED
    return Standing(
        pk=facts.pk,
        label=facts.label,
        market=facts.market,
        health=health_of(facts, last_run, now, is_locked=is_locked),
        has_key=facts.credential__state is not None,
        is_verified=facts.is_verified,
        is_running=facts.is_running,
        failures=failures,
        is_recovering=is_recovering(last_run, facts.status_before),
        severities=severities,
        waited=facts.waited,
    )


def is_recovering(last_run: _Run | SyncRun | None, status_before: str | None) -> bool:
    # A lost run is no word of the exchange's: the one in its place decides.
    has_failed = status_before == SyncRun.Status.FAILED
    return has_failed and last_run is not None and last_run.trigger == SyncRun.Trigger.SCHEDULE


def _open_severities() -> dict[int, Counter[str]]:
    rows = Discrepancy.objects.filter(state=Discrepancy.State.OPEN).order_by()
    counted = rows.values_list("account", "severity").annotate(number=Count("pk"))
    by_account: dict[int, Counter[str]] = defaultdict(Counter)
    for account, severity, number in counted:
        by_account[account][severity] = number
    return by_account


def _unresolved() -> dict[int, int]:
    rows = Incident.objects.filter(state__in=UNRESOLVED).order_by()
    return defaultdict(int, rows.values_list("account").annotate(number=Count("pk")))
