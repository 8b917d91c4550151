from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery, prefetch_related_objects
from django.utils.translation import gettext_lazy as _

from portfolios.models import ExchangeAccount, Portfolio, SyncRun
from portfolios.models.choices import AccountState, Health
from portfolios.selectors.listing import (
    ALL,
    Facet,
    Listing,
    Query,
    facet,
    one_page_of_list,
    search,
)
from portfolios.selectors.progress import RunProgress
from portfolios.selectors.standings import Standing, standings, standings_after
from portfolios.selectors.workers import workers
from providers import catalogue

STRIP = 30
# A query has one term an account; SQLite nests at most 1000.
_ACCOUNTS_A_QUERY = 400


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """One account as the lists show it.

    Parameters
    ----------
    runs : list of SyncRun
        The last `STRIP` runs, oldest first, the open one included.
    last_run : SyncRun or None
        The last run that is over.
    differences, failures : int
        Open discrepancies and unresolved incidents.
    """

    account: ExchangeAccount
    health: Health
    state: AccountState
    market_name: str
    portfolios: list[Portfolio]
    runs: list[SyncRun]
    last_run: SyncRun | None
    progress: RunProgress | None
    differences: int
    failures: int
    strip: int = STRIP


@dataclass(frozen=True, slots=True)
class AccountsPage:
    listing: Listing[AccountSummary]
    any_account: bool


def accounts_page(query: Query, now: datetime) -> AccountsPage:
    everything = standings(ExchangeAccount.objects.all(), now)
    listing = account_listing(everything, query, workers_silent=not workers(now).alive)
    return AccountsPage(listing, any_account=bool(everything))


def account_listing(
    everything: Sequence[Standing], query: Query, *, workers_silent: bool
) -> Listing[AccountSummary]:
    """Show one page of accounts, narrowed by state, market and words as the URL says."""
    state = facet(query, "state", _("State"), (ALL, *AccountState.choices))
    market = _market_facet(everything, query)
    words = search(query)
    if words:
        _fetch_portfolios(everything)
    # The state is no column: it depends on the clock, so it is narrowed here.
    rows = [
        row
        for row in everything
        if _is_in(row, state.chosen)
        and market.chosen in ("", row.account.market)
        and (not words or words.lower() in _searched(row.account))
    ]
    part = one_page_of_list(rows, query, (state, market), searched=words)
    runs = last_runs([row.account for row in part.rows])
    shown = _summaries(part.rows, runs, workers_silent=workers_silent)
    return Listing(part.page, tuple(shown), part.facets, part.search)


def _market_facet(everything: Iterable[Standing], query: Query) -> Facet:
    market_ids = sorted({row.account.market for row in everything})
    options = (ALL, *((key, market_name(key)) for key in market_ids))
    return facet(query, "market", _("Market"), options)


def _is_in(row: Standing, state: str) -> bool:
    return state in ("", row.state) or (state == AccountState.RUNNING and row.is_running)


def _searched(account: ExchangeAccount) -> str:
    return " ".join([account.label, *(row.name for row in account.portfolios.all())]).lower()


def _fetch_portfolios(rows: Iterable[Standing]) -> None:
    by_name = Prefetch("portfolios", Portfolio.objects.order_by("name"))
    prefetch_related_objects([row.account for row in rows], by_name)


def market_name(market_id: str) -> str:
    # An account may outlive its market in the pinned ccxt.
    return catalogue.market(market_id).name if catalogue.is_market(market_id) else market_id


def account_summaries(accounts: QuerySet[ExchangeAccount], now: datetime) -> list[AccountSummary]:
    rows = list(accounts.select_related("credential"))
    runs = last_runs(rows)
    over = {pk: [run for run in of_account if not run.is_open] for pk, of_account in runs.items()}
    last = {pk: of_account[-1] for pk, of_account in over.items() if of_account}
    before = {pk: of_account[-2].status for pk, of_account in over.items() if len(of_account) > 1}
    running = (pk for pk, of_account in runs.items() if len(of_account) > len(over[pk]))
    found = standings_after(rows, last, before, running, now)
    return _summaries(found, runs, workers_silent=not workers(now).alive)


def _summaries(
    rows: Sequence[Standing], runs: dict[int, list[SyncRun]], *, workers_silent: bool
) -> list[AccountSummary]:
    _fetch_portfolios(rows)
    return [_summary(row, runs[row.account.pk], workers_silent) for row in rows]


def _summary(row: Standing, runs: list[SyncRun], workers_silent: bool) -> AccountSummary:
    last_run = next((run for run in reversed(runs) if not run.is_open), None)
    open_run = next((run for run in reversed(runs) if run.is_open), None)
    return AccountSummary(
        account=row.account,
        health=row.health,
        state=row.state,
        market_name=market_name(row.account.market),
        portfolios=list(row.account.portfolios.all()),
        runs=runs,
        last_run=last_run,
        progress=None if open_run is None else RunProgress(open_run, workers_silent),
        differences=row.differences,
        failures=row.failures,
    )


def last_runs(accounts: Sequence[ExchangeAccount]) -> dict[int, list[SyncRun]]:
    """Find the last `STRIP` runs of each account, oldest first, without reading the older ones."""
    by_account: dict[int, list[SyncRun]] = defaultdict(list)
    by_pk = {account.pk: account for account in accounts}
    ids = list(by_pk)
    for start in range(0, len(ids), _ACCOUNTS_A_QUERY):
        for run in _last_runs_of(ids[start : start + _ACCOUNTS_A_QUERY]):
            run.account = by_pk[run.account_id]  # one that is open names it
            by_account[run.account_id].append(run)
    return by_account


def _last_runs_of(ids: list[int]) -> QuerySet[SyncRun]:
    newest_first = SyncRun.objects.filter(account=OuterRef("pk")).order_by("-pk").values("pk")
    oldest_shown = ExchangeAccount.objects.filter(pk__in=ids).values_list(
        "pk", Subquery(newest_first[STRIP - 1 : STRIP])
    )
    wanted = (Q(account=pk, pk__gte=run_pk or 0) for pk, run_pk in oldest_shown)
    return SyncRun.objects.filter(reduce(or_, wanted)).order_by("pk")
