from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Incident,
    MarketCredential,
    Portfolio,
    SyncRun,
    WorkerBeat,
)
from portfolios.models.choices import AccountState, Health, Severity, Verdict
from portfolios.selectors.accounts import market_name
from portfolios.selectors.breakers import HeldBack, held_back
from portfolios.selectors.listing import ALL, Listing, Query, facet, one_page, search
from portfolios.selectors.progress import RunProgress
from portfolios.selectors.standings import UNRESOLVED, Standing, is_recovering
from portfolios.selectors.workers import SILENT_AFTER
from portfolios.services.accounts import account_health, grace, lag
from portfolios.services.credentials import names_in

RECENT_RUNS = 10


@dataclass(frozen=True, slots=True)
class AccountFrame:
    """What every page about an account begins with.

    Parameters
    ----------
    runs : list of SyncRun
        The newest `RECENT_RUNS`, newest first, the open one included.
    last_run : SyncRun or None
        The last run that is over.
    differences, failures : int
        Open discrepancies and unresolved incidents.
    """

    account: ExchangeAccount
    health: Health
    state: AccountState
    market_name: str
    runs: list[SyncRun]
    last_run: SyncRun | None
    progress: RunProgress | None
    differences: int
    failures: int


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One asset compared: the last settled verdict, its numbers, and the newest read where it waits to be settled.

    Parameters
    ----------
    low, high : Decimal or None
        The residual lies between these.
    newer_total : Decimal or None
        What a newer read says that waits to be settled, where it says something else.
    since : datetime or None
        When the difference was first seen; None where there is none.
    discrepancy : int or None
        The key of the discrepancy that tells of it.
    """

    wallet: str
    asset: str
    expected: Decimal | None
    free: Decimal | None
    used: Decimal | None
    total: Decimal | None
    residual: Decimal | None
    low: Decimal | None
    high: Decimal | None
    verdict: str
    reason: str
    used_verdict: str
    provisional: bool
    newer_total: Decimal | None
    observed_at: datetime
    since: datetime | None
    discrepancy: int | None

    @property
    def is_wide(self) -> bool:
        """Whether the read leaves more than one amount possible."""
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class CredentialState:
    """What may be shown of a credential: never its secrets."""

    state: str
    detail: str = ""
    fingerprint: str = ""
    set_at: datetime | None = None
    tested_at: datetime | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One account.

    Parameters
    ----------
    balances : list of BalanceRow
        Those of the page of `listing`.
    """

    frame: AccountFrame
    credential: CredentialState
    held_back: HeldBack
    lag_seconds: float
    grace_seconds: float
    portfolios: list[Portfolio]
    listing: Listing[AssetBalance]
    balances: list[BalanceRow]

    @property
    def account(self) -> ExchangeAccount:
        return self.frame.account


def account_frame(pk: int, now: datetime) -> AccountFrame | None:
    """Gather what is told of an account on each of its pages; None if there is none of this key."""
    open_ones = Discrepancy.objects.filter(state=Discrepancy.State.OPEN)
    rows = ExchangeAccount.objects.select_related("credential").annotate(
        **{f"open_{each}": _count_of(open_ones.filter(severity=each)) for each in Severity.values},
        failures=_count_of(Incident.objects.filter(state__in=UNRESOLVED)),
        beat_at=Subquery(WorkerBeat.objects.order_by("-beat_at").values("beat_at")[:1]),
    )
    account = rows.filter(pk=pk).first()
    if account is None:
        return None
    runs = _newest_runs(account)
    over = [run for run in runs if not run.is_open]
    open_run = next((run for run in runs if run.is_open), None)
    silent = account.beat_at is None or now - account.beat_at >= SILENT_AFTER
    standing = _standing(account, runs, account.failures, now)
    return AccountFrame(
        account=account,
        health=standing.health,
        state=standing.state,
        market_name=market_name(account.market),
        runs=runs,
        last_run=over[0] if over else None,
        progress=None if open_run is None else RunProgress(open_run, silent),
        differences=standing.differences,
        failures=standing.failures,
    )


def _standing(
    account: ExchangeAccount, runs: Sequence[SyncRun], failures: int, now: datetime
) -> Standing:
    """Tell how an account stands by its newest runs and the counts that it was read with."""
    over = [run for run in runs if not run.is_open]
    last_run = over[0] if over else None
    return Standing(
        pk=account.pk,
        label=account.label,
        market=account.market,
        health=account_health(account, last_run, now),
        has_key=hasattr(account, "credential"),
        is_verified=account.verified_at is not None,
        is_running=len(over) < len(runs),
        failures=failures,
        is_recovering=is_recovering(last_run, over[1].status if len(over) > 1 else None),
        severities=Counter({each: getattr(account, f"open_{each}") for each in Severity.values}),
    )


def _newest_runs(account: ExchangeAccount) -> list[SyncRun]:
    runs = list(SyncRun.objects.filter(account=account).order_by("-pk")[:RECENT_RUNS])
    for run in runs:
        run.account = account
    return runs


def _count_of(rows: QuerySet[Discrepancy] | QuerySet[Incident]) -> Coalesce:
    of_account = rows.filter(account=OuterRef("pk")).order_by().values("account")
    return Coalesce(Subquery(of_account.annotate(number=Count("pk")).values("number")), 0)


def account_page(pk: int, query: Query, now: datetime) -> AccountPage | None:
    frame = account_frame(pk, now)
    if frame is None:
        return None
    account = frame.account
    listing = account_balances(account, query)
    return AccountPage(
        frame=frame,
        credential=credential_state(account),
        held_back=held_back(account, now),
        lag_seconds=lag(account).total_seconds(),
        grace_seconds=grace(account).total_seconds(),
        portfolios=list(account.portfolios.order_by("name")),
        listing=listing,
        balances=_balance_rows(account, listing.rows),
    )


def credential_state(account: ExchangeAccount) -> CredentialState:
    credential: MarketCredential | None = getattr(account, "credential", None)
    if credential is None:
        return CredentialState(state="missing")
    return CredentialState(
        state=credential.state,
        detail=credential.state_detail,
        fingerprint=credential.fingerprint,
        set_at=credential.set_at,
        tested_at=credential.tested_at,
        names=tuple(names_in(credential)),
    )


def account_balances(account: ExchangeAccount, query: Query) -> Listing[AssetBalance]:
    verdict = facet(query, "verdict", _("Verdict"), (ALL, *Verdict.choices))
    words = search(query)
    rows = account.balances.order_by("wallet", "asset")
    if verdict.chosen:
        rows = rows.filter(verdict=verdict.chosen)
    if words:
        rows = rows.filter(asset__icontains=words)
    return one_page(rows, query, (verdict,), searched=words)


def _balance_rows(account: ExchangeAccount, balances: Sequence[AssetBalance]) -> list[BalanceRow]:
    assets = {balance.asset for balance in balances} - {""}
    live = Discrepancy.objects.filter(account=account, state__in=Discrepancy.LIVE, order=None)
    told = live.filter(asset__in=assets).values_list("wallet", "asset", "pk", "first_seen")
    found = {(wallet, asset): (pk, since) for wallet, asset, pk, since in told}
    return [
        _balance_row(row, *found.get((row.wallet, row.asset), (None, None))) for row in balances
    ]


def _balance_row(
    balance: AssetBalance, discrepancy: int | None, since: datetime | None
) -> BalanceRow:
    is_newer = balance.provisional and balance.newest_total != balance.total
    return BalanceRow(
        wallet=balance.wallet,
        asset=balance.asset,
        expected=balance.expected,
        free=balance.free,
        used=balance.used,
        total=balance.total,
        residual=balance.residual,
        low=balance.residual_low,
        high=balance.residual_high,
        verdict=balance.verdict,
        reason=balance.reason,
        used_verdict=balance.used_verdict,
        provisional=balance.provisional,
        newer_total=balance.newest_total if is_newer else None,
        observed_at=balance.observed_at,
        since=since,
        discrepancy=discrepancy,
    )
