"""What the booking of a trade changes of the costs of two positions, and what is gained."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from portfolios.amounts import ratio_of
from portfolios.models import LedgerEntry, Portfolio
from portfolios.reconciliation.booking import (
    Pending,
    Traded,
    cost_and_gain,
    is_undoing,
    opened_and_gained,
)
from portfolios.reconciliation.execution import OrderFacts
from portfolios.services.journal import Journal
from providers.reports import OrderSide

ZERO = Decimal(0)
# What was traded of the base, and what was paid of the quote.
_Both = tuple[LedgerEntry, LedgerEntry]


def traded_of(entries: Iterable[LedgerEntry], facts: OrderFacts) -> Traded:
    """Sum what was booked of an order in its base."""
    traded = Traded()
    for entry in entries:
        if entry.cause == LedgerEntry.Cause.EXECUTION and entry.asset == facts.base:
            traded = traded.with_more(entry.amount, entry.cost, entry.gain)
    return traded


def set_costs(
    portfolio: Portfolio,
    facts: OrderFacts,
    change: Pending,
    entries: _Both,
    booked: Traded,
    journal: Journal,
) -> None:
    """Set what the change adds to the portfolio's costs, all in its trading symbol, and its gain.

    Paid in another asset, nothing is gained yet: the cost of what is given away goes over to what is got for it, unless
    that was owed.
    """
    traded, paid = entries
    if facts.quote == portfolio.trading_symbol:
        lots = journal.lots((portfolio.pk, facts.base))
        traded.cost, traded.gain = cost_and_gain(facts, change, lots, booked)
    elif is_undoing(facts.side, change.base, booked):
        paid.cost = ratio_of(booked.cost, change.base.copy_negate(), booked.base)
        traded.cost = paid.cost.copy_negate()
    else:
        _pass_cost_on(facts, entries, journal)


def _pass_cost_on(facts: OrderFacts, entries: _Both, journal: Journal) -> None:
    traded, paid = entries
    given, got = (paid, traded) if facts.side is OrderSide.BUY else (traded, paid)
    cost = _cost_of_given(given, journal)
    given.cost = cost.copy_negate()
    got.cost, got.gain = _cost_of_got(got, cost, journal)


def _cost_of_given(given: LedgerEntry, journal: Journal) -> Decimal:
    if given.amount >= 0:
        return ZERO
    return journal.lots((given.portfolio_id, given.asset)).closing(given.amount).cost


def _cost_of_got(got: LedgerEntry, cost: Decimal, journal: Journal) -> tuple[Decimal, Decimal]:
    """Give what it costs, as what was given for it had, and what is gained if it had been owed."""
    if got.amount <= 0:
        return cost, ZERO
    return opened_and_gained(got.amount, cost, journal.lots((got.portfolio_id, got.asset)))
