"""What people decided, what they may decide, and what that changes, as a page shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from portfolios.amounts import plain
from portfolios.models import Decision, Discrepancy, ExchangeAccount, LedgerEntry
from portfolios.selectors.listing import (
    ALL,
    Listing,
    Query,
    account_facet,
    facet,
    is_key,
    one_page,
    search,
)
from portfolios.services.claims import possible_owners
from portfolios.services.decisions import Change, Changes, changes_of
from portfolios.services.decisions.amounts import open_residuals
from portfolios.services.decisions.flows import left_of_entries

Kind = Decision.Kind
Word = str | Promise
Value = Word | Decimal | datetime
# Of so many it is looked whether something is left to give away.
NEWEST_FLOWS: Final = 5
_OF_AMOUNTS: Final = (Discrepancy.Code.BALANCE_SHORT, Discrepancy.Code.BALANCE_SURPLUS)
_ORDER, _DISCREPANCY, _BOOKS = (
    f"portfolios.change_{name}" for name in ("order", "discrepancy", "portfolio")
)
# Who may decide what; a decision is taken back by whoever may make it.
PERMISSIONS: Final[Mapping[str, str]] = {
    Kind.CLAIM_ORDER: _ORDER,
    Kind.RELEASE_ORDER: _ORDER,
    Kind.MATCH_ORDER: _DISCREPANCY,
    Kind.ACCEPT_LAPSE: _DISCREPANCY,
    Kind.ACCEPT_BUST: _BOOKS,
    Kind.ASSIGN_FLOW: _BOOKS,
    Kind.ADJUST: _BOOKS,
    Kind.REBASELINE: _BOOKS,
    Kind.ACCEPT_OPENING: _BOOKS,
    Kind.DISMISS: _DISCREPANCY,
    Kind.ACKNOWLEDGE: _DISCREPANCY,
    Kind.REOPEN: _DISCREPANCY,
}
# What each does, in one sentence.
SENTENCES: Final[Mapping[str, Word]] = {
    Kind.CLAIM_ORDER: _(
        "The order and all that was booked for it become the portfolio's. What it had filled before the account's "
        "baseline stays in the unassigned part."
    ),
    Kind.RELEASE_ORDER: _(
        "The order and all that was booked for it go back to the unassigned part."
    ),
    Kind.MATCH_ORDER: _(
        "The order that was sent is taken for this one of the exchange: they become one order of the portfolio."
    ),
    Kind.ACCEPT_LAPSE: _(
        "The order ends as lapsed with what it has filled, and what its rest reserved is available again. If the "
        "exchange tells of it later after all, its word counts."
    ),
    Kind.ACCEPT_BUST: _(
        "The fill is taken back by one of the opposite amounts: its order is filled by what is left, and what was "
        "booked and gained of it is taken back. What the order said before stays among its versions."
    ),
    Kind.ASSIGN_FLOW: _(
        "What the movement brought or took goes from the unassigned part to portfolios. What you do not give away "
        "stays there."
    ),
    Kind.ADJUST: _(
        "The books are changed by an amount that no record of the exchange explains, for the reason that you give."
    ),
    Kind.REBASELINE: _(
        "The books take over what the exchange holds: the difference goes to the unassigned part, and only what "
        "changes from then on is judged."
    ),
    Kind.ACCEPT_OPENING: _(
        "The portfolio is opened with what the exchange has for it, which is not what it was configured with."
    ),
    Kind.DISMISS: _(
        "It is no longer listed while it stays the same. If it changes, it comes back."
    ),
    Kind.ACKNOWLEDGE: _(
        "You know of it. It opens again when the time is over, or when it has grown."
    ),
    Kind.REOPEN: _("It counts as open again."),
    Kind.REVERSE: _("All that the decision did is taken back by further entries."),
}
_WORDS: Final[Mapping[str, Word]] = {
    "order": _("Order"),
    "position": _("Position"),
    "discrepancy": _("Discrepancy"),
    "portfolio": _("Portfolio"),
    "flow": _("Left of the movement"),
    "entry": _("Ledger entry"),
    "status": _("status"),
    "filled": _("filled"),
    "client_order_id": _("client id"),
    "opening_filled": _("filled before the books"),
    "amount": _("amount"),
    "reserved": _("reserved"),
    "available": _("available"),
    "cost": _("cost"),
    "opened": _("opened"),
    "unallocated": _("unallocated"),
    "net_size": _("net size"),
    "state": _("state"),
    "acknowledged_until": _("acknowledged until"),
    "unassigned": _("unassigned"),
}
# Tables, and fields of others, whose values are amounts.
_OF_NUMBERS: Final = ("position", "flow", "entry")
_NUMBERS: Final = ("filled", "opening_filled", "unallocated", "net_size")


@dataclass(frozen=True, slots=True)
class ShownChange:
    table: Word
    row: str
    field: Word
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class ShownAmounts:
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class ShownBalance:
    """What is held of one asset, before and after: by the portfolios, by nobody, and by the account."""

    asset: str
    portfolios: ShownAmounts
    unassigned: ShownAmounts
    total: ShownAmounts


@dataclass(frozen=True, slots=True)
class ShownChanges:
    rows: tuple[ShownChange, ...]
    balances: tuple[ShownBalance, ...]


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """One decision in a list; `may_reverse` is for whoever looks at it."""

    decision: Decision
    subject: str
    changes: ShownChanges
    may_reverse: bool


@dataclass(frozen=True, slots=True)
class DecisionsPage:
    listing: Listing[Decision]
    rows: tuple[ShownDecision, ...]


def may_decide(user: AbstractUser | AnonymousUser, decision: Decision | str) -> bool:
    """Whether `user` may make decisions of a kind, or take this one back."""
    kind = decision.kind if isinstance(decision, Decision) else decision
    return kind in PERMISSIONS and user.has_perm(PERMISSIONS[kind])


def shown_changes(changes: Changes) -> ShownChanges:
    by_asset: dict[str, dict[str, ShownAmounts]] = {}
    for change in changes.balances:
        amounts = ShownAmounts(Decimal(change.before or 0), Decimal(change.after or 0))
        by_asset.setdefault(change.row, {})[change.field] = amounts
    return ShownChanges(
        rows=tuple(map(_shown, changes.rows)),
        balances=tuple(ShownBalance(asset, **parts) for asset, parts in by_asset.items()),
    )


def _shown(change: Change) -> ShownChange:
    word = _WORDS.get(change.field, change.field)
    if change.table == "entry":
        word = LedgerEntry.Cause(change.field).label
    return ShownChange(
        _WORDS.get(change.table, change.table),
        _in_words(change.row),
        word,
        *(_value(change, value) for value in (change.before, change.after)),
    )


def _in_words(name: str) -> str:
    """Say the code of a discrepancy in words, where a name begins with one."""
    code, _space, what = name.partition(" ")
    if code in Discrepancy.Code.values:
        return f"{Discrepancy.Code(code).label} {what}".strip()
    return name


def _value(change: Change, value: str | None) -> Value:
    if not value:
        return "—"
    if change.table in _OF_NUMBERS or change.field in _NUMBERS:
        return Decimal(value)
    if change.field == "acknowledged_until":
        return datetime.fromisoformat(value)
    if change.table == "discrepancy" and value in Discrepancy.State.values:
        return Discrepancy.State(value).label
    return _WORDS.get(value, value)


def decisions_page(query: Query, user: AbstractUser | AnonymousUser) -> DecisionsPage:
    listing = decisions_listing(query)
    return DecisionsPage(listing, shown_decisions(listing.rows, user))


def decisions_listing(query: Query) -> Listing[Decision]:
    account = account_facet(query)
    kind = facet(query, "kind", _("What"), (ALL, *Kind.choices))
    words = search(query)
    rows = _with_their_names(Decision.objects.all())
    if account.chosen:
        rows = rows.filter(account=int(account.chosen))
    if kind.chosen:
        rows = rows.filter(kind=kind.chosen)
    if words:
        is_named = Q(subject__icontains=words) | Q(actor_name__icontains=words)
        rows = rows.filter(is_named | Q(reason__icontains=words))
    return one_page(rows, query, (account, kind), searched=words)


def newest_decisions(
    decisions: QuerySet[Decision], user: AbstractUser | AnonymousUser, count: int
) -> tuple[ShownDecision, ...]:
    return shown_decisions(_with_their_names(decisions)[:count], user)


def _with_their_names(decisions: QuerySet[Decision]) -> QuerySet[Decision]:
    return decisions.select_related("account", "reversed_by", "reverses")


def shown_decisions(
    decisions: Iterable[Decision], user: AbstractUser | AnonymousUser
) -> tuple[ShownDecision, ...]:
    return tuple(
        ShownDecision(
            decision,
            _in_words(decision.subject),
            shown_changes(changes_of(decision.changes)),
            not hasattr(decision, "reversed_by") and may_decide(user, decision),
        )
        for decision in decisions
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """A decision that can be made now, and what its page is opened with."""

    kind: Decision.Kind
    word: Word
    given: dict[str, object]


def discrepancy_offers(discrepancy: Discrepancy) -> list[Offer]:
    """List what can be decided about a discrepancy; lapses and matches have places of their own."""
    named: dict[str, object] = {"discrepancy": discrepancy.pk}
    if not discrepancy.is_live:
        is_closed = discrepancy.state == Discrepancy.State.DISMISSED
        return [Offer(Kind.REOPEN, Kind.REOPEN.label, named)] if is_closed else []
    offers = [
        Offer(kind, kind.label, named)
        for kind in (Kind.ACKNOWLEDGE, Kind.DISMISS)
        if discrepancy.state != Discrepancy.State.ACKNOWLEDGED
    ]
    if discrepancy.state == Discrepancy.State.ACKNOWLEDGED:
        offers = [Offer(kind, kind.label, named) for kind in (Kind.REOPEN, Kind.DISMISS)]
    if discrepancy.code in _OF_AMOUNTS:
        offers += _offers_of_amounts(discrepancy)
    order = discrepancy.order
    if order is not None and order.portfolio_id is not None and not order.book_values:
        offers.append(Offer(Kind.RELEASE_ORDER, Kind.RELEASE_ORDER.label, {"order": order.pk}))
    return offers


def _offers_of_amounts(discrepancy: Discrepancy) -> list[Offer]:
    """Offer what levels the difference, with its amount while that is settled: the person may enter another."""
    asset = discrepancy.asset
    residual = open_residuals(discrepancy.account).get(asset)
    adjust: dict[str, object] = {"asset": asset}
    if residual is None:
        return [Offer(Kind.ADJUST, Kind.ADJUST.label, adjust)]
    return [
        Offer(Kind.ADJUST, Kind.ADJUST.label, adjust | {"amount": plain(residual)}),
        Offer(Kind.REBASELINE, Kind.REBASELINE.label, {"assets": asset}),
    ]


def account_offers(account: ExchangeAccount) -> list[Offer]:
    """List what can be decided about an account as a whole; about one order, at that order."""
    offers = [Offer(Kind.ADJUST, Kind.ADJUST.label, {})]
    if open_residuals(account):
        offers.append(Offer(Kind.REBASELINE, Kind.REBASELINE.label, {}))
    for portfolio in possible_owners(account).filter(initialized=False):
        word = format_lazy("{}: {}", Kind.ACCEPT_OPENING.label, portfolio.name)
        offers.append(Offer(Kind.ACCEPT_OPENING, word, {"portfolio": portfolio.pk}))
    return [*offers, *_offers_of_flows(account)]


def _offers_of_flows(account: ExchangeAccount) -> Iterator[Offer]:
    """Offer to give away what the newest flows brought or took, where something is left of it."""
    booked = account.flows.filter(Exists(LedgerEntry.objects.filter(flow=OuterRef("pk"))))
    newest = booked.order_by("-pk").values("pk")[:NEWEST_FLOWS]
    entries: defaultdict[int | None, list[LedgerEntry]] = defaultdict(list)
    for entry in LedgerEntry.objects.filter(flow__in=newest).order_by("-flow", "pk"):
        entries[entry.flow_id].append(entry)
    for flow_id, rows in entries.items():
        left = {asset: amount for asset, amount in left_of_entries(rows).items() if amount}
        if left:
            amounts = ", ".join(f"{plain(amount)} {asset}" for asset, amount in left.items())
            word = format_lazy("{}: {}", Kind.ASSIGN_FLOW.label, amounts)
            yield Offer(Kind.ASSIGN_FLOW, word, {"flow": flow_id})


def decision_subjects(account: ExchangeAccount, named: Mapping[str, str]) -> dict[str, Model]:
    """Find the rows that a decision is about; what is named wrongly is not there."""
    tables: dict[str, QuerySet[Any]] = {
        "discrepancy": account.discrepancies.select_related("order"),
        "order": account.orders.all(),
        "candidate": account.orders.all(),
        "flow": account.flows.prefetch_related("ledger_entries"),
        "decision": account.decisions.all(),
    }
    found = {
        name: tables[name].filter(pk=pk).first()
        for name, pk in named.items()
        if name in tables and is_key(pk)
    }
    return {name: row for name, row in found.items() if row is not None}
