"""Runs that read what the last one read, of an account on which nothing was left to be done: nothing is done again.

The last run is remembered as quiet if everything was settled, agreed and moved nothing. As long as the next ones read
the same and nobody changes the account's books or rules in between, all that they could find was found: such runs are
stored together, with references to what is there, in as many statements for many accounts as for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Case, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Cast
from django.db.models.signals import post_delete, post_save
from django.utils import timezone

from portfolios.models import (
    AssetBalance,
    AssetRule,
    ClaimRule,
    Discrepancy,
    ExchangeAccount,
    JudgedSnapshot,
    Portfolio,
    PortfolioSnapshot,
    StoredLeg,
    SyncRun,
)
from portfolios.models.order import OPEN_STATUSES
from portfolios.services import leases, runs
from portfolios.services.accounts import disturb, set_next
from portfolios.services.breakers import note_answers
from portfolios.services.credentials import note_accepted
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
_Contents = dict[_Key, int | None]
_StoredRow = tuple[str, str, str | None, int | None]


@dataclass(slots=True)
class _Look:
    """What a run read, and of its account's quiet run how it was judged and in which contents the same is stored."""

    run: SyncRun
    snapshot: Snapshot
    standing: _Standing
    last: JudgedSnapshot | None = None
    contents: _Contents | None = None


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
        account.orders.filter(wanted, is_backtest=False).exists()
        or account.discrepancies.filter(state__in=Discrepancy.LIVE).exists()
        or account.quarantines.exists()
        or account.portfolios.filter(mode=Portfolio.Mode.LIVE, initialized=False).exists()
    )


def confirm(reads: Iterable[tuple[SyncRun, Snapshot]]) -> set[int]:
    """Store those of the runs that changed nothing, in as many statements for one as for many; their ids.

    Nothing is written of a run whose account was taken from it since.
    """
    looks = [
        _Look(run, snapshot, standing)
        for run, snapshot in reads
        if run.account.quiet_run_id is not None and (standing := _standing(snapshot)) is not None
    ]
    if not looks:
        return set()
    with transaction.atomic():
        accounts = leases.lock_accounts(look.run for look in looks)
        ours = [look for look in looks if look.run.pk in accounts]
        for look in ours:
            look.run.account = accounts[look.run.pk]
        confirmed = _unchanged(ours)
        if confirmed:
            _store(confirmed)
    return {look.run.pk for look in confirmed}


def _unchanged(looks: Sequence[_Look]) -> list[_Look]:
    """Choose those that read what the quiet run of their account had read; each learns what was stored then."""
    quiet = {look.run.account.quiet_run_id for look in looks} - {None}
    of_runs = JudgedSnapshot.objects.filter(run__in=quiet).select_related("run")
    last = {snapshot.run_id: snapshot for snapshot in of_runs}
    stored = _stored(quiet)
    for look in looks:
        run_id = look.run.account.quiet_run_id or 0
        look.last = last.get(run_id)
        look.contents = _same_contents(stored.get(run_id, []), look.standing)
    # The first run of a day proves all that is stored of the account.
    return [
        look
        for look in looks
        if look.last is not None
        and look.contents is not None
        and look.last.run.queued_at.date() == look.run.queued_at.date()
    ]


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


def _stored(run_ids: Iterable[int | None]) -> dict[int, list[_StoredRow]]:
    """Give kind, subject, digest and content of what was read whole, by run."""
    whole = StoredLeg.objects.filter(
        run__in=run_ids, kind__in=_STANDING, status=LegStatus.OBSERVED, complete=True
    )
    rows: dict[int, list[_StoredRow]] = {}
    told = whole.order_by().values_list("run", "kind", "subject", "content__digest", "content")
    for run_id, kind, subject, digest, content in told:
        rows.setdefault(run_id, []).append((kind, subject, digest, content))
    return rows


def _same_contents(rows: Iterable[_StoredRow], standing: _Standing) -> _Contents | None:
    """Give what the quiet run had read, by kind and subject, if it is the same; None if not."""
    before = {(kind, subject): digest or "" for kind, subject, digest, _content in rows}
    if before != standing:
        return None
    return {(kind, subject): content for kind, subject, _digest, content in rows}


def _store(looks: Sequence[_Look]) -> None:
    store_known_legs(
        (look.run, leg, (look.contents or {}).get((leg.kind, leg.subject)))
        for look in looks
        for leg in look.snapshot.legs
    )
    before = [look.run.account.quiet_run_id for look in looks]
    _judge_as_before(looks)
    for look in looks:
        look.run.balances_read = True
        look.run.orders_checked = _orders_in(look.snapshot.legs)
    _close([look.run for look in looks])
    accounts = [look.run.account for look in looks]
    _show_as_before(accounts, before)
    note_accepted(accounts, read_at=min(map(runs.begun_at, (look.run for look in looks))))
    note_answers(accounts)


def _close(quiet: Sequence[SyncRun]) -> None:
    """End runs that have found what the last ones found, and say when their accounts are due again.

    The caller holds `lock_accounts` of them. Written is what the runs and their accounts say of themselves, too.
    """
    now = timezone.now()
    ended: dict[str, Any] = {
        "status": SyncRun.Status.SUCCEEDED,
        "stage": SyncRun.Stage.DONE,
        "message": "",
        "finished_at": now,
    }
    freed: dict[str, Any] = {
        "lease_expires_at": None,
        "rejections": 0,
        "rejected_at": None,
        "stay_away_until": None,
    }
    for run in quiet:
        runs.set_values(run, ended)
        runs.set_values(run.account, freed)
        run.account.quiet_run = run
        set_next(run.account, now)
    accounts = [run.account for run in quiet]
    told = ("http_requests", "waited_seconds", "orders_checked", "balances_read")
    rows = SyncRun.objects.filter(pk__in=[run.pk for run in quiet])
    rows.update(**ended, **_of_each(quiet, told))
    rows_of_accounts = ExchangeAccount.objects.filter(pk__in=[account.pk for account in accounts])
    rows_of_accounts.update(
        **freed, **_of_each(accounts, ("verified_at", "quiet_run", "next_sync_at"))
    )


def _of_each(rows: Sequence[SyncRun | ExchangeAccount], names: Iterable[str]) -> dict[str, Any]:
    """Write what each row says of itself, as values of one statement; plainly if all say the same, as a single one."""
    written: dict[str, Any] = {}
    for name in names:
        field = getattr(type(rows[0]), name).field
        values = {row.pk: getattr(row, field.attname) for row in rows}
        if len(set(values.values())) == 1:
            written[name] = values[rows[0].pk]
            continue
        cases = [When(pk=pk, then=Value(value, field)) for pk, value in values.items()]
        case = Case(*cases, output_field=field)
        # As Django's own `bulk_update`, which writes nothing else in the same statement.
        needs_cast = connection.features.requires_casted_case_in_updates
        written[name] = Cast(case, field) if needs_cast else case
    return written


def _judge_as_before(looks: Iterable[_Look]) -> None:
    snapshots, now = [], timezone.now()
    for look in looks:
        account, last = look.run.account, look.last
        snapshot = new_snapshot(account, look.snapshot.legs, look.run)
        if snapshot is None or last is None:
            continue
        snapshot.content_id, snapshot.last_entry = last.content_id, last.last_entry
        snapshot.settled_at, snapshot.settled_by = now, look.run
        account.verified_at = snapshot.seen_at
        snapshots.append(snapshot)
    JudgedSnapshot.objects.bulk_create(snapshots)


def _show_as_before(accounts: Sequence[ExchangeAccount], quiet: Sequence[int | None]) -> None:
    """Date what is shown of `accounts` by their new quiet runs; `quiet` are the ones before."""
    newest = ExchangeAccount.objects.filter(pk=OuterRef("account"))
    seen_at = Subquery(newest.values("verified_at"))
    balances = AssetBalance.objects.filter(account__in=accounts)
    balances.update(observed_at=seen_at, newest_at=seen_at)
    confirming = ExchangeAccount.objects.filter(portfolios=OuterRef("portfolio"))
    PortfolioSnapshot.objects.filter(
        portfolio__account__in=accounts, last_run__in=set(quiet) - {None}
    ).update(last_run=Subquery(confirming.values("quiet_run")), confirmed_at=timezone.now())


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
