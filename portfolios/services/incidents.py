"""The exception history: every error of a sync, grouped by where it comes from."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.utils import timezone

from portfolios.models import ExchangeAccount, Incident, Occurrence, SyncRun
from providers.redaction import MAX_KIND, fingerprint, one_line
from providers.reports import LegError

# A provider of a user's own may hand over words of any length.
MAX_CATEGORY: Final = 20
MAX_SUBJECT: Final = 128


def record_incident(
    account: ExchangeAccount,
    error: LegError,
    operation: str,
    *,
    run: SyncRun | None,
    subject: str = "",
) -> Incident:
    """Add one occurrence to the group of its kind; a resolved group that occurs again has regressed."""
    now = timezone.now()
    message = one_line(error.message)
    with transaction.atomic():
        incident, _ = Incident.objects.select_for_update().get_or_create(
            account=account,
            fingerprint=fingerprint(error.category, error.kind, operation, error.trace),
            defaults={
                "category": error.category[:MAX_CATEGORY],
                "type": error.kind[:MAX_KIND],
                "operation": operation,
                "message": message,
                "first_seen": now,
                "last_seen": now,
            },
        )
        if incident.state == Incident.State.RESOLVED:
            incident.state = Incident.State.REGRESSED
        incident.count += 1
        incident.message, incident.last_seen = message, now
        incident.save()
        Occurrence.objects.create(
            incident=incident,
            run=run,
            subject=one_line(subject, MAX_SUBJECT),
            message=message,
            trace=error.trace,
            occurred_at=now,
        )
    return incident


def resolve_incident(incident: Incident) -> None:
    """Take the group as dealt with; it comes back as regressed when it happens again."""
    Incident.objects.filter(pk=incident.pk).update(state=Incident.State.RESOLVED)
