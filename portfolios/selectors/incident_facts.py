"""What is known of an exception just now, in one sentence with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.models import ExchangeAccount, Incident, Occurrence, StoredLeg
from portfolios.services.accounts import MOST_REJECTIONS

_READS: Final[Mapping[str, str | Promise]] = {
    "fetch.balances": gettext_lazy("balances"),
    "fetch.open_orders": gettext_lazy("open orders"),
    "fetch.trigger_orders": gettext_lazy("trigger orders"),
    "fetch.order": gettext_lazy("single orders"),
    "fetch.ended_orders": gettext_lazy("ended orders"),
    "fetch.fills": gettext_lazy("fills"),
    "fetch.account_fills": gettext_lazy("fills"),
    "fetch.flows": gettext_lazy("deposits, withdrawals and other movements"),
}

# So far back it is looked for a measure of the clock.
_RUNS: Final = 30


def incident_fact(incident: Incident, occurrence: Occurrence | None, now: datetime) -> str:
    """Tell what the exchange or the schedule says of it; empty if they say nothing."""
    fact = _FACTS.get(incident.category)
    if fact is None or incident.account is None:
        return ""
    return fact(incident, incident.account, occurrence, now)


def _clock(
    _incident: Incident, account: ExchangeAccount, occurrence: Occurrence | None, now: datetime
) -> str:
    """Tell how far the clocks were apart: as the failed run measured, or the last one before it that did."""
    runs = account.runs.order_by("-pk")
    if occurrence is not None and occurrence.run_id is not None:
        runs = runs.filter(pk__lte=occurrence.run_id)
    legs = StoredLeg.objects.filter(run__in=runs[:_RUNS]).exclude(clock_offset=0)
    offset = legs.order_by("-pk").values_list("clock_offset", flat=True).first()
    if offset is None:
        return ""
    words = (
        _("The clock of the exchange was %(seconds)s s ahead of this machine's.")
        if offset > 0
        else _("The clock of the exchange was %(seconds)s s behind this machine's.")
    )
    return words % {"seconds": f"{abs(offset):.1f}"}


def _permission(
    incident: Incident, _account: ExchangeAccount, _occurrence: Occurrence | None, _now: datetime
) -> str:
    read = _READS.get(incident.operation)
    return _("The exchange refused to let this be read: %(what)s.") % {"what": read} if read else ""


def _rate(
    incident: Incident, account: ExchangeAccount, occurrence: Occurrence | None, now: datetime
) -> str:
    until = account.stay_away_until
    if until is None or until <= now:
        return _next_try(incident, account, occurrence, now)
    return _("The exchange asked not to be read until %(time)s.") % {"time": _written(until)}


def _auth(
    incident: Incident, account: ExchangeAccount, occurrence: Occurrence | None, now: datetime
) -> str:
    if account.rejections < MOST_REJECTIONS:
        return _next_try(incident, account, occurrence, now)
    return _(
        "The key was rejected %(number)s times, so the schedule leaves the account alone; Sync now tries it again."
    ) % {"number": account.rejections}


def _next_try(
    _incident: Incident, account: ExchangeAccount, _occurrence: Occurrence | None, now: datetime
) -> str:
    if account.paused:
        return _("The account is paused: nothing is tried again until it is resumed.")
    if account.next_sync_at is None or account.next_sync_at <= now:
        return _("The next try is due now.")
    return _("The next try is at %(time)s.") % {"time": _written(account.next_sync_at)}


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


_Fact = Callable[[Incident, ExchangeAccount, Occurrence | None, datetime], str]
_FACTS: Final[Mapping[str, _Fact]] = {
    "clock": _clock,
    "permission": _permission,
    "rate": _rate,
    "auth": _auth,
    "transport": _next_try,
    "maintenance": _next_try,
    "nonce": _next_try,
    "parse": _next_try,
}
