"""Who did what: decisions, changes in the admin, syncs that somebody asked for, and all else that people do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.db.models import BigIntegerField, Case, CharField, F, Q, QuerySet, Value, When
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import AuditEvent, Decision, ExchangeAccount, SyncRun
from portfolios.selectors.listing import (
    ALL,
    Facet,
    Listing,
    Option,
    Query,
    account_facet,
    facet,
    one_page,
    search,
)
from portfolios.selectors.report import Row, time_text
from portfolios.selectors.told import told

Word = str | Promise
# The columns that all four tables have in common.
COLUMNS: Final = tuple(
    f"t_{name}" for name in ("source", "key", "at", "actor", "what", "about", "account", "detail")
)
DECISION, ADMIN, SYNC, EVENT = "decision", "admin", "sync", "event"
_ADMIN_CODES: Final = {str(ADDITION): "added", str(CHANGE): "changed", str(DELETION): "deleted"}
_ADMIN_WORDS: Final[Mapping[str, Word]] = {
    str(ADDITION): _("Added in the administration"),
    str(CHANGE): _("Changed in the administration"),
    str(DELETION): _("Deleted in the administration"),
}
_WORDS: Final[Mapping[str, Mapping[str, Word]]] = {
    DECISION: dict(Decision.Kind.choices),
    SYNC: dict(SyncRun.Trigger.choices),
    EVENT: dict(AuditEvent.Kind.choices),
    ADMIN: _ADMIN_WORDS,
}
_PERIODS: Final[Mapping[str, timedelta]] = {
    "1": timedelta(days=1),
    "7": timedelta(days=7),
    "30": timedelta(days=30),
}
# Beyond it, choosing from a list is no help: the search finds a name.
_MOST_PEOPLE: Final = 100


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that somebody did.

    Parameters
    ----------
    actor : str
        Empty where nobody was signed in, as at a failed sign-in.
    about : str
        Empty if it is the account itself.
    """

    at: datetime
    actor: str
    what: Word
    about: str
    account: str
    account_url: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    listing: Listing[Any]
    rows: tuple[AuditRow, ...]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What of the trail is wanted; empty for all."""

    kind: str = ""
    actor: str = ""
    account: str = ""
    since: datetime | None = None
    words: str = ""


def audit_page(query: Query, now: datetime) -> AuditPage:
    listing = audit_listing(query, now)
    return AuditPage(listing, tuple(_shown(listing.rows)))


def audit_listing(query: Query, now: datetime) -> Listing[Any]:
    facets = (_kinds(query), _people(query), account_facet(query), _periods(query))
    kind, person, account, period = (row.chosen for row in facets)
    words = search(query)
    since = now - _PERIODS[period] if period else None
    trail = audit_trail(Narrowing(kind, person, account, since, words))
    return one_page(trail, query, facets, searched=words)


def audit_trail(wanted: Narrowing) -> QuerySet[Any]:
    """Put the four tables under one another, the newest first."""
    # PostgreSQL takes the types of the columns from the first table, so that is one that has them all.
    first, *others = (_narrowed(rows, wanted).values(*COLUMNS) for rows in _tables(wanted.kind))
    return first.union(*others, all=True).order_by("-t_at", "-t_key")


def audit_rows(trail: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Give rows of an `audit_trail` as plain values."""
    labels = dict(ExchangeAccount.objects.values_list("pk", "label"))
    for row in trail:
        yield {
            "at": time_text(row["t_at"]),
            "by": row["t_actor"] or None,
            "source": row["t_source"],
            "what": _ADMIN_CODES.get(row["t_what"], row["t_what"]),
            "about": row["t_about"] or None,
            "account": labels.get(row["t_account"]),
            "detail": _detail(row) or None,
        }


def _tables(kind: str) -> Iterator[QuerySet[Any]]:
    """Bring each table into the same columns; of one that is not wanted, no row."""
    source, _sep, value = kind.partition("-")
    tables = {DECISION: _decisions, SYNC: _syncs, EVENT: _events, ADMIN: _admin_changes}
    for name, rows in tables.items():
        if source not in ("", name):
            # `none()` would take the table, and with it its types, out of the union.
            yield rows().filter(pk__lt=0)
        else:
            yield rows().filter(t_what=value) if value else rows()


def _decisions() -> QuerySet[Any]:
    return Decision.objects.order_by().annotate(
        t_source=_text(DECISION),
        t_key=F("pk"),
        t_at=F("at"),
        t_actor=F("actor_name"),
        t_what=F("kind"),
        t_about=F("subject"),
        t_account=F("account_id"),
        t_detail=F("reason"),
    )


def _syncs() -> QuerySet[Any]:
    # Those that a program started are events, which name its token.
    asked_for = SyncRun.objects.order_by().exclude(requested_by=None)
    asked_for = asked_for.exclude(trigger=SyncRun.Trigger.API)
    return asked_for.annotate(
        t_source=_text(SYNC),
        t_key=F("pk"),
        t_at=F("queued_at"),
        t_actor=F("requested_by__username"),
        t_what=F("trigger"),
        t_about=F("account__label"),
        t_account=F("account_id"),
        t_detail=F("status"),
    )


def _events() -> QuerySet[Any]:
    return AuditEvent.objects.order_by().annotate(
        t_source=_text(EVENT),
        t_key=F("pk"),
        t_at=F("at"),
        t_actor=F("actor_name"),
        t_what=F("kind"),
        t_about=F("subject"),
        t_account=F("account_id"),
        t_detail=F("detail"),
    )


def _admin_changes() -> QuerySet[Any]:
    is_account = Q(
        content_type__app_label="portfolios",
        content_type__model="exchangeaccount",
        object_id__regex=r"^[0-9]{1,18}$",
    )
    return LogEntry.objects.order_by().annotate(
        t_source=_text(ADMIN),
        t_key=F("pk"),
        t_at=F("action_time"),
        t_actor=F("user__username"),
        t_what=Cast("action_flag", CharField(max_length=16)),
        t_about=F("object_repr"),
        # Only of an account itself: what else is changed there names none.
        t_account=Case(When(is_account, then=Cast("object_id", BigIntegerField())), default=None),
        t_detail=F("change_message"),
    )


def _text(value: str) -> Value:
    return Value(value, output_field=CharField())


def _narrowed(rows: QuerySet[Any], wanted: Narrowing) -> QuerySet[Any]:
    if wanted.actor:
        rows = rows.filter(t_actor=wanted.actor)
    if wanted.account:
        rows = rows.filter(t_account=int(wanted.account))
    if wanted.since:
        rows = rows.filter(t_at__gte=wanted.since)
    if wanted.words:
        found = (
            Q(**{f"t_{name}__icontains": wanted.words}) for name in ("actor", "about", "detail")
        )
        rows = rows.filter(reduce(or_, found))
    return rows


def _shown(rows: Iterable[Mapping[str, Any]]) -> Iterator[AuditRow]:
    page = list(rows)
    keys = {row["t_account"] for row in page} - {None}
    labels = dict(ExchangeAccount.objects.filter(pk__in=keys).values_list("pk", "label"))
    for row in page:
        account = labels.get(row["t_account"], "")
        yield AuditRow(
            at=row["t_at"],
            actor=row["t_actor"] or "",
            what=_WORDS[row["t_source"]].get(row["t_what"], row["t_what"]),
            about=_about(row) if row["t_about"] != account else "",
            account=account,
            account_url=reverse("account", args=[row["t_account"]]) if account else "",
            detail=_detail(row),
        )


def _about(row: Mapping[str, Any]) -> str:
    """Name what it is about; of a decision it is a sentence of ours, of all else somebody's name."""
    return told(row["t_about"]) if row["t_source"] == DECISION else str(row["t_about"])


def _detail(row: Mapping[str, Any]) -> str:
    """Say more of it: of a change in the admin, which fields it was, never their values."""
    if row["t_source"] == ADMIN:
        return str(LogEntry(change_message=row["t_detail"]).get_change_message())
    if row["t_source"] == SYNC:
        return str(SyncRun.Status(row["t_detail"]).label)
    return str(row["t_detail"])


def _kinds(query: Query) -> Facet:
    kinds: list[Option] = [
        ALL,
        (DECISION, _("Decisions")),
        (SYNC, _("Syncs by hand")),
        (ADMIN, _("Changes in the administration")),
        *((f"{EVENT}-{value}", word) for value, word in AuditEvent.Kind.choices),
    ]
    return facet(query, "kind", _("What"), kinds)


def _people(query: Query) -> Facet:
    users = get_user_model().objects.order_by("username").values_list("username", flat=True)
    return facet(query, "by", _("By"), (ALL, *((name, name) for name in users[:_MOST_PEOPLE])))


def _periods(query: Query) -> Facet:
    words = (_("Last day"), _("Last 7 days"), _("Last 30 days"))
    return facet(query, "period", _("When"), (ALL, *zip(_PERIODS, words, strict=True)))
