from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Prefetch, QuerySet, Subquery, prefetch_related_objects
from django.db.models.functions import Coalesce
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
from portfolios.selectors.standings import Standing, standings
from portfolios.selectors.workers import workers
from portfolios.services.runs import OPEN_STATUSES
from providers import catalogue

STRIP = 30
# Of an account what a row of a list shows: of fifty, the times alone that it does not would take longer than the query.
_SHOWN = (
    *("label", "market", "sandbox", "paused", "next_sync_at", "verified_at"),
    *("interval_seconds", "cron", "time_zone"),
)
# Key and status of runs, oldest first.
Strip = list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """One account as the lists show it.

    Parameters
    ----------
    statuses : list of str
        Of the last `STRIP` runs, oldest first, the open one included.
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
    statuses: list[str]
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
    narrowed = narrow(everything, query)
    accounts = accounts_shown([row.pk for row in narrowed.rows])
    listing = listing_of(narrowed, accounts, workers_silent=not workers(now).alive)
    return AccountsPage(listing, any_account=bool(everything))


def narrow(everything: Sequence[Standing], query: Query) -> Listing[Standing]:
    """Find one page of accounts, narrowed by state, market and words as the URL says."""
    state = facet(query, "state", _("State"), (ALL, *AccountState.choices))
    market = _market_facet(everything, query)
    words = search(query)
    searched = _searched(everything) if words else {}
    # The state is no column: it depends on the clock, so it is narrowed here.
    rows = [
        row
        for row in everything
        if _is_in(row, state.chosen)
        and market.chosen in ("", row.market)
        and (not words or words.lower() in searched[row.pk])
    ]
    return one_page_of_list(rows, query, (state, market), searched=words)


def accounts_shown(keys: Collection[int]) -> dict[int, ExchangeAccount]:
    return ExchangeAccount.objects.only(*_SHOWN).in_bulk(keys)


def listing_of(
    part: Listing[Standing], accounts: Mapping[int, ExchangeAccount], *, workers_silent: bool
) -> Listing[AccountSummary]:
    """Show the accounts of a page by their rows; one that is gone meanwhile is left out."""
    shown = _summaries(part.rows, accounts, workers_silent=workers_silent)
    return Listing(part.page, tuple(shown), part.facets, part.search)


def _market_facet(everything: Iterable[Standing], query: Query) -> Facet:
    market_ids = sorted({row.market for row in everything})
    options = (ALL, *((key, market_name(key)) for key in market_ids))
    return facet(query, "market", _("Market"), options)


def _is_in(row: Standing, state: str) -> bool:
    return state in ("", row.state) or (state == AccountState.RUNNING and row.is_running)


def _searched(everything: Iterable[Standing]) -> dict[int, str]:
    """Give what of each account is searched: its label and the names of its portfolios."""
    words = {row.pk: [row.label] for row in everything}
    for account, name in Portfolio.objects.order_by("name").values_list("account", "name"):
        words.get(account, []).append(name)
    return {pk: " ".join(names).lower() for pk, names in words.items()}


def market_name(market_id: str) -> str:
    # An account may outlive its market in the pinned ccxt.
    return catalogue.market(market_id).name if catalogue.is_market(market_id) else market_id


def account_summaries(accounts: QuerySet[ExchangeAccount], now: datetime) -> list[AccountSummary]:
    rows = {account.pk: account for account in accounts}
    return _summaries(standings(accounts, now), rows, workers_silent=not workers(now).alive)


def _summaries(
    rows: Sequence[Standing], accounts: Mapping[int, ExchangeAccount], *, workers_silent: bool
) -> list[AccountSummary]:
    there = [row for row in rows if row.pk in accounts]
    shown = [accounts[row.pk] for row in there]
    named = Portfolio.objects.only("account", "name").order_by("name")
    prefetch_related_objects(shown, Prefetch("portfolios", named))
    strips = last_runs(row.pk for row in there)
    runs = _newest_runs(strips)
    return [
        _summary(row, account, strips[row.pk], runs[row.pk], workers_silent)
        for row, account in zip(there, shown, strict=True)
    ]


def _summary(
    row: Standing,
    account: ExchangeAccount,
    strip: Strip,
    newest: Sequence[SyncRun],
    workers_silent: bool,
) -> AccountSummary:
    for run in newest:
        run.account = account  # one that is open names it
    open_run = next((run for run in newest if run.is_open), None)
    return AccountSummary(
        account=account,
        health=row.health,
        state=row.state,
        market_name=market_name(row.market),
        portfolios=list(account.portfolios.all()),
        statuses=[status for _pk, status in strip],
        last_run=next((run for run in newest if not run.is_open), None),
        progress=None if open_run is None else RunProgress(open_run, workers_silent),
        differences=row.differences,
        failures=row.failures,
    )


def last_runs(accounts: Iterable[int]) -> dict[int, Strip]:
    """Find key and status of the last `STRIP` runs of each account, oldest first, without reading the older ones."""
    by_account: dict[int, Strip] = defaultdict(list)
    for account, run, status in strips_of(accounts):
        by_account[account].append((run, status))
    return by_account


def strips_of(accounts: Iterable[int]) -> QuerySet[Any, tuple[int, int, str]]:
    """Ask for them from the side of the accounts: so the oldest is found once for each, and read from there on."""
    newest_first = SyncRun.objects.filter(account=OuterRef("pk")).order_by("-pk").values("pk")
    return (
        ExchangeAccount.objects.filter(pk__in=list(accounts))
        .annotate(oldest_shown=Coalesce(Subquery(newest_first[STRIP - 1 : STRIP]), 0))
        .filter(runs__pk__gte=F("oldest_shown"))
        .order_by("runs__pk")
        .values_list("pk", "runs__pk", "runs__status")
    )


def _newest_runs(strips: Mapping[int, Strip]) -> dict[int, list[SyncRun]]:
    """Read of each account the last run that is over and the open one, which are told in full; newest first."""
    wanted: list[int] = []
    for strip in strips.values():
        over = [pk for pk, status in strip if status not in OPEN_STATUSES]
        wanted += [*over[-1:], *(pk for pk, status in strip if status in OPEN_STATUSES)]
    by_account: dict[int, list[SyncRun]] = defaultdict(list)
    for run in SyncRun.objects.filter(pk__in=wanted).order_by("-pk"):
        by_account[run.account_id].append(run)
    return by_account
