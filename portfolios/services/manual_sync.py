"""Syncing because somebody asks for it: when a button may be pressed again, and the command line's way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _

from portfolios.models import Discrepancy, ExchangeAccount, SyncRun
from portfolios.models.choices import Severity
from portfolios.services.leases import LeaseLost
from portfolios.services.portfolio_sync import execute_runs
from portfolios.services.runs import close_run, heal_abandoned_runs, open_run

# Seconds between two looks at a run that another process works on.
POLL: Final = 0.2
# What a person needs to look at a result, and an exchange to be left in peace.
COOL_DOWN: Final = timedelta(seconds=3)
WARNING_AND_ABOVE: Final = (Severity.WARNING, Severity.ERROR, Severity.CRITICAL)
Status = SyncRun.Status


def cooling_runs(accounts: QuerySet[ExchangeAccount], now: datetime) -> dict[int, SyncRun]:
    """Find the accounts that a press of the button does not sync now, and of each the run that it shows instead.

    That is its newest one, if it was a press as well and ended less than `COOL_DOWN` ago. So the first press is never
    held up, whatever ran before, nor is one while a run is under way: that one joins.
    """
    newest = SyncRun.objects.filter(account=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    ended = SyncRun.objects.filter(
        pk__in=accounts.order_by().values_list(Subquery(newest)),
        trigger=SyncRun.Trigger.MANUAL,
        finished_at__gt=now - COOL_DOWN,
    )
    return {run.account_id: run for run in ended.select_related("account")}


def sync_now(
    accounts: Iterable[ExchangeAccount], *, say: Callable[[str], None] = lambda _line: None
) -> list[SyncRun]:
    """Sync `accounts` here and now and return their closed runs.

    A run that a worker has begun is waited for; if that worker vanishes, another run takes its place as soon as its
    lease lapses.
    """
    opened = {open_run(account, SyncRun.Trigger.CLI)[0].pk for account in accounts}
    waiting = set(opened)
    _say_what_is_under_way(waiting, say)
    while waiting:
        with _closed_if_interrupted(waiting):
            execute_runs(sorted(waiting))
        for run in _rows(waiting):
            if not run.is_open:
                say(f"{run.account}: {run.get_status_display()}")
                waiting.discard(run.pk)
                _follow(run, opened, waiting)
        if waiting:
            time.sleep(POLL)  # what is left belongs to another process
            heal_abandoned_runs()
    return _rows(opened)


def _follow(run: SyncRun, opened: set[int], waiting: set[int]) -> None:
    """Go on with the run that tries again in the place of a lost one."""
    again = run.account.runs.filter(status=Status.QUEUED, pk__gt=run.pk).first()
    if run.status == Status.LOST and again is not None:
        opened ^= {run.pk, again.pk}
        waiting.add(again.pk)


def _rows(run_ids: Iterable[int]) -> list[SyncRun]:
    return list(
        SyncRun.objects.filter(pk__in=run_ids).select_related("account").order_by("account__label")
    )


def _say_what_is_under_way(run_ids: Iterable[int], say: Callable[[str], None]) -> None:
    for run in _rows(run_ids):
        if run.status == Status.RUNNING:
            say(_("%(account)s: waiting for the sync that is under way") % {"account": run.account})
        else:
            say(_("%(account)s: reading the exchange") % {"account": run.account})


@contextmanager
def _closed_if_interrupted(run_ids: Iterable[int]) -> Iterator[None]:
    """Close what was begun inside when Ctrl-C ends it: nobody else would before its lease lapses.

    What was not begun stays queued, and a worker takes it.
    """
    elsewhere = set(_running(run_ids).values_list("pk", "fence"))
    try:
        yield
    except BaseException:
        for run in _running(run_ids).select_related("account"):
            if (run.pk, run.fence) not in elsewhere:
                with suppress(LeaseLost), transaction.atomic():
                    close_run(run, Status.FAILED, _("Interrupted at the command line."))
        raise


def _running(run_ids: Iterable[int]) -> QuerySet[SyncRun]:
    return SyncRun.objects.filter(pk__in=run_ids, status=Status.RUNNING)


def exit_code(runs: Sequence[SyncRun]) -> int:
    """2 if a run failed or is partial, else 1 if a difference of at least a warning is open, else 0."""
    if any(run.status != Status.SUCCEEDED for run in runs):
        return 2
    differs = Discrepancy.objects.filter(
        account__in=[run.account_id for run in runs],
        state=Discrepancy.State.OPEN,
        severity__in=WARNING_AND_ABOVE,
    )
    return 1 if differs.exists() else 0
