"""Bounds what every sync adds. Facts, and what was decided, are never taken away.

What was read and said is kept for a while. After that stay: the baseline's run and the quiet one, the last looks of
each account and those that wait to be settled, the looks at what is live now, and the rows of runs that anything else
still names; these say that the rest is gone. A portfolio's history is thinned to the last of each day, an exception's
to its last occurrence, a difference's to its last episodes, an ended order's to its last terms. `BOUNDS` tells of every
table what keeps it from growing, or why it may grow.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models import Exists, F, ForeignObjectRel, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import TruncDate
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import (
    AuditEvent,
    CircuitBreaker,
    Discrepancy,
    DiscrepancyEvent,
    ExchangeAccount,
    JudgedSnapshot,
    Occurrence,
    OrderVersion,
    PortfolioSnapshot,
    RateBudget,
    StoredLeg,
    SyncRun,
)
from portfolios.services.runs import OPEN_STATUSES
from portfolios.services.snapshots import MOST_WAITING
from providers.reports import LegKind, LegStatus, OrderStatus

log = structlog.get_logger(__name__)
# Of each account, so many of the last runs and of the last settled looks stay however old they are.
LOOKS_KEPT: Final = 50
# So many of the last episodes of a difference, and of the last terms of an order that has ended.
EPISODES_KEPT: Final = 50
VERSIONS_KEPT: Final = 50
PASSING_KEPT: Final = timedelta(days=366)
# Rows of one transaction: a sync that waits for its account must not notice.
_AT_ONCE: Final = 500
_Rows = QuerySet[Any]
# What is done again and again, by programs above all, and changes nothing that people set up or decided.
_PASSING: Final = (
    AuditEvent.Kind.SIGN_IN,
    AuditEvent.Kind.SIGN_OUT,
    AuditEvent.Kind.SIGN_IN_FAILED,
    AuditEvent.Kind.SYNC,
)
# Of every table, by what it is kept small, or why it is kept for ever.
BOUNDS: Final[Mapping[str | Promise, tuple[str, ...]]] = {
    _("goes with its age, except for what something still rests on"): (
        *("portfolios.SyncRun", "portfolios.StoredLeg", "portfolios.LegContent"),
        *("portfolios.JudgedSnapshot", "portfolios.JudgedContent", "portfolios.Occurrence"),
    ),
    _("goes when it is over"): (
        *("sessions.Session", "portfolios.RateBudget", "portfolios.CircuitBreaker"),
        *("django_q.OrmQ", "django_q.Task", "portfolios.SignInAttempt"),
    ),
    _("thinned to the last of each day"): ("portfolios.PortfolioSnapshot",),
    _("thinned to the last episodes of each difference, and to what people decided"): (
        "portfolios.DiscrepancyEvent",
    ),
    _("thinned to the last terms of each order that has ended"): ("portfolios.OrderVersion",),
    _(
        "sign-ins and syncs of programs go after a year; all else is kept for ever, for whoever asks"
    ): ("portfolios.AuditEvent",),
    _("kept for ever: what people decided or changed, and why, which the books rest on"): (
        *("portfolios.Decision", "admin.LogEntry"),
    ),
    _("kept for ever: facts and what was booked by them, from which the books are proved"): (
        *("portfolios.Order", "portfolios.Fill", "portfolios.Flow", "portfolios.LedgerEntry"),
    ),
    _("does not grow with time: one row for each thing that it tells of"): (
        *("portfolios.Position", "portfolios.AssetBalance", "portfolios.Discrepancy"),
        *("portfolios.Incident", "portfolios.ReadCursor", "portfolios.Quarantine"),
        *(
            "portfolios.HostClock",
            "portfolios.WorkerBeat",
            "contenttypes.ContentType",
            "auth.Permission",
        ),
        "django_q.Schedule",
    ),
    _("does not grow with time: what people set up"): (
        *("portfolios.ExchangeAccount", "portfolios.MarketCredential", "portfolios.Portfolio"),
        *("portfolios.AssetRule", "portfolios.ClaimRule", "portfolios.ApiToken", "auth.User"),
        *("auth.Group", "auth.Group_permissions", "auth.User_groups"),
        "auth.User_user_permissions",
    ),
}


def prune(
    now: datetime, *, days: int, dry_run: bool = False, within: float = math.inf
) -> dict[str, int]:
    """Take away what is older than `days` and nobody needs; how many rows of each kind, in small transactions.

    Parameters
    ----------
    dry_run : bool
        Only count.
    within : float
        Seconds after which no further account is begun. Each time they come in another order, so none is always last.
    """
    before, began = now - timedelta(days=days), time.monotonic()
    count: dict[str, int] = {}
    for account in [*ExchangeAccount.objects.order_by("?"), None]:
        if account is not None and time.monotonic() - began >= within:
            continue
        try:
            _prune(account, before, now, count, dry_run=dry_run)
        except Exception:  # of one account, which keeps no other from its turn
            log.exception("not_pruned", account=account and account.label)
    return count


def _prune(
    account: ExchangeAccount | None,
    before: datetime,
    now: datetime,
    count: dict[str, int],
    *,
    dry_run: bool,
) -> None:
    if account is not None and not dry_run:
        _note_what_goes(account, before, now)
    for name, rows in _superfluous(account, before) if account else _of_no_account(before, now):
        gone = rows.count() if dry_run else _delete(account, rows)
        count[name] = count.get(name, 0) + gone


def _of_no_account(before: datetime, now: datetime) -> Iterator[tuple[str, _Rows]]:
    yield "occurrences", _old_occurrences(None, before)
    yield "sessions", Session.objects.filter(expire_date__lt=now)
    until = min(before, now - PASSING_KEPT)
    yield "audit_events", AuditEvent.objects.filter(kind__in=_PASSING, at__lt=until)
    is_held = Q(held_until__gte=before)
    yield "rate_budgets", RateBudget.objects.filter(used_until__lt=before).exclude(is_held)
    over = Q(retry_at=None) | Q(retry_at__lt=before)
    yield "circuit_breakers", CircuitBreaker.objects.filter(over, account=None, since__lt=before)
    # Tasks that the queue itself has ended: a run says more of each.
    ended = apps.get_model("django_q", "Task")
    yield "tasks", QuerySet(ended).filter(stopped__lt=before)


def _superfluous(account: ExchangeAccount, before: datetime) -> Iterator[tuple[str, _Rows]]:
    """Give the rows to take away, in an order in which nothing that is taken is named by what is left."""
    occurrences = _old_occurrences(account, before)
    yield "occurrences", occurrences
    histories = _thinned(account, before)
    yield "portfolio_snapshots", histories
    episodes = _old_episodes(account, before)
    yield "discrepancy_events", episodes
    yield "order_versions", _old_versions(account, before)
    runs = _old_runs(account, before)
    snapshots = JudgedSnapshot.objects.filter(run__in=runs.values("pk"))
    legs = StoredLeg.objects.filter(run__in=runs.values("pk"))
    going: dict[type[models.Model], _Rows] = {
        Occurrence: occurrences,
        PortfolioSnapshot: histories,
        DiscrepancyEvent: episodes,
        JudgedSnapshot: snapshots,
        StoredLeg: legs,
    }
    yield "snapshots", snapshots
    yield "legs", legs
    yield "runs", _unnamed(runs, going)
    yield "judged_contents", _unnamed(account.judged_contents.all(), going)
    yield "leg_contents", _unnamed(account.leg_contents.all(), going)


def _old_occurrences(account: ExchangeAccount | None, before: datetime) -> _Rows:
    newer = Occurrence.objects.filter(incident=OuterRef("incident"), pk__gt=OuterRef("pk"))
    old = Occurrence.objects.filter(Exists(newer), occurred_at__lt=before)
    return old.filter(incident__account=account).order_by()


def _thinned(account: ExchangeAccount, before: datetime) -> _Rows:
    rows = PortfolioSnapshot.objects.filter(portfolio__account=account, confirmed_at__lt=before)
    # Reckoned once: to look for a later one of its day for each would take minutes, in which nobody could write.
    days = rows.order_by().annotate(day=TruncDate("taken_at")).values("portfolio", "day")
    return rows.order_by().exclude(pk__in=days.annotate(last=Max("pk")).values("last"))


def _old_episodes(account: ExchangeAccount, before: datetime) -> _Rows:
    """Narrow to turns of episodes long ago, of which nobody decided anything."""
    decided = DiscrepancyEvent.objects.filter(
        discrepancy=OuterRef("discrepancy"), episode=OuterRef("episode"), decision__isnull=False
    )
    return DiscrepancyEvent.objects.filter(
        ~Exists(decided),
        discrepancy__account=account,
        discrepancy__episode__gte=F("episode") + EPISODES_KEPT,
        at__lt=before,
    ).order_by()


def _old_versions(account: ExchangeAccount, before: datetime) -> _Rows:
    ended = [status for status in OrderStatus if status.is_terminal]
    newer = OrderVersion.objects.filter(
        order=OuterRef("order"), number__gte=OuterRef("number") + VERSIONS_KEPT
    )
    of_account = OrderVersion.objects.filter(order__account=account, order__status__in=ended)
    return of_account.filter(Exists(newer), replaced_at__lt=before).order_by()


def _note_what_goes(account: ExchangeAccount, before: datetime, now: datetime) -> None:
    """Let runs and looks that stay know that what they told, or what came before them, is not there any more."""
    old = _old_runs(account, before)
    legs = StoredLeg.objects.filter(run=OuterRef("pk"))
    going = JudgedSnapshot.objects.filter(run__in=old.values("pk"))
    looks = account.snapshots.order_by()
    last = looks.filter(pk__lt=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    stay = looks.exclude(pk__in=going.values("pk")).annotate(last=Subquery(last))
    follow = list(stay.filter(last__in=going.values("pk")).values_list("pk", flat=True))
    with transaction.atomic():
        ExchangeAccount.objects.select_for_update().get(pk=account.pk)
        read = Exists(legs) | Exists(going.filter(run=OuterRef("pk")))
        old.filter(read, pruned_at=None).update(pruned_at=now)
        looks.filter(pk__in=follow).update(follows_a_gap=True)


def _old_runs(account: ExchangeAccount, before: datetime) -> QuerySet[SyncRun]:
    """Narrow to the runs whose reads and verdicts nobody asks for any more."""
    live = Discrepancy.objects.filter(account=account, state__in=Discrepancy.LIVE)
    evidence = DiscrepancyEvent.objects.filter(discrepancy__in=live, run__isnull=False)
    # What a run says of balances it says of the read that it settles, which often is an earlier one.
    judged = account.snapshots.filter(settled_by__in=evidence.values("run"))
    settled = account.snapshots.filter(settled_at__isnull=False).order_by("-pk")
    kept = {
        account.baseline_run_id,
        account.quiet_run_id,
        *evidence.values_list("run_id", flat=True),
        *judged.values_list("run_id", flat=True),
        *_last_lists(account),
        *_waiting(account),
        *settled.values_list("run_id", flat=True)[:LOOKS_KEPT],
        *account.runs.order_by("-pk").values_list("pk", flat=True)[:LOOKS_KEPT],
    }
    old = account.runs.filter(finished_at__lt=before).exclude(status__in=OPEN_STATUSES)
    return old.exclude(pk__in=[pk for pk in kept if pk is not None]).order_by()


def _waiting(account: ExchangeAccount) -> Iterator[int]:
    """Give the runs of looks that are still to be settled: the oldest, and the newest that are looked at again."""
    settled = account.snapshots.filter(settled_at__isnull=False)
    last = settled.order_by("-pk").values_list("pk", flat=True).first() or 0
    waiting = account.snapshots.filter(pk__gt=last).values_list("run_id", flat=True)
    yield from waiting.order_by("pk")[:1]
    yield from waiting.order_by("-pk")[:MOST_WAITING]


def _last_lists(account: ExchangeAccount) -> Iterator[int]:
    """Give the runs whose lists last may have had an order that is denied: by them it was alive until then."""
    missing = account.orders.filter(missing_since__isnull=False).order_by()
    for symbol, since in missing.values_list("symbol", "missing_since").distinct():
        whole = StoredLeg.objects.filter(
            run__account=account,
            kind=LegKind.OPEN_ORDERS,
            subject__in=["", symbol],
            status=LegStatus.OBSERVED,
            complete=True,
            run__finished_at__lt=since,
        )
        yield from whole.order_by("-run_id").values_list("run_id", flat=True)[:1]


def _unnamed(rows: _Rows, going: dict[type[models.Model], _Rows]) -> _Rows:
    """Narrow to rows that nothing names but what is going itself."""
    for relation in rows.model._meta.get_fields(include_hidden=True):  # noqa: SLF001 - Django documents it
        if not isinstance(relation, ForeignObjectRel):
            continue
        names: _Rows = QuerySet(relation.related_model)
        names = names.filter(**{relation.field.name: OuterRef("pk")})
        if relation.related_model in going:
            names = names.exclude(pk__in=going[relation.related_model].values("pk"))
        rows = rows.exclude(Exists(names))
    return rows


def _delete(account: ExchangeAccount | None, rows: _Rows) -> int:
    gone, is_more = 0, True
    while is_more:
        with transaction.atomic():
            if account is not None:
                # A sync refers to contents that it has found only while it holds the account.
                ExchangeAccount.objects.select_for_update().get(pk=account.pk)
            ids = list(rows.values_list("pk", flat=True)[:_AT_ONCE])
            QuerySet(rows.model).filter(pk__in=ids).delete()
        gone += len(ids)
        is_more = len(ids) == _AT_ONCE
    return gone
