"""How far an account was read, and what was not."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from portfolios.models import ExchangeAccount, Quarantine, ReadCursor, StoredLeg, SyncRun
from providers.reports import LegStatus

MAX_ROWS = 50
# A read that fails because the exchange has no such order is an answer.
_ANSWERED = Q(status=LegStatus.FAILED, error_category="not_found")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Parts of an account that were not read, or are not believed yet, and how far its lists were read.

    Parameters
    ----------
    run : SyncRun or None
        The last run that is over, which `holes` are of; None if there is none.
    holes : list of StoredLeg
        Reads that were not made, failed or are not complete; at most `MAX_ROWS`.
    cursors : list of ReadCursor
        Those that lie furthest back, at most `MAX_ROWS`.
    """

    run: SyncRun | None
    holes: list[StoredLeg]
    quarantines: list[Quarantine]
    cursors: list[ReadCursor]
    limit: int = MAX_ROWS


def account_coverage(
    account: ExchangeAccount, run: SyncRun | None, most: int | None = MAX_ROWS
) -> Coverage:
    """Gather what of the account is not read, at most `most` rows of a kind; None for all."""
    legs = StoredLeg.objects.filter(run=run) if run else StoredLeg.objects.none()
    holes = legs.exclude(status=LegStatus.OBSERVED, complete=True).exclude(_ANSWERED)
    cursors = account.cursors.order_by("covered_until", "kind", "subject")
    return Coverage(
        run=run,
        holes=list(holes[:most]),
        quarantines=list(account.quarantines.order_by("kind", "subject")),
        cursors=list(cursors[:most]),
    )


def last_coverage(account: ExchangeAccount) -> Coverage:
    """Gather all that the last run which is over did not read."""
    over = account.runs.filter(finished_at__isnull=False).order_by("-pk").first()
    return account_coverage(account, over, most=None)
