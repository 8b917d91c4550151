"""What is wrong as somebody may have to act on it: suspected, opened, resolved, one row an episode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from portfolios.models import Discrepancy, ExchangeAccount, Order, Portfolio
from portfolios.models.choices import Severity
from portfolios.reconciliation.episodes import Episode, Step, Turn, next_step
from portfolios.services.accounts import grace, lag

State = Discrepancy.State
# What each look writes anew.
FOUND = (
    "code",
    "severity",
    "book",
    "exchange",
    "difference",
    "cause",
    "wallet",
    "asset",
    "symbol",
    "order",
    "portfolio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference as one look saw it.

    Parameters
    ----------
    is_certain : bool
        Whether it is no matter of timing and opens at once.
    is_unproved : bool
        Whether it stays suspected however long it lasts: the proof is counted elsewhere.
    turn : Turn or None
        Of balances: what the look means for the episode, decided from the last looks; of others None.
    """

    key: str
    code: Discrepancy.Code
    severity: Severity
    book: Decimal | None = None
    exchange: Decimal | None = None
    difference: Decimal | None = None
    cause: str = ""
    wallet: str = ""
    asset: str = ""
    symbol: str = ""
    order: Order | None = None
    portfolio: Portfolio | None = None
    is_certain: bool = False
    is_unproved: bool = False
    turn: Turn | None = None


@dataclass(slots=True)
class Findings:
    """What one look found, and the keys of what it could judge: of these, what it did not find is resolved."""

    found: list[Finding] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        self.found.append(finding)
        self.judged.add(finding.key)


def record_findings(
    account: ExchangeAccount, findings: Iterable[Finding], judged: set[str], seen_at: datetime
) -> None:
    """Bring the account's discrepancies to what one look found.

    Parameters
    ----------
    judged : set of str
        Keys that this look could judge. One that is judged and not found is resolved; one that could not be judged
        stays as it is.
    """
    found = {finding.key: finding for finding in findings}
    live = account.discrepancies.filter(state__in=Discrepancy.LIVE)
    for discrepancy in live:
        finding = found.pop(discrepancy.key, None)
        if finding is not None:
            _see_again(account, discrepancy, finding, seen_at)
        elif discrepancy.key in judged:
            _resolve(discrepancy, seen_at)
    for finding in found.values():
        _begin(account, finding, seen_at)


def _begin(account: ExchangeAccount, finding: Finding, seen_at: datetime) -> None:
    discrepancy = Discrepancy(account=account, key=finding.key, first_seen=seen_at, times_seen=0)
    if finding.is_certain:
        discrepancy.state, discrepancy.opened_at = State.OPEN, seen_at
    _write(discrepancy, finding, seen_at)


def _see_again(
    account: ExchangeAccount, discrepancy: Discrepancy, finding: Finding, seen_at: datetime
) -> None:
    episode = Episode(
        is_suspected=discrepancy.state == State.SUSPECTED,
        difference=discrepancy.difference,
        first_seen=discrepancy.first_seen,
    )
    step = next_step(episode, finding.difference, seen_at, lag(account) + grace(account))
    if finding.is_certain and discrepancy.state == State.SUSPECTED:
        step = Step.OPEN
    elif finding.is_unproved:
        step = Step.STAY
    if step is Step.RESTART:
        discrepancy.first_seen, discrepancy.times_seen = seen_at, 0
    elif step is Step.OPEN:
        discrepancy.state, discrepancy.opened_at = State.OPEN, seen_at
    _write(discrepancy, finding, seen_at)


def _write(discrepancy: Discrepancy, finding: Finding, seen_at: datetime) -> None:
    for name in FOUND:
        setattr(discrepancy, name, getattr(finding, name))
    discrepancy.cause = discrepancy.cause[:200]
    discrepancy.last_seen = seen_at
    discrepancy.times_seen += 1
    discrepancy.save()


def _resolve(discrepancy: Discrepancy, seen_at: datetime) -> None:
    discrepancy.state, discrepancy.resolved_at = State.RESOLVED, seen_at
    discrepancy.cause = "agrees again"
    discrepancy.save()
