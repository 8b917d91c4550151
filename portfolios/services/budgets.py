"""Rate budgets in the database, where every process finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q

from portfolios.models import ExchangeAccount, RateBudget
from portfolios.services.credentials import key_name
from portfolios.services.shared_clock import CLOCKS_APART, shared_now
from providers.budgets import LONGEST_HOLD, Budgets, MemoryBudgets, budget_name, place_name

log = structlog.get_logger(__name__)
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What all processes together may have taken of a budget in advance, at the very most: each takes a few seconds.
LONGEST_QUEUE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Taken:
    """A part of some budgets.

    Parameters
    ----------
    starts_in : float
        Seconds until it may be spent; negative if that was before.
    held : dict
        Seconds for which nothing of a budget may be spent, by its name; of those that are held.
    """

    starts_in: float
    held: Mapping[str, float]


class StoredBudgets:
    """What providers are given; they call it in threads of their own, which keep no connection.

    While the database cannot be reached, this process goes on within budgets of its own, and within what it knows that
    exchanges asked for; what it could not tell the others it tells them as soon as it can.
    """

    def __init__(self) -> None:
        self._own = MemoryBudgets()
        # Until when, by this process's monotonic clock.
        self._untold: dict[str, float] = {}

    def reserve(self, names: Sequence[str], seconds: float, burst: float) -> float:
        try:
            self._tell()
            taken = reserve(names, seconds, burst)
        except DatabaseError:
            log.exception("budget_not_reserved")
            return self._own.reserve(names, seconds, burst)
        finally:
            connection.close()
        for name, held in taken.held.items():
            self._own.hold(name, held)
        return taken.starts_in

    def hold(self, name: str, seconds: float) -> None:
        self._own.hold(name, seconds)
        self._untold[name] = max(self._untold.get(name, 0.0), monotonic() + seconds)
        try:
            self._tell()
        except DatabaseError:
            log.exception("budget_not_held")
        finally:
            connection.close()

    def _tell(self) -> None:
        for name, until in list(self._untold.items()):
            hold(name, until - monotonic())
            self._untold.pop(name, None)


@transaction.atomic
def reserve(names: Sequence[str], seconds: float, burst: float) -> Taken:
    """Use up `seconds` of every budget of `names`; see `providers.budgets.BudgetStore`."""
    rows = _locked(names)
    now = shared_now()
    earliest = now - timedelta(seconds=burst)
    start = max([earliest, *(max(row.used_until, row.held_until or NEVER) for row in rows)])
    used_until = start + timedelta(seconds=seconds)
    RateBudget.objects.filter(pk__in=[row.pk for row in rows]).update(used_until=used_until)
    held = {row.name: ((row.held_until or NEVER) - now).total_seconds() for row in rows}
    return Taken(
        (start - now).total_seconds(), {name: wait for name, wait in held.items() if wait > 0}
    )


@transaction.atomic
def hold(name: str, seconds: float) -> None:
    """Let nothing of a budget be spent for `seconds`; a shorter hold than there is changes nothing."""
    [row] = _locked([name])
    until = shared_now() + timedelta(seconds=min(seconds, LONGEST_HOLD))
    if row.held_until is None or row.held_until < until:
        row.held_until = until
        row.save(update_fields=["held_until"])


def hold_all(account: ExchangeAccount, seconds: float) -> None:
    """Keep every account that shares the budget which the exchange spoke of from asking, for `seconds`."""
    hold(_budgets(account).refused, seconds)


def bring_back() -> None:
    """Take back what a clock that was ahead has used up or held: more than anybody asks for."""
    latest = shared_now() + CLOCKS_APART
    held = RateBudget.objects.filter(held_until__gt=latest + timedelta(seconds=LONGEST_HOLD))
    held.update(held_until=None)
    # Who takes a part while the budget is held has it after that.
    is_free = Q(held_until=None) | Q(used_until__gt=F("held_until") + LONGEST_QUEUE)
    used = RateBudget.objects.filter(is_free, used_until__gt=latest + LONGEST_QUEUE)
    used.update(used_until=NEVER)


def held_until(account: ExchangeAccount, now: datetime) -> datetime | None:
    """Until when the exchange asked all who share one of the account's budgets not to be read; None if it did not."""
    budgets = _budgets(account)
    rows = RateBudget.objects.filter(name__in=[budgets.place, budgets.key], held_until__gt=now)
    return rows.order_by("-held_until").values_list("held_until", flat=True).first()


def _budgets(account: ExchangeAccount) -> Budgets:
    place = place_name(account.market, account.endpoint, sandbox=account.sandbox)
    egress = budget_name(place, settings.POSSYNC_EGRESS)
    return Budgets(account.market, egress, key_name(account))


def _locked(names: Sequence[str]) -> list[RateBudget]:
    """Lock the rows of `names` in one order, whoever asks; make those that are not there."""
    wanted = RateBudget.objects.select_for_update().filter(name__in=names).order_by("name")
    rows = list(wanted)
    if len(rows) < len(set(names)):
        missing = [RateBudget(name=name, used_until=NEVER) for name in sorted(set(names))]
        RateBudget.objects.bulk_create(missing, ignore_conflicts=True)
        rows = list(wanted.all())
    return rows
