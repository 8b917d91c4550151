from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount, SyncRun

register = template.Library()

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Seconds: what a worker needs to notice and begin.
_AT_ONCE = 10


@register.filter
def age(moment: datetime | None, absent: str = "") -> SafeString:
    """Show how long ago `moment` was, or how far ahead it is; the exact time is its title."""
    if moment is None:
        return format_html('<span class="none">{}</span>', absent or _("never"))
    seconds = (timezone.now() - moment).total_seconds()
    if abs(seconds) < 1:
        return _time(moment, _("now"))
    words = _("%(span)s ago") if seconds > 0 else _("in %(span)s")
    return _time(moment, words % {"span": span(abs(seconds))})


@register.filter
def due(moment: datetime | None) -> SafeString:
    """Show when something comes, or since when it should have come."""
    if moment is None:
        return format_html("{}", _("at once"))
    seconds = (moment - timezone.now()).total_seconds()
    if abs(seconds) < _AT_ONCE:
        return _time(moment, _("due now"))
    words = _("in %(span)s") if seconds >= 0 else _("due for %(span)s")
    return _time(moment, words % {"span": span(abs(seconds))})


@register.filter
def since(moment: datetime | None) -> SafeString:
    """Show how long `moment` is past."""
    if moment is None:
        return format_html('<span class="none">{}</span>', "—")
    return _time(moment, span(max((timezone.now() - moment).total_seconds(), 0)))


@register.filter
def exactly(moment: datetime | None) -> SafeString:
    if moment is None:
        return format_html('<span class="none">{}</span>', "—")
    return _time(moment, _written(moment))


@register.filter
def rhythm(account: ExchangeAccount) -> str:
    """Say how often an account is synced."""
    if account.cron:
        return f"{account.cron} {account.time_zone}"
    return _("every %(span)s") % {"span": span(account.interval_seconds)}


@register.filter
def local_time(moment: datetime, zone: str) -> str:
    """Tell a time by the clocks of a zone, with what they are apart from UTC."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{date_format(local, 'D')} {local:%Y-%m-%d %H:%M %Z (UTC%z)}"


@register.filter
def took(run: SyncRun) -> timedelta | None:
    """Return how long a run's last attempt took; None if it is not over."""
    if run.started_at is None or run.finished_at is None:
        return None
    return run.finished_at - run.started_at


@register.filter
def duration(value: timedelta | None) -> str:
    return "—" if value is None else span(value.total_seconds())


@register.filter
def span(seconds: float) -> str:
    """Write a number of seconds in its largest unit, rounded down."""
    if seconds < 1:
        return _("%(number)s ms") % {"number": int(seconds * 1000)}
    if seconds < _MINUTE:
        return _("%(number)s s") % {"number": int(seconds)}
    if seconds < _HOUR:
        return _("%(number)s min") % {"number": int(seconds // _MINUTE)}
    if seconds < 2 * _DAY:
        return _("%(number)s h") % {"number": int(seconds // _HOUR)}
    return _("%(number)s days") % {"number": int(seconds // _DAY)}


def _time(moment: datetime, words: str) -> SafeString:
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        _written(moment),
        words,
    )


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
