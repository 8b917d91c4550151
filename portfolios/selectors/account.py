from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import F

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Flow,
    MarketCredential,
    Order,
    Portfolio,
    SyncRun,
)
from portfolios.selectors.accounts import AccountSummary, account_summaries
from portfolios.selectors.coverage import Coverage, account_coverage
from portfolios.selectors.listing import Listing, Query
from portfolios.selectors.orders import account_orders
from portfolios.selectors.ownership import Ownership, account_ownership
from portfolios.services.accounts import grace, lag
from portfolios.services.credentials import stored_names

RECENT_RUNS = 10
RECENT_FLOWS = 20


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
    owners : list of Portfolio
        To which an order that no portfolio claims can be given.
    flows : list of Flow
        The newest `RECENT_FLOWS`.
    """

    summary: AccountSummary
    credential: CredentialState
    lag_seconds: float
    grace_seconds: float
    balances: list[BalanceRow]
    ownership: list[Ownership]
    orders: Listing[Order]
    owners: list[Portfolio]
    flows: list[Flow]
    coverage: Coverage
    recent_runs: list[SyncRun]

    @property
    def account(self) -> ExchangeAccount:
        return self.summary.account


def account_page(pk: int, query: Query, now: datetime) -> AccountPage | None:
    """Gather all that is told of an account; None if there is none of this key."""
    found = account_summaries(ExchangeAccount.objects.filter(pk=pk), now)
    if not found:
        return None
    [summary] = found
    account = summary.account
    return AccountPage(
        summary=summary,
        credential=credential_state(account),
        lag_seconds=lag(account).total_seconds(),
        grace_seconds=grace(account).total_seconds(),
        balances=_balances(account),
        ownership=account_ownership(account),
        orders=account_orders(account, query),
        owners=[row for row in summary.portfolios if row.mode == Portfolio.Mode.LIVE],
        flows=_newest_flows(account),
        coverage=account_coverage(account, summary.last_run),
        recent_runs=summary.runs[::-1][:RECENT_RUNS],
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
        names=tuple(stored_names(account)),
    )


def _newest_flows(account: ExchangeAccount) -> list[Flow]:
    newest_first = F("occurred_at").desc(nulls_last=True)
    return list(account.flows.order_by(newest_first, "-pk")[:RECENT_FLOWS])


def _balances(account: ExchangeAccount) -> list[BalanceRow]:
    live = Discrepancy.objects.filter(account=account, state__in=Discrepancy.LIVE, order=None)
    found = {(row.wallet, row.asset): row for row in live.exclude(asset="")}
    return [
        _balance_row(balance, found.get((balance.wallet, balance.asset)))
        for balance in account.balances.order_by("wallet", "asset")
    ]


def _balance_row(balance: AssetBalance, found: Discrepancy | None) -> BalanceRow:
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
        since=found.first_seen if found else None,
        discrepancy=found.pk if found else None,
    )
