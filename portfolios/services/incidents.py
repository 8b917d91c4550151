"""The exception history: every error of a sync, grouped by where it comes from."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portfolios.models import ExchangeAccount, Incident, Occurrence, SyncRun
from portfolios.services.audit import Kind, record
from providers.redaction import MAX_KIND, fingerprint, one_line
from providers.reports import LegError

# A provider of a user's own may hand over words of any length.
MAX_CATEGORY: Final = 20
MAX_SUBJECT: Final = 128
State = Incident.State
_DEEDS: Final = {
    State.RESOLVED: Kind.RESOLVE,
    State.MUTED: Kind.MUTE,
    State.UNRESOLVED: Kind.UNMUTE,
}


def record_incident(
    account: ExchangeAccount,
    error: LegError,
    operation: str,
    *,
    run: SyncRun | None,
    subject: str = "",
) -> Incident:
    """Add one occurrence to the group of its kind.

    A resolved group that occurs again has regressed; one whose time of being muted is over alarms again.
    """
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
        _alarm_again(incident, now)
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


def _alarm_again(incident: Incident, now: datetime) -> None:
    """Bring the state to what it is when the incident happens `now`; nothing is saved."""
    if incident.state == State.RESOLVED:
        incident.state = State.REGRESSED
    is_over = incident.muted_until is not None and incident.muted_until <= now
    if incident.state == State.MUTED and is_over:
        incident.state, incident.muted_until = State.UNRESOLVED, None


def alike(incident: Incident) -> QuerySet[Incident]:
    """Find the same exception on every account of its market, `incident` among them."""
    rows = Incident.objects.filter(fingerprint=incident.fingerprint)
    if incident.account is None:
        return rows.filter(account=None)
    return rows.filter(account__market=incident.account.market)


def resolve_incidents(incidents: QuerySet[Incident], actor: AbstractBaseUser | None) -> None:
    """Take the groups as dealt with; each comes back as regressed when it happens again."""
    _act(incidents.exclude(state=State.RESOLVED), State.RESOLVED, None, actor)


def mute_incidents(
    incidents: QuerySet[Incident], until: datetime | None, actor: AbstractBaseUser | None
) -> None:
    """Let the groups count on without alarming anybody: until they happen after `until`, None for good.

    What is resolved stays so.
    """
    _act(incidents.exclude(state=State.RESOLVED), State.MUTED, until, actor)


def unmute_incidents(incidents: QuerySet[Incident], actor: AbstractBaseUser | None) -> None:
    _act(incidents.filter(state=State.MUTED), State.UNRESOLVED, None, actor)


@transaction.atomic
def _act(
    incidents: QuerySet[Incident],
    state: Incident.State,
    until: datetime | None,
    actor: AbstractBaseUser | None,
) -> None:
    for incident in incidents.select_related("account"):
        record(_DEEDS[state], by=actor, account=incident.account, subject=str(incident))
    incidents.update(
        state=state,
        muted_until=until,
        acted_by=actor.get_username()[:150] if actor is not None else "",
        acted_at=timezone.now(),
    )
