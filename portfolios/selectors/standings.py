"""How every account stands: little of each, so that it can be asked of a thousand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery

from portfolios.models import Discrepancy, ExchangeAccount, Incident, SyncRun
from portfolios.models.choices import AccountState, Health
from portfolios.services.accounts import account_health
from portfolios.services.manual_sync import WARNING_AND_ABOVE
from portfolios.services.runs import OPEN_STATUSES

UNRESOLVED = Incident.ALARMING
State = AccountState
_NEEDS_CREDENTIALS = (Health.LOCKED, Health.SUSPENDED)
_NOT_READ = (Health.NEW, Health.FAILING)
# What of its last run is asked for to name the health of an account.
_OF_A_RUN: Final = ("account", "status", "trigger", "balances_read", "started_at", "finished_at")
_NO_DIFFERENCE: Final[Counter[str]] = Counter()
# What is wrong until somebody or something mends it.
TROUBLED = (State.CREDENTIALS, State.FAILING, State.DIFFERS, State.LATE)


@dataclass(frozen=True, slots=True)
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
    """

    account: ExchangeAccount
    health: Health
    is_running: bool
    failures: int
    is_recovering: bool = False
    severities: Counter[str] = field(default_factory=Counter)

    @property
    def differences(self) -> int:
        return self.severities.total()

    @property
    def state(self) -> AccountState:
        """Name the state in one word, by what lasts.

        The last run that is over decides, so that a sync under way hides no state and none flickers while accounts are
        synced one after the other: RUNNING stands for an account only that has never been read, of others it is told
        besides. LATE begins a whole interval and a minute after its time. FAILING needs a run whose balances could not
        be read, one read of many that failed is none; it ends with the second good run in a row of the schedule, or the
        first that somebody asked for, so that an exchange that answers every other time does not come and go. DIFFERS
        counts from a warning on and opens only once a second look, a grace later, has found the same.
        """
        if self.health in _NEEDS_CREDENTIALS or (self.health in _NOT_READ and self._has_no_key):
            return State.CREDENTIALS
        if self.health is Health.NEW and self.is_running:
            return State.RUNNING
        if self.health is not Health.OK:
            return State(self.health)
        if self.is_recovering:
            return State.FAILING
        if any(self.severities[severity] for severity in WARNING_AND_ABOVE):
            return State.DIFFERS
        return State.UNVERIFIED if self.account.verified_at is None else State.AGREES

    @property
    def _has_no_key(self) -> bool:
        return not hasattr(self.account, "credential")


def standings(accounts: QuerySet[ExchangeAccount], now: datetime) -> list[Standing]:
    runs = SyncRun.objects.filter(account=OuterRef("pk"))
    newest_over = runs.exclude(status__in=OPEN_STATUSES).order_by("-pk")
    found = list(
        accounts.select_related("credential")
        .defer("credential__sealed")
        .annotate(
            over=Subquery(newest_over.values("pk")[:1]),
            status_before=Subquery(newest_over.values("status")[1:2]),
            is_running=Exists(runs.filter(status__in=OPEN_STATUSES)),
        )
    )
    last_runs = SyncRun.objects.filter(pk__in=[account.over for account in found]).only(*_OF_A_RUN)
    over = {run.account_id: run for run in last_runs}
    before = {row.pk: row.status_before for row in found}
    return standings_after(found, over, before, {row.pk for row in found if row.is_running}, now)


def standings_after(
    accounts: Iterable[ExchangeAccount],
    last_runs: Mapping[int, SyncRun],
    statuses_before: Mapping[int, str],
    running: Iterable[int],
    now: datetime,
) -> list[Standing]:
    """Judge accounts by their last runs that are over.

    Parameters
    ----------
    statuses_before : mapping
        By the key of an account, how the run before the last one ended.
    running : iterable of int
        Keys of the accounts that are being synced.
    """
    severities = _open_severities()
    failures = _unresolved()
    under_way = set(running)
    return [
        Standing(
            account=account,
            health=account_health(account, last_runs.get(account.pk), now),
            is_running=account.pk in under_way,
            failures=failures[account.pk],
            is_recovering=is_recovering(last_runs.get(account.pk), statuses_before.get(account.pk)),
            severities=severities.get(account.pk, _NO_DIFFERENCE),
        )
        for account in accounts
    ]


def is_recovering(last_run: SyncRun | None, status_before: str | None) -> bool:
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
