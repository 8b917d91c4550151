"""How often exceptions happened lately, hour by hour or day by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDay, TruncHour
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import Incident, Occurrence
from portfolios.selectors.listing import Facet, Query
from portfolios.selectors.sorting import arrangement

Group = tuple[str, str | None]
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time up to now, in slots that begin with whole hours or days of UTC."""

    word: str | Promise
    slots: int
    each: timedelta
    truncated: type[TruncHour | TruncDay]

    def starts(self, now: datetime) -> list[datetime]:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        current = midnight if self.each == _DAY else midnight + _HOUR * now.astimezone(UTC).hour
        return [current - self.each * back for back in reversed(range(self.slots))]


SPANS: Final[Mapping[str, Span]] = {
    "day": Span(_("Last 24 h"), 24, _HOUR, TruncHour),
    "fortnight": Span(_("Last 14 days"), 14, _DAY, TruncDay),
}


@dataclass(frozen=True, slots=True)
class Bars:
    """Counts by slot of a span, the newest last."""

    word: str | Promise
    counts: tuple[int, ...]


def span_facet(query: Query) -> Facet:
    return arrangement(query, "bars", _("Bars"), {name: one.word for name, one in SPANS.items()})


def no_bars(span: str) -> Bars:
    return Bars(SPANS[span].word, (0,) * SPANS[span].slots)


def bars_by_group(incidents: QuerySet[Incident], span: str, now: datetime) -> dict[Group, Bars]:
    """Count the occurrences of each fingerprint and market; those that have none are left out."""
    by_group = ("incident__fingerprint", "incident__account__market")
    occurrences = Occurrence.objects.filter(incident__in=incidents)
    counts: dict[Group, dict[datetime, int]] = defaultdict(dict)
    for row in _counted(occurrences, SPANS[span], now, *by_group):
        counts[row[by_group[0]], row[by_group[1]]][row["slot"]] = row["number"]
    return {group: _bars(found, SPANS[span], now) for group, found in counts.items()}


def bars_of(incident: Incident, now: datetime) -> list[Bars]:
    """Count the occurrences of one incident, for every span."""
    occurrences = incident.occurrences.all()
    return [
        _bars({row["slot"]: row["number"] for row in _counted(occurrences, span, now)}, span, now)
        for span in SPANS.values()
    ]


def _counted(
    occurrences: QuerySet[Occurrence], span: Span, now: datetime, *by: str
) -> QuerySet[Any, Any]:
    lately = occurrences.filter(occurred_at__gte=span.starts(now)[0]).order_by()
    slots = lately.annotate(slot=span.truncated("occurred_at", tzinfo=UTC))
    counted: QuerySet[Any, Any] = slots.values("slot", *by).annotate(number=Count("pk"))
    return counted


def _bars(counts: Mapping[datetime, int], span: Span, now: datetime) -> Bars:
    return Bars(span.word, tuple(counts.get(start, 0) for start in span.starts(now)))
