"""States in pages: always a drawing and a word, so that no colour has to be seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from django import template
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _

from portfolios.models import Discrepancy, Incident, MarketCredential, SyncRun
from portfolios.models.choices import AccountState, Health, Severity, Verdict
from portfolios.selectors.advice import category_word
from portfolios.services import lapses

register = template.Library()

# Drawn for a 16 x 16 box, in strokes.
DRAWINGS = {
    "check": '<path d="M3 8.5 6.5 12 13 4.5"/>',
    "cross": '<path d="M4 4l8 8M12 4l-8 8"/>',
    "alert": '<path d="M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.2"/>',
    "clock": '<circle cx="8" cy="8" r="6"/><path d="M8 4.5V8l2.5 1.8"/>',
    "pause": '<path d="M5.5 3.5v9M10.5 3.5v9"/>',
    "lock": '<rect x="3.5" y="7" width="9" height="6.5" rx="1"/><path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2"/>',
    "circle": '<circle cx="8" cy="8" r="5.5"/>',
    "half": '<circle cx="8" cy="8" r="5.5"/><path d="M8 2.5v11M8 5h4.4M8 8h5.4M8 11h4.4"/>',
    "busy": '<path d="M8 2a6 6 0 1 1-6 6"/>',
    "info": '<circle cx="8" cy="8" r="6"/><path d="M8 7.5v3.7M8 4.8v.2"/>',
    "eye": '<path d="M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8z"/><circle cx="8" cy="8" r="1.8"/>',
    "skip": '<path d="M3 8h10"/>',
    "differs": '<path d="M3 6h10M3 10h10M10.5 3l-5 10"/>',
    "question": '<path d="M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.7 8 9 8 10M8 12.2v.2"/>',
    "sync": '<path d="M13 5.5A5.5 5.5 0 0 0 3 6.5M3 10.5a5.5 5.5 0 0 0 10-1M13 2.5v3h-3M3 13.5v-3h3"/>',
    "theme": '<circle cx="8" cy="8" r="6"/><path d="M8 2v12M8 2a6 6 0 0 1 0 12" class="fill"/>',
    "mute": '<path d="M2 6h2.5L8 3v10L4.5 10H2zM10.5 6l4 4M14.5 6l-4 4"/>',
    "arrow": '<path d="M3 8h9M8.5 4.5 12 8l-3.5 3.5"/>',
}


@dataclass(frozen=True, slots=True)
class Look:
    tone: str
    drawing: str
    word: str | Promise


# By the stored value: no two states of different kinds share a value and differ in look.
LOOKS: dict[str, Look] = {
    # accounts
    Health.NEW: Look("muted", "circle", Health.NEW.label),
    Health.OK: Look("good", "check", Health.OK.label),
    Health.LATE: Look("warn", "clock", Health.LATE.label),
    Health.FAILING: Look("bad", "cross", Health.FAILING.label),
    Health.PAUSED: Look("muted", "pause", Health.PAUSED.label),
    Health.LOCKED: Look("bad", "lock", Health.LOCKED.label),
    Health.SUSPENDED: Look("bad", "lock", Health.SUSPENDED.label),
    AccountState.CREDENTIALS: Look("bad", "lock", AccountState.CREDENTIALS.label),
    AccountState.DIFFERS: Look("bad", "differs", AccountState.DIFFERS.label),
    AccountState.UNVERIFIED: Look("muted", "question", AccountState.UNVERIFIED.label),
    AccountState.AGREES: Look("good", "check", AccountState.AGREES.label),
    # runs
    SyncRun.Status.QUEUED: Look("busy", "clock", SyncRun.Status.QUEUED.label),
    SyncRun.Status.RUNNING: Look("busy", "busy", SyncRun.Status.RUNNING.label),
    SyncRun.Status.SUCCEEDED: Look("good", "check", SyncRun.Status.SUCCEEDED.label),
    SyncRun.Status.PARTIAL: Look("warn", "half", SyncRun.Status.PARTIAL.label),
    SyncRun.Status.FAILED: Look("bad", "cross", SyncRun.Status.FAILED.label),
    SyncRun.Status.LOST: Look("bad", "question", SyncRun.Status.LOST.label),
    "warnings": Look("warn", "alert", gettext_lazy("Done with warnings")),
    # legs
    "OBSERVED": Look("good", "check", pgettext_lazy("done", "Read")),
    "FAILED": Look("bad", "cross", gettext_lazy("Failed")),
    "UNSUPPORTED": Look("muted", "skip", gettext_lazy("Not offered by the exchange")),
    "SKIPPED": Look("muted", "skip", gettext_lazy("Skipped")),
    # verdicts
    Verdict.VERIFIED: Look("good", "check", Verdict.VERIFIED.label),
    Verdict.CONSISTENT: Look("info", "half", Verdict.CONSISTENT.label),
    Verdict.PROVISIONAL: Look("muted", "clock", Verdict.PROVISIONAL.label),
    Verdict.DIFFERS: Look("bad", "differs", Verdict.DIFFERS.label),
    Verdict.NOT_VERIFIABLE: Look("muted", "question", Verdict.NOT_VERIFIABLE.label),
    # discrepancies
    Discrepancy.State.SUSPECTED: Look("warn", "eye", Discrepancy.State.SUSPECTED.label),
    Discrepancy.State.OPEN: Look("bad", "alert", Discrepancy.State.OPEN.label),
    Discrepancy.State.ACKNOWLEDGED: Look("info", "check", Discrepancy.State.ACKNOWLEDGED.label),
    Discrepancy.State.RESOLVED: Look("good", "check", Discrepancy.State.RESOLVED.label),
    Discrepancy.State.DISMISSED: Look("muted", "skip", Discrepancy.State.DISMISSED.label),
    # severities
    Severity.INFO: Look("muted", "info", Severity.INFO.label),
    Severity.NOTICE: Look("info", "info", Severity.NOTICE.label),
    Severity.WARNING: Look("warn", "alert", Severity.WARNING.label),
    Severity.ERROR: Look("bad", "alert", Severity.ERROR.label),
    Severity.CRITICAL: Look("bad", "cross", Severity.CRITICAL.label),
    # incidents
    Incident.State.UNRESOLVED: Look("bad", "alert", Incident.State.UNRESOLVED.label),
    Incident.State.REGRESSED: Look("bad", "sync", Incident.State.REGRESSED.label),
    Incident.State.MUTED: Look("muted", "mute", Incident.State.MUTED.label),
    Incident.State.RESOLVED: Look("good", "check", Incident.State.RESOLVED.label),
    # credentials; a locked one looks like its account
    MarketCredential.State.UNTESTED: Look(
        "muted", "question", MarketCredential.State.UNTESTED.label
    ),
    MarketCredential.State.ACCEPTED: Look("good", "check", MarketCredential.State.ACCEPTED.label),
    MarketCredential.State.REJECTED: Look("bad", "cross", MarketCredential.State.REJECTED.label),
    "missing": Look("warn", "alert", gettext_lazy("Not set")),
    # orders
    "created": Look("muted", "circle", gettext_lazy("Created")),
    "open": Look("info", "circle", pgettext_lazy("order", "Open")),
    "closed": Look("good", "check", gettext_lazy("Closed")),
    "canceled": Look("muted", "cross", gettext_lazy("Canceled")),
    "expired": Look("muted", "clock", gettext_lazy("Expired")),
    "lapsed": Look("warn", "question", gettext_lazy("Lapsed")),
    # flows; a failed one looks like a failed run
    "pending": Look("warn", "clock", gettext_lazy("Pending")),
    "done": Look("good", "check", gettext_lazy("Done")),
    # workers
    "alive": Look("good", "check", gettext_lazy("Alive")),
    "silent": Look("bad", "alert", gettext_lazy("Silent")),
}
# What is no state: kinds of orders, of reads and of flows.
WORDS = {
    "buy": gettext_lazy("Buy"),
    "sell": gettext_lazy("Sell"),
    "limit": gettext_lazy("Limit"),
    "market": pgettext_lazy("order", "Market"),
    "stop": gettext_lazy("Stop"),
    "stop_limit": gettext_lazy("Stop limit"),
    "balances": gettext_lazy("Balances"),
    "open_orders": gettext_lazy("Open orders"),
    "trigger_orders": gettext_lazy("Trigger orders"),
    "order": gettext_lazy("Order"),
    "ended_orders": gettext_lazy("Ended orders"),
    "fills": gettext_lazy("Fills"),
    "account_fills": gettext_lazy("Fills of the account"),
    "flows": gettext_lazy("Flows"),
    "deposits": gettext_lazy("deposits"),
    "withdrawals": gettext_lazy("withdrawals"),
    "ledger": gettext_lazy("ledger"),
    "rewards": gettext_lazy("rewards"),
    "transfers": gettext_lazy("transfers between wallets"),
    "deposit": gettext_lazy("Deposit"),
    "withdrawal": gettext_lazy("Withdrawal"),
    "transfer": gettext_lazy("Transfer"),
    "reward": gettext_lazy("Reward"),
    "conversion": gettext_lazy("Conversion"),
    "other": gettext_lazy("Of unknown kind"),
}
_UNKNOWN = Look("muted", "question", gettext_lazy("Unknown"))

_BAR, _GAP, _HEIGHT = 5, 2, 20
# What went wrong stands taller, so that the strip can be read without its colours.
_BAR_HEIGHTS = {"succeeded": 10, "partial": 15, "failed": 20, "lost": 20}
_OPEN_BAR_HEIGHT = 5


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon icon-{}" viewBox="0 0 16 16" aria-hidden="true" focusable="false">{}</svg>',
        name,
        mark_safe(DRAWINGS[name]),  # noqa: S308 - a drawing of ours
    )


@register.filter
def word(value: str) -> str | Promise:
    return WORDS.get(value, value)


@register.filter
def proposes_lapse(discrepancy: Discrepancy) -> bool:
    return lapses.proposes_lapse(discrepancy)


@register.filter
def category(value: str) -> str | Promise:
    return category_word(value)


@register.simple_tag
def chip(value: str, count: int | None = None) -> SafeString:
    """Show a state as a drawing and a word, and how many are in it if `count` is given."""
    return _chip(value, count, get_language())


# What a page has many of, and draws from little.
@lru_cache(maxsize=1024)
def _chip(value: str, count: int | None, _language: str | None) -> SafeString:
    look = LOOKS.get(value, _UNKNOWN)
    number = "" if count is None else format_html('<span class="count">{}</span> ', count)
    return format_html(
        '<span class="chip tone-{}">{}<span>{}{}</span></span>',
        look.tone,
        icon(look.drawing),
        number,
        look.word,
    )


@register.simple_tag
def run_strip(statuses: Sequence[str], slots: int) -> SafeString:
    """Draw how runs ended as bars, the newest at the right; those of one status are one path, as a page has many."""
    return _strip(tuple(statuses), slots, get_language())


@lru_cache(maxsize=1024)
def _strip(statuses: tuple[str, ...], slots: int, _language: str | None) -> SafeString:
    if not statuses:
        return format_html('<span class="none">{}</span>', _("no run yet"))
    width = slots * (_BAR + _GAP)
    left = width - len(statuses) * (_BAR + _GAP)
    places: dict[str, list[int]] = defaultdict(list)
    for i, status in enumerate(statuses):
        places[status].append(left + i * (_BAR + _GAP))
    return format_html(
        '<svg class="strip" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>',
        width,
        _HEIGHT,
        width,
        _HEIGHT,
        _strip_in_words(statuses),
        format_html_join(
            "",
            '<path class="bar-{}" d="{}"/>',
            ((status, _bars(status, at)) for status, at in places.items()),
        ),
    )


def _bars(status: str, places: list[int]) -> str:
    height = _BAR_HEIGHTS.get(status, _OPEN_BAR_HEIGHT)
    return "".join(f"M{x} {_HEIGHT}v-{height}h{_BAR}v{height}z" for x in places)


def _strip_in_words(statuses: Sequence[str]) -> str:
    counts = Counter(statuses)
    parts = ", ".join(f"{count} {LOOKS[status].word}" for status, count in counts.most_common())
    return _("Last %(number)s runs: %(parts)s") % {"number": len(statuses), "parts": parts}
