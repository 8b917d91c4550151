"""Circuit breakers: what fails again and again is asked less and less often by the schedule.

Of an account alone, or of all accounts at its market. Who presses Sync now asks at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import CircuitBreaker, ExchangeAccount
from portfolios.services.shared_clock import CLOCKS_APART
from providers.budgets import place_name
from providers.circuits import BreakerRule, Circuit, circuit
from providers.reports import LegError

OF_AN_ACCOUNT: Final = BreakerRule(3, timedelta(minutes=1), timedelta(minutes=15))
OF_A_MARKET: Final = BreakerRule(5, timedelta(minutes=1), timedelta(minutes=15))
# An account whose runs end their workers, once all attempts are used up.
OF_A_POISON: Final = BreakerRule(1, timedelta(hours=1), timedelta(days=1))
# Errors that are no trouble of the exchange's, or that asking less often would not mend.
NOT_COUNTED: Final = frozenset({"bug", "unsupported", "opening", "not_found"})
# Nothing came back; whatever else failed, an exchange that answers is there.
UNANSWERED: Final = frozenset({"transport", "maintenance"})
# So many must fail before it is their market that does.
FAILING_TOGETHER: Final = 2
# A probe that has not come back by then is taken for lost.
PROBE: Final = timedelta(minutes=3)
# Part of a pause that is drawn, so that not all come back in the same moment.
JITTER: Final = 0.1


def place_of(account: ExchangeAccount) -> str:
    return place_name(account.market, account.endpoint, sandbox=account.sandbox)


def note_answer(account: ExchangeAccount) -> None:
    """Close the circuits of an account that was read."""
    note_answers([account])


def note_answers(accounts: Sequence[ExchangeAccount]) -> None:
    """Close the circuits of accounts that were read."""
    for breaker in _rows(*accounts):
        breaker.delete()


def note_failure(account: ExchangeAccount, error: LegError) -> None:
    """Count a run that read nothing; what an exchange asks to wait for is waited for already."""
    if error.category in NOT_COUNTED or (error.category == "rate" and error.retry_after):
        return
    now = timezone.now()
    if error.category in UNANSWERED:
        # Others may fail at the same place in the same moment, and there is one row for all.
        first = CircuitBreaker(place=place_of(account), since=now)
        CircuitBreaker.objects.bulk_create([first], ignore_conflicts=True)
    rows = _rows(account)
    own = next((row for row in rows if row.account_id), None)
    shared = next((row for row in rows if row.place), None)
    _count(own or CircuitBreaker(account=account, since=now), account, error, OF_AN_ACCOUNT)
    if error.category in UNANSWERED:
        _count(
            shared or CircuitBreaker(place=place_of(account), since=now),
            account,
            error,
            OF_A_MARKET,
        )
    elif shared is not None:
        shared.delete()


def set_aside(account: ExchangeAccount, now: datetime) -> datetime:
    """Let the schedule leave alone an account whose runs ended their workers, each time; tell for how long."""
    breaker = CircuitBreaker.objects.select_for_update().filter(account=account).first()
    breaker = breaker or CircuitBreaker(account=account, since=now)
    breaker.vanished += 1
    breaker.message = _("Every attempt to sync this account ended its worker.")
    until = _open(breaker, OF_A_POISON.pause(breaker.vanished), now)
    _put_off(account, breaker)
    return until or now


def set_aside_ids(account_ids: Iterable[int]) -> set[int]:
    """Those of the accounts that nobody else's run may share a worker with."""
    rows = CircuitBreaker.objects.filter(account__in=account_ids, vanished__gt=0)
    return set(rows.values_list("account_id", flat=True).exclude(account_id=None))


def admitted(accounts: Sequence[ExchangeAccount], now: datetime) -> list[ExchangeAccount]:
    """Leave out accounts at markets of which the circuit is open; of one that is half open, all but one."""
    if not accounts:
        return []
    rows = CircuitBreaker.objects.exclude(place="").exclude(retry_at=None)
    closed_for = {row.place: row for row in rows}
    let_in: list[ExchangeAccount] = []
    for account in accounts:
        breaker = closed_for.get(place_of(account)) if closed_for else None
        if breaker is None or _may_probe(breaker, now):
            let_in.append(account)
            if breaker is not None:
                breaker.probe_until = now + PROBE  # in memory: the others of this list wait for it
    return let_in


def note_probes(accounts: Iterable[ExchangeAccount], now: datetime) -> None:
    """Note that scheduled runs of `accounts` are under way, each of which decides for all at its market."""
    places = {place_of(account) for account in accounts}
    rows = CircuitBreaker.objects.filter(place__in=places - {""}).exclude(retry_at=None)
    rows.update(probe_until=now + PROBE)


def bring_back(now: datetime) -> None:
    """Try again at once what a clock that was ahead has put off for longer than any rule does."""
    latest = now + CLOCKS_APART
    breakers = CircuitBreaker.objects
    breakers.filter(probe_until__gt=latest + PROBE).update(probe_until=None)
    of_poison = Q(vanished__gt=0)
    for breaker, rule in ((~of_poison, OF_AN_ACCOUNT), (of_poison, OF_A_POISON)):
        longest = rule.longest_pause * (1 + JITTER)
        breakers.filter(breaker, retry_at__gt=latest + longest).update(retry_at=now)


def _may_probe(breaker: CircuitBreaker, now: datetime) -> bool:
    is_probed = breaker.probe_until is not None and now < breaker.probe_until
    return circuit(breaker.retry_at, now) is Circuit.HALF_OPEN and not is_probed


def _rows(*accounts: ExchangeAccount) -> list[CircuitBreaker]:
    own_or_shared = Q(account__in=accounts) | Q(place__in={place_of(each) for each in accounts})
    rows = CircuitBreaker.objects.select_for_update(of=("self",)).filter(own_or_shared)
    # In one order, whoever locks them.
    return list(rows.order_by("pk"))


def _count(
    breaker: CircuitBreaker, account: ExchangeAccount, error: LegError, rule: BreakerRule
) -> None:
    breaker.failures += 1
    breaker.message = error.message[:500]
    breaker.account_ids = sorted({*breaker.account_ids, account.pk})[:FAILING_TOGETHER]
    is_shared_trouble = len(breaker.account_ids) >= FAILING_TOGETHER
    pause = rule.pause(breaker.failures) if breaker.account_id or is_shared_trouble else None
    _open(breaker, pause, timezone.now())
    if breaker.account_id:
        _put_off(account, breaker)


def _open(breaker: CircuitBreaker, pause: timedelta | None, now: datetime) -> datetime | None:
    breaker.probe_until = None
    if pause is not None:
        drawn = random.uniform(1, 1 + JITTER)  # noqa: S311 - spreads load, hides nothing
        breaker.retry_at = now + pause * drawn
    breaker.save()
    return breaker.retry_at


def _put_off(account: ExchangeAccount, breaker: CircuitBreaker) -> None:
    if breaker.retry_at is not None:
        too_soon = ExchangeAccount.objects.filter(pk=account.pk, next_sync_at__lt=breaker.retry_at)
        too_soon.update(next_sync_at=breaker.retry_at)
