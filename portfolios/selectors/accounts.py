from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy, ExchangeAccount, Incident, Portfolio, SyncRun
from portfolios.models.choices import Health
from portfolios.selectors.listing import ALL, Listing, Query, facet, one_page_of_list, search
from portfolios.selectors.progress import RunProgress
from portfolios.selectors.workers import workers
from portfolios.services.accounts import account_health
from providers import catalogue

STRIP = 30
UNRESOLVED = (Incident.State.UNRESOLVED, Incident.State.REGRESSED)
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
    # Health is no column: it depends on the clock, so it is narrowed here.
    everything = account_summaries(ExchangeAccount.objects.all(), now)
    health = facet(query, "health", _("State"), (ALL, *Health.choices))
    market_ids = sorted({row.account.market for row in everything})
    market = facet(
        query, "market", _("Market"), (ALL, *((key, market_name(key)) for key in market_ids))
    )
    words = search(query)
    rows = [
        row
        for row in everything
        if health.chosen in ("", row.health)
        and market.chosen in ("", row.account.market)
        and words.lower() in _searched(row)
    ]
    listing = one_page_of_list(rows, query, (health, market), searched=words)
    return AccountsPage(listing, any_account=bool(everything))


def _searched(row: AccountSummary) -> str:
    return " ".join([row.account.label, *(portfolio.name for portfolio in row.portfolios)]).lower()


def market_name(market_id: str) -> str:
    # An account may outlive its market in the pinned ccxt.
    return catalogue.market(market_id).name if catalogue.is_market(market_id) else market_id


def account_summaries(accounts: QuerySet[ExchangeAccount], now: datetime) -> list[AccountSummary]:
    by_name = Prefetch("portfolios", Portfolio.objects.order_by("name"))
    rows = list(accounts.select_related("credential").prefetch_related(by_name))
    runs = last_runs(rows)
    differences = _by_account(Discrepancy.objects.filter(state=Discrepancy.State.OPEN))
    failures = _by_account(Incident.objects.filter(state__in=UNRESOLVED))
    silent = not workers(now).alive

    def summary(account: ExchangeAccount) -> AccountSummary:
        newest_first = runs[account.pk][::-1]
        last_run = next((run for run in newest_first if not run.is_open), None)
        open_run = next((run for run in newest_first if run.is_open), None)
        return AccountSummary(
            account=account,
            health=account_health(account, last_run, now),
            market_name=market_name(account.market),
            portfolios=list(account.portfolios.all()),
            runs=runs[account.pk],
            last_run=last_run,
            progress=None if open_run is None else RunProgress(open_run, silent),
            differences=differences[account.pk],
            failures=failures[account.pk],
        )

    return [summary(account) for account in rows]


def last_runs(accounts: Sequence[ExchangeAccount]) -> dict[int, list[SyncRun]]:
    """Find the last `STRIP` runs of each account, oldest first, without reading the older ones."""
    by_account: dict[int, list[SyncRun]] = defaultdict(list)
    ids = [account.pk for account in accounts]
    for start in range(0, len(ids), _ACCOUNTS_A_QUERY):
        for run in _last_runs_of(ids[start : start + _ACCOUNTS_A_QUERY]):
            by_account[run.account_id].append(run)
    return by_account


def _last_runs_of(ids: list[int]) -> QuerySet[SyncRun]:
    newest_first = SyncRun.objects.filter(account=OuterRef("pk")).order_by("-pk").values("pk")
    oldest_shown = ExchangeAccount.objects.filter(pk__in=ids).values_list(
        "pk", Subquery(newest_first[STRIP - 1 : STRIP])
    )
    wanted = (Q(account=pk, pk__gte=run_pk or 0) for pk, run_pk in oldest_shown)
    return SyncRun.objects.filter(reduce(or_, wanted)).order_by("pk")


def _by_account(rows: QuerySet[Discrepancy] | QuerySet[Incident]) -> dict[int, int]:
    counts = rows.order_by().values_list("account").annotate(number=Count("pk"))
    return defaultdict(int, counts)
