"""Runs that read what the last one read, of an account on which nothing was left to be done: nothing is done again.

The last run is remembered as quiet if everything was settled, agreed and moved nothing. As long as the next ones read
the same and nobody changes the account's books or rules in between, all that they could find was found: such a run is
stored with references to what is there, in as many statements as the account has wallets, not assets or orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_delete, post_save
from django.utils import timezone

from portfolios.models import (
    AssetRule,
    ClaimRule,
    Discrepancy,
    ExchangeAccount,
    JudgedSnapshot,
    MarketCredential,
    Portfolio,
    PortfolioSnapshot,
    StoredLeg,
    SyncRun,
)
from portfolios.models.order import OPEN_STATUSES
from portfolios.services import runs
from portfolios.services.accounts import disturb, forget_rejections
from portfolios.services.breakers import note_answer
from portfolios.services.credentials import note_credential_state
from portfolios.services.legs import leg_digest, store_known_legs
from portfolios.services.snapshots import new_snapshot
from providers.reports import Depth, Leg, LegKind, LegStatus, OrderReport, Snapshot

# What a read of the account as it stands consists of; lists of what happened are read now and then.
_STANDING: Final = (LegKind.BALANCES, LegKind.OPEN_ORDERS, LegKind.TRIGGER_ORDERS)
_LISTS: Final = (LegKind.ACCOUNT_FILLS, LegKind.FLOWS)
_NOT_READ: Final = (LegStatus.SKIPPED, LegStatus.UNSUPPORTED)
# Of an account, what its reads are made and judged by.
_SETTINGS: Final = frozenset(
    {
        *("market", "endpoint", "sandbox", "wallets", "symbols", "policy"),
        *("lag_seconds", "grace_seconds", "lapses_by_itself"),
    }
)
_Key = tuple[str, str]
_Standing = dict[_Key, str]


def is_quiet(account: ExchangeAccount, run: SyncRun, legs: Sequence[Leg]) -> bool:
    """Whether the next run that reads the same would find nothing to do. The caller holds the account.

    Call it of a run that succeeded, moved nothing and found nothing.
    """
    if account.baseline_at is None or account.read_only_because:
        return False
    if account.disturbed_at is not None and account.disturbed_at >= (
        run.started_at or run.queued_at
    ):
        return False
    if any(leg.kind not in (*_STANDING, *_LISTS) for leg in legs):
        return False
    snapshot = JudgedSnapshot.objects.filter(run=run).select_related("content").first()
    if snapshot is None or snapshot.seen_at != account.verified_at or snapshot.content is None:
        return False
    # What was booked a moment ago may be judged better the next time.
    is_plain = not any(
        "window" in row
        for of_wallet in snapshot.content.rows.values()
        for row in of_wallet.values()
    )
    return is_plain and not _is_anything_left(account)


def _is_anything_left(account: ExchangeAccount) -> bool:
    doubtful = Q(missing_since__isnull=False) | ~Q(frozen_because="") | Q(external_id="")
    wanted = Q(fills_wanted__gt=0) | (Q(status__in=OPEN_STATUSES) & doubtful)
    return (
        account.orders.filter(wanted).exists()
        or account.discrepancies.filter(state__in=Discrepancy.LIVE).exists()
        or account.quarantines.exists()
        or account.portfolios.filter(mode=Portfolio.Mode.LIVE, initialized=False).exists()
    )


def confirm(run: SyncRun, snapshot: Snapshot) -> bool:
    """Store `run` as one that changed nothing, if that is so; whether it is.

    Raises
    ------
    LeaseLost
        If the account was taken from this run since; nothing is written then.
    """
    standing = _standing(snapshot)
    if run.account.quiet_run_id is None or standing is None:
        return False
    with transaction.atomic():
        account = run.account = runs.lock_account(run)
        of_run = JudgedSnapshot.objects.filter(run=account.quiet_run_id).select_related("run")
        last = of_run.first()
        contents = _same_contents(account, standing)
        if last is None or contents is None:
            return False
        # The first run of a day proves all that is stored of the account.
        if last.run.queued_at.date() != run.queued_at.date():
            return False
        legs = [(leg, contents.get((leg.kind, leg.subject))) for leg in snapshot.legs]
        store_known_legs(run, legs)
        _judge_as_before(run, last, snapshot.legs)
        _close_as_before(run, account, _orders_in(snapshot.legs))
    return True


def _orders_in(legs: Iterable[Leg]) -> int:
    rows = (row for leg in legs for row in leg.rows)
    return len({(row.symbol, row.external_id) for row in rows if isinstance(row, OrderReport)})


def _standing(snapshot: Snapshot) -> _Standing | None:
    """Give digests of what was read, by kind and subject; None if it was not just a look at how the account stands."""
    if snapshot.depth is not Depth.CHEAP or any(leg.error is not None for leg in snapshot.legs):
        return None
    read = [leg for leg in snapshot.legs if leg.status not in _NOT_READ]
    if any(leg.kind not in _STANDING or not leg.complete for leg in read):
        return None
    return {(leg.kind, leg.subject): leg_digest(leg) for leg in read}


def _same_contents(account: ExchangeAccount, standing: _Standing) -> dict[_Key, int | None] | None:
    """Give what the quiet run had read, by kind and subject, if it is the same; None if not."""
    whole = StoredLeg.objects.filter(
        run=account.quiet_run_id, kind__in=_STANDING, status=LegStatus.OBSERVED, complete=True
    )
    rows = list(whole.order_by().values_list("kind", "subject", "content__digest", "content"))
    before = {(kind, subject): digest or "" for kind, subject, digest, _content in rows}
    if before != standing:
        return None
    return {(kind, subject): content for kind, subject, _digest, content in rows}


def _judge_as_before(run: SyncRun, last: JudgedSnapshot, legs: Iterable[Leg]) -> None:
    account = run.account
    snapshot = new_snapshot(account, legs, run)
    if snapshot is None:
        return
    snapshot.content_id, snapshot.last_entry = last.content_id, last.last_entry
    snapshot.settled_at, snapshot.settled_by = timezone.now(), run
    snapshot.save()
    account.balances.update(observed_at=snapshot.seen_at, newest_at=snapshot.seen_at)
    account.verified_at = snapshot.seen_at
    account.save(update_fields=["verified_at"])


def _close_as_before(run: SyncRun, account: ExchangeAccount, orders: int) -> None:
    of_account = PortfolioSnapshot.objects.filter(portfolio__account=account)
    of_account.filter(last_run=account.quiet_run_id).update(
        last_run=run, confirmed_at=timezone.now()
    )
    note_credential_state(account, MarketCredential.State.ACCEPTED)
    forget_rejections(account)
    note_answer(account)
    run.balances_read = True
    run.orders_checked = orders
    runs.close_run(run, SyncRun.Status.SUCCEEDED, is_quiet=True)


def _disturb_account_of(sender: type[Any], instance: Any, **_kwargs: Any) -> None:
    disturb([instance.account_id])


def _disturb_when_set(
    sender: type[Any],
    instance: ExchangeAccount,
    update_fields: frozenset[str] | None,
    **_kwargs: Any,
) -> None:
    if update_fields is None or not _SETTINGS.isdisjoint(update_fields):
        disturb([instance.pk])


def watch_rules() -> None:
    """Notice when somebody changes what an account is judged by, wherever that is done."""
    for model in (AssetRule, ClaimRule, Portfolio):
        post_save.connect(_disturb_account_of, sender=model, dispatch_uid="quiet")
        post_delete.connect(_disturb_account_of, sender=model, dispatch_uid="quiet")
    post_save.connect(_disturb_when_set, sender=ExchangeAccount, dispatch_uid="quiet")
