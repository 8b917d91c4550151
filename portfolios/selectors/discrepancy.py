from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.functional import Promise

from portfolios.amounts import plain, ratio_of
from portfolios.models import Decision, Discrepancy, DiscrepancyEvent, Order
from portfolios.selectors.discrepancy_advice import discrepancy_advice
from portfolios.selectors.discrepancy_evidence import Evidence, evidence_of
from portfolios.selectors.discrepancy_trend import Trend, trend_of
from portfolios.selectors.discrepancy_words import what_is_wrong
from portfolios.services.claims import unacked_match
from portfolios.services.lapses import proposes_lapse, released_by_lapse
from portfolios.services.undone_fills import proposes_undoing

MAX_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Lapse:
    """What taking an order as lapsed makes available again."""

    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """What was said last of the balance; None is not judged, never zero."""

    verdict: str
    low: Decimal | None
    high: Decimal | None
    tolerance: Decimal | None

    @property
    def is_wide(self) -> bool:
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class DiscrepancyPage:
    """One discrepancy, and what a person may decide about it.

    Parameters
    ----------
    lapse : Lapse or None
        None unless the discrepancy proposes that its order has lapsed.
    match : Order or None
        The order of the exchange that an unacknowledged one can only be.
    events : list of DiscrepancyEvent
        The newest `MAX_EVENTS` turns of its life, newest first.
    verdict : LastVerdict or None
        What was said last of the balance that it is about; None if it is about none.
    is_decided_since : bool
        Whether a decision has booked the asset since the last look, which knows nothing of that.
    """

    discrepancy: Discrepancy
    is_bust: bool
    lapse: Lapse | None
    match: Order | None
    events: list[DiscrepancyEvent]
    verdict: LastVerdict | None
    is_decided_since: bool
    trend: Trend
    evidence: list[Evidence]

    @property
    def sentence(self) -> str:
        return what_is_wrong(self.discrepancy)

    @property
    def advice(self) -> Promise:
        return discrepancy_advice(self.discrepancy.code)

    @property
    def has_amounts(self) -> bool:
        found = self.discrepancy
        return any(part is not None for part in (found.book, found.exchange, found.difference))

    @property
    def share(self) -> str:
        """Say how many percent of the book the difference is, to two digits; empty where that means nothing."""
        book, amount = self.discrepancy.book, self.discrepancy.difference
        if not book or not amount:
            return ""
        percent = ratio_of(Decimal(100), amount.copy_abs(), book.copy_abs())
        return plain(round(percent, 1 - percent.adjusted())) if percent else ""

    @property
    def is_wide(self) -> bool:
        """Whether the looks so far leave more than one amount possible."""
        return self.discrepancy.low != self.discrepancy.high


def discrepancies_to_show() -> QuerySet[Discrepancy]:
    """Read each with all that its page names, and as `is_decided` whether it was decided on since the last look."""
    later = Decision.objects.filter(account=OuterRef("account"), at__gt=OuterRef("last_seen"))
    booked = Exists(later.filter(ledger_entries__asset=OuterRef("asset")))
    rows = Discrepancy.objects.select_related("account", "portfolio", "order__account")
    return rows.annotate(is_decided=booked)


def discrepancy_page(discrepancy: Discrepancy) -> DiscrepancyPage:
    """Assemble the page of one of `discrepancies_to_show`."""
    order, is_live = discrepancy.order, discrepancy.is_live
    is_unacked = is_live and discrepancy.code == Discrepancy.Code.ORDER_UNACKED
    is_decided = is_live and bool(discrepancy.asset) and getattr(discrepancy, "is_decided", False)
    events = list(discrepancy.events.select_related("decision").order_by("-pk")[:MAX_EVENTS])
    trend = trend_of(discrepancy, events)
    return DiscrepancyPage(
        discrepancy=discrepancy,
        is_bust=proposes_undoing(discrepancy),
        lapse=Lapse(*released_by_lapse(order)) if order and proposes_lapse(discrepancy) else None,
        match=unacked_match(order) if order and is_unacked else None,
        events=events,
        verdict=_verdict(discrepancy, trend),
        is_decided_since=is_decided,
        trend=trend,
        evidence=evidence_of(discrepancy, trend, events),
    )


def _verdict(found: Discrepancy, trend: Trend) -> LastVerdict | None:
    """Take it from the last settled look, which is read anyway; where there is none, from the balance."""
    if trend.looks:
        look = trend.looks[0]
        return LastVerdict(look.verdict, look.low, look.high, look.tolerance)
    if not (found.wallet and found.asset):
        return None
    said = found.account.balances.filter(wallet=found.wallet, asset=found.asset).first()
    if said is None:
        return None
    return LastVerdict(said.verdict, said.residual_low, said.residual_high, said.tolerance)
