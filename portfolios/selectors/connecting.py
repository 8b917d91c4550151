"""Connecting an exchange: its steps, and how far each account has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy, ExchangeAccount, MarketCredential, Portfolio, SyncRun
from portfolios.selectors.accounts import AccountSummary, account_summaries
from portfolios.selectors.listing import Query, search
from portfolios.selectors.progress import RunProgress, run_progress
from portfolios.services.credentials import environment_credentials, missing_names
from providers import catalogue
from providers.catalogue import Market

READ = (SyncRun.Status.SUCCEEDED, SyncRun.Status.PARTIAL)
OPEN = (SyncRun.Status.QUEUED, SyncRun.Status.RUNNING)
# In their order, as the addresses name them.
STEPS: Sequence[tuple[str, str | Promise]] = (
    ("key", _("Name and key")),
    ("test", _("Test connection")),
    ("books", _("Portfolios")),
    ("sync", _("First sync")),
    ("schedule", _("Schedule")),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `state` is "done", "now" or "next", and `url` is empty where it cannot be gone to."""

    name: str
    word: str | Promise
    state: str
    url: str


@dataclass(frozen=True, slots=True)
class MarketsPage:
    """Markets to choose from, and what was begun and not finished."""

    markets: list[Market]
    searched: str
    unfinished: list[AccountSummary]


@dataclass(frozen=True, slots=True)
class FirstSync:
    """How far the first sync is; `last_run` is the last one that is over, None before that."""

    last_run: SyncRun | None
    progress: RunProgress | None
    differences: int


@dataclass(frozen=True, slots=True)
class ConnectPage:
    """One step of connecting `account`, which has no key yet while it is new."""

    account: ExchangeAccount
    market: Market
    steps: list[Step]
    name: str

    @property
    def may_discard(self) -> bool:
        """Whether nothing was read yet."""
        done = (step.name for step in self.steps if step.state == "done")
        return bool(self.steps[0].url) and "sync" not in done

    @property
    def next_url(self) -> str:
        names = [name for name, _word in STEPS]
        return reverse(f"connect_{names[names.index(self.name) + 1]}", args=[self.account.pk])


def markets_page(query: Query, now: datetime) -> MarketsPage:
    words = search(query)
    found = [
        market
        for market in catalogue.markets()
        if words.lower() in f"{market.id} {market.name}".lower()
    ]
    return MarketsPage(
        sorted(found, key=lambda market: market.name.lower()),
        words,
        account_summaries(ExchangeAccount.objects.filter(connecting=True), now),
    )


def connect_page(account: ExchangeAccount, name: str) -> ConnectPage:
    done = steps_done(account) if account.pk else set()
    steps = []
    for key, word in STEPS:
        state = "now" if key == name else "done" if key in done else "next"
        url = reverse(f"connect_{key}", args=[account.pk]) if account.pk else ""
        steps.append(Step(key, word, state, url))
    return ConnectPage(account, catalogue.market(account.market), steps, name)


def next_step(account: ExchangeAccount) -> str:
    """Name the first step of a connection that is not done."""
    done = steps_done(account)
    return next((name for name, _word in STEPS if name not in done), STEPS[-1][0])


def steps_done(account: ExchangeAccount) -> set[str]:
    """Tell which steps are done: by what is there, so that it does not matter who did them, and where."""
    credential = MarketCredential.objects.filter(account=account).first()
    stored = set(credential.sealed) if credential else set()
    present = stored or set(environment_credentials(account.market))
    facts = {
        "key": not missing_names(account.market, present),
        "test": credential is not None and credential.state == MarketCredential.State.ACCEPTED,
        "books": Portfolio.objects.filter(account=account).exists(),
        "sync": account.runs.filter(status__in=READ).exists(),
        "schedule": not account.connecting,
    }
    return {name for name, is_done in facts.items() if is_done}


def first_sync(account: ExchangeAccount, now: datetime) -> FirstSync:
    over = account.runs.exclude(status__in=OPEN).order_by("-pk").first()
    open_run = account.runs.filter(status__in=OPEN).select_related("account").first()
    found = Discrepancy.objects.filter(account=account, state=Discrepancy.State.OPEN)
    return FirstSync(
        last_run=over,
        progress=None if open_run is None else run_progress(open_run, now),
        differences=found.count() if over else 0,
    )
