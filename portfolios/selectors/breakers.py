"""Why the schedule leaves an account alone, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from portfolios.models import CircuitBreaker, ExchangeAccount
from portfolios.services.breakers import place_of
from portfolios.services.budgets import held_until
from providers.circuits import circuit


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """A circuit breaker that has opened.

    Parameters
    ----------
    is_of_market : bool
        Whether it is one for all accounts at the market.
    state : str
        ``open`` until `retry_at`; then ``half_open``: the next sync by the schedule decides.
    is_set_aside : bool
        Whether the account's runs ended their workers.
    """

    is_of_market: bool
    state: str
    failures: int
    since: datetime
    retry_at: datetime | None
    message: str
    is_set_aside: bool


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What keeps the schedule from an account; nothing, if it is false.

    Parameters
    ----------
    asked_until : datetime or None
        Until when the exchange asked this account, or all who share its address or key, not to read it.
    """

    circuits: tuple[OpenCircuit, ...]
    asked_until: datetime | None

    def __bool__(self) -> bool:
        return bool(self.circuits or self.asked_until)


def held_back(account: ExchangeAccount, now: datetime) -> HeldBack:
    """Tell what keeps the schedule from `account`; two queries, if its credential is loaded."""
    mine = Q(account=account) | Q(place=place_of(account))
    rows = CircuitBreaker.objects.filter(mine).exclude(retry_at=None).order_by("place")
    own = account.stay_away_until
    asked = [until for until in (own, held_until(account, now)) if until and until > now]
    return HeldBack(tuple(_told(row, now) for row in rows), max(asked, default=None))


def _told(row: CircuitBreaker, now: datetime) -> OpenCircuit:
    return OpenCircuit(
        is_of_market=bool(row.place),
        state=circuit(row.retry_at, now).value,
        failures=row.failures,
        since=row.since,
        retry_at=row.retry_at,
        message=row.message,
        is_set_aside=row.vanished > 0,
    )
