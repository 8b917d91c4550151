from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from portfolios.models import ExchangeAccount
from portfolios.models.choices import AccountState, Health, Severity
from portfolios.selectors.accounts import AccountSummary, accounts_shown, listing_of, narrow
from portfolios.selectors.first_steps import FirstStep, first_steps
from portfolios.selectors.listing import Listing, Query
from portfolios.selectors.standings import TROUBLED, Standing, standings
from portfolios.selectors.workers import Workers, workers

# What stands first, so that what needs somebody is seen first.
_WORST_FIRST = (
    AccountState.FAILING,
    AccountState.CREDENTIALS,
    AccountState.DIFFERS,
    AccountState.LATE,
    AccountState.UNVERIFIED,
    AccountState.NEW,
    AccountState.RUNNING,
    AccountState.AGREES,
    AccountState.PAUSED,
)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows are in a state; `value` is the state as a filter of a list names it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """What is going on.

    Parameters
    ----------
    states : list of Tally
        Accounts by what lasts of their state, and how many are being synced besides.
    oldest_verified : ExchangeAccount or None
        The account that has waited longest for a run that judged everything, one that never had any first; None
        if no account is active.
    troubled : int
        Accounts with which something is wrong.
    first_steps : list of FirstStep or None
        None once a sync has succeeded.
    """

    listing: Listing[AccountSummary]
    account_count: int
    states: list[Tally]
    differences: list[Tally]
    unresolved: int
    oldest_verified: ExchangeAccount | None
    troubled: int
    all_agree: bool
    workers: Workers
    first_steps: list[FirstStep] | None

    @property
    def open_differences(self) -> int:
        return sum(tally.count for tally in self.differences)

    @property
    def is_alarmed(self) -> bool:
        """Whether title and icon say that something is wrong."""
        return bool(self.troubled) or (bool(self.account_count) and not self.workers.alive)

    @property
    def all_in_order(self) -> bool:
        return self.all_agree and not self.open_differences and not self.unresolved


def overview_page(query: Query, now: datetime) -> OverviewPage:
    rows = standings(ExchangeAccount.objects.all(), now)
    rows.sort(key=lambda row: _WORST_FIRST.index(row.state))
    states = Counter(row.state for row in rows)
    active = [row for row in rows if row.state is not AccountState.PAUSED]
    oldest = min(active, key=lambda row: row.waited, default=None)
    narrowed, heartbeat = narrow(rows, query), workers(now)
    accounts = accounts_shown(
        {row.pk for row in narrowed.rows} | ({oldest.pk} if oldest else set())
    )
    return OverviewPage(
        listing=listing_of(narrowed, accounts, workers_silent=not heartbeat.alive),
        account_count=len(rows),
        states=_state_tallies(states, sum(row.is_running for row in rows)),
        differences=_difference_tallies(rows),
        unresolved=sum(row.failures for row in rows),
        oldest_verified=accounts.get(oldest.pk) if oldest else None,
        troubled=sum(states[state] for state in TROUBLED),
        all_agree=bool(active) and states[AccountState.AGREES] == len(active),
        workers=heartbeat,
        first_steps=None if any(_was_synced(row) for row in rows) else first_steps(),
    )


def _was_synced(row: Standing) -> bool:
    """Whether it can be told without a look at its runs."""
    return row.health is Health.OK or row.is_verified


def _state_tallies(states: Counter[AccountState], running: int) -> list[Tally]:
    lasting = (state for state in _WORST_FIRST if state is not AccountState.RUNNING)
    tallies = [Tally(state, states[state]) for state in lasting if states[state]]
    return [*tallies, *([Tally(AccountState.RUNNING, running)] if running else [])]


def _difference_tallies(rows: list[Standing]) -> list[Tally]:
    counts = sum((row.severities for row in rows if row.severities), Counter[str]())
    return [Tally(key, counts[key]) for key in reversed(Severity.values) if counts[key]]
