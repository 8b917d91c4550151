"""Bounds what every sync adds. Facts, and what was decided, are never taken away.

What was read and said is kept for a while. After that stay: the baseline's run and the quiet one, the last looks of
each account, the looks at what is live now, and the rows of runs that anything else still names. A portfolio's history
is thinned to the last of each day, an exception's to its last occurrence.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models import Exists, ForeignObjectRel, Max, OuterRef, QuerySet
from django.db.models.functions import TruncDate

from portfolios.models import (
    Discrepancy,
    DiscrepancyEvent,
    ExchangeAccount,
    JudgedSnapshot,
    Occurrence,
    PortfolioSnapshot,
    StoredLeg,
    SyncRun,
)
from portfolios.services.runs import OPEN_STATUSES
from providers.reports import LegKind, LegStatus

# Of each account, so many of the last runs and of the last settled looks stay however old they are.
LOOKS_KEPT: Final = 50
# Rows of one transaction: a sync that waits for its account must not notice.
_AT_ONCE: Final = 500
_Rows = QuerySet[Any]


def prune(now: datetime, *, days: int, dry_run: bool = False) -> dict[str, int]:
    """Take away what is older than `days` and nobody needs; how many rows of each kind, in small transactions.

    Parameters
    ----------
    dry_run : bool
        Only count.
    """
    before = now - timedelta(days=days)
    count = {"occurrences": 0, "portfolio_snapshots": 0}
    for account in [*ExchangeAccount.objects.order_by("pk"), None]:
        for name, rows in _superfluous(account, before):
            gone = rows.count() if dry_run else _delete(account, rows)
            count[name] = count.get(name, 0) + gone
    expired = Session.objects.filter(expire_date__lt=now)
    count["sessions"] = expired.count() if dry_run else expired.delete()[0]
    return count


def _superfluous(account: ExchangeAccount | None, before: datetime) -> Iterator[tuple[str, _Rows]]:
    """Give the rows to take away, in an order in which nothing that is taken is named by what is left."""
    occurrences = _old_occurrences(account, before)
    yield "occurrences", occurrences
    if account is None:
        return
    histories = _thinned(account, before)
    yield "portfolio_snapshots", histories
    runs = _old_runs(account, before)
    snapshots = JudgedSnapshot.objects.filter(run__in=runs.values("pk"))
    legs = StoredLeg.objects.filter(run__in=runs.values("pk"))
    going: dict[type[models.Model], _Rows] = {
        Occurrence: occurrences,
        PortfolioSnapshot: histories,
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
        *settled.values_list("run_id", flat=True)[:LOOKS_KEPT],
        *account.runs.order_by("-pk").values_list("pk", flat=True)[:LOOKS_KEPT],
    }
    old = account.runs.filter(finished_at__lt=before).exclude(status__in=OPEN_STATUSES)
    return old.exclude(pk__in=[pk for pk in kept if pk is not None]).order_by()


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
