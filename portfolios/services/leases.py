"""Who may ask with an account's key and write to its books, for how long; a late one is told by its older fence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.credentials import accounts_of_the_keys, key_of
from portfolios.services.shared_clock import CLOCKS_APART, shared_now

# Beyond that nobody holds an account without holding it anew.
LONGEST_LEASE: Final = timedelta(hours=1)


class LeaseLost(Exception):
    """The account was taken from this worker; nothing of it may be written any more."""


def is_held(account: ExchangeAccount, now: datetime) -> bool:
    return account.lease_expires_at is not None and account.lease_expires_at > now


def lease() -> timedelta:
    return timedelta(seconds=settings.POSSYNC_LEASE_SECONDS)


def lock_accounts_of_the_keys_of(
    asked: QuerySet[ExchangeAccount],
) -> dict[int, ExchangeAccount]:
    """Lock accounts and the others that use their keys; by id, each with its credential.

    Two requests of one key at a time would take each other's nonce. One that got another key just now is left out.
    """
    keys = {account.pk: key_of(account) for account in asked.select_related("credential")}
    if not keys:
        return {}
    accounts = accounts_of_the_keys(keys.values()).select_for_update(of=("self",))
    # In one order, whoever locks them. Their keys are read by a statement of its own: PostgreSQL would show one that
    # was stored while the lock was waited for as it had been before.
    locked = accounts.order_by("pk").prefetch_related("credential")
    return {x.pk: x for x in locked if keys.get(x.pk, key_of(x)) == key_of(x)}


@contextmanager
def key_held(account_id: int, seconds: float) -> Iterator[bool]:
    """Keep all others from the account's key, by a lease as a run has it; whether nobody had it.

    Parameters
    ----------
    seconds : float
        On top of a lease, for what is done inside: nobody renews it.
    """
    fence = _hold_key_of(account_id, seconds)
    try:
        yield fence is not None
    finally:
        if fence is not None:
            mine = ExchangeAccount.objects.filter(pk=account_id, lease_fence=fence)
            mine.update(lease_expires_at=None)


@transaction.atomic
def _hold_key_of(account_id: int, seconds: float) -> int | None:
    now = shared_now()
    accounts = lock_accounts_of_the_keys_of(ExchangeAccount.objects.filter(pk=account_id))
    account = accounts.get(account_id)
    held = {key_of(each) for each in accounts.values() if is_held(each, now)}
    if account is None or key_of(account) in held:
        return None
    account.lease_fence += 1
    account.lease_expires_at = now + lease() + timedelta(seconds=seconds)
    account.save(update_fields=["lease_fence", "lease_expires_at"])
    return account.lease_fence


def renew_leases(runs: Iterable[SyncRun], *, beyond: float = 0) -> None:
    """Hold the accounts of `runs` for another lease, as far as they are still ours.

    Parameters
    ----------
    beyond : float
        Seconds on top of a lease, for work during which nobody renews it.
    """
    with transaction.atomic():
        # One statement for all would lock them in any order, and wait in a circle with a worker that claims.
        ours = [account.pk for account in lock_accounts(runs).values()]
        held = min(lease() + timedelta(seconds=beyond), LONGEST_LEASE)
        expires_at = shared_now() + held
        ExchangeAccount.objects.filter(pk__in=ours).update(lease_expires_at=expires_at)


def lock_account(run: SyncRun) -> ExchangeAccount:
    """Lock the run's account for the transaction that writes to it.

    Raises
    ------
    LeaseLost
        If the account was taken from this run since.
    """
    account = ExchangeAccount.objects.select_for_update().get(pk=run.account_id)
    if account.lease_fence != run.fence or account.lease_expires_at is None:
        raise LeaseLost(f"{account}: run {run.pk} was taken over")
    return account


def lock_accounts(runs: Iterable[SyncRun]) -> dict[int, ExchangeAccount]:
    """Lock the accounts of `runs` for the transaction that writes to them; those of the runs that are still theirs.

    Gives accounts by the id of their run.
    """
    fences = {run.account_id: run for run in runs}
    accounts = ExchangeAccount.objects.filter(pk__in=list(fences), lease_expires_at__isnull=False)
    # In one order, whoever locks them.
    locked = accounts.select_for_update().order_by("pk")
    return {
        fences[account.pk].pk: account
        for account in locked
        if account.lease_fence == fences[account.pk].fence
    }


def bring_back() -> None:
    """Let go of accounts that are held for longer than anybody holds one: by a clock that was ahead."""
    latest = shared_now() + LONGEST_LEASE + CLOCKS_APART
    ExchangeAccount.objects.filter(lease_expires_at__gt=latest).update(lease_expires_at=None)
