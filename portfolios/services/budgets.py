"""Rate budgets in the database, where every process finds them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from portfolios.models import ExchangeAccount, RateBudget
from portfolios.services.credentials import key_name
from providers.budgets import LONGEST_HOLD, Budgets, MemoryBudgets, budget_name, place_name

log = structlog.get_logger(__name__)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class StoredBudgets:
    """What providers are given; they call it in threads of their own, which keep no connection.

    While the database cannot be reached, this process goes on within budgets of its own.
    """

    def __init__(self) -> None:
        self._own = MemoryBudgets()

    def reserve(self, names: Sequence[str], seconds: float, burst: float) -> float:
        try:
            return reserve(names, seconds, burst)
        except DatabaseError:
            log.exception("budget_not_reserved")
            return self._own.reserve(names, seconds, burst)
        finally:
            connection.close()

    def hold(self, name: str, until: float) -> None:
        self._own.hold(name, until)
        try:
            hold(name, datetime.fromtimestamp(until, UTC))
        except DatabaseError:
            log.exception("budget_not_held")
        finally:
            connection.close()


@transaction.atomic
def reserve(names: Sequence[str], seconds: float, burst: float) -> float:
    """Use up `seconds` of every budget of `names`; see `providers.budgets.BudgetStore`."""
    rows = _locked(names)
    earliest = timezone.now() - timedelta(seconds=burst)
    start = max([earliest, *(max(row.used_until, row.held_until or NEVER) for row in rows)])
    used_until = start + timedelta(seconds=seconds)
    RateBudget.objects.filter(pk__in=[row.pk for row in rows]).update(used_until=used_until)
    return start.timestamp()


@transaction.atomic
def hold(name: str, until: datetime) -> None:
    """Let nothing of a budget be spent before `until`; a shorter hold than there is changes nothing."""
    [row] = _locked([name])
    if row.held_until is None or row.held_until < until:
        row.held_until = until
        row.save(update_fields=["held_until"])


def hold_all(account: ExchangeAccount, seconds: float) -> None:
    """Keep every account that shares the budget which the exchange spoke of from asking, for `seconds`."""
    asked = timedelta(seconds=min(seconds, LONGEST_HOLD))
    hold(_budgets(account).refused, timezone.now() + asked)


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
