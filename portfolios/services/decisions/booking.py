"""What a decision books."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from portfolios.models import Decision, ExchangeAccount, Flow, LedgerEntry, Portfolio
from portfolios.reconciliation.lots import Change, OpenLots
from portfolios.services.journal import append_entries

Cause = LedgerEntry.Cause
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Line:
    """One signed change of what `portfolio` holds of `asset`; of the unassigned part if that is None."""

    portfolio: Portfolio | None
    asset: str
    amount: Decimal
    cause: LedgerEntry.Cause
    flow: Flow | None = None


def book(account: ExchangeAccount, decision: Decision, lines: Iterable[Line]) -> None:
    append_decided(decision, [_entry(account, line) for line in lines if line.amount])


def _entry(account: ExchangeAccount, line: Line) -> LedgerEntry:
    cost, gain = _cost_and_gain(line)
    return LedgerEntry(
        account=account,
        portfolio=line.portfolio,
        asset=line.asset,
        amount=line.amount,
        cost=cost,
        gain=gain,
        cause=line.cause,
        flow=line.flow,
    )


def book_back(account: ExchangeAccount, decision: Decision, booked: Iterable[LedgerEntry]) -> None:
    """Book the opposite of what was booked, whether or not it is still there."""
    append_decided(decision, [opposite(entry) for entry in booked])


def opposite(entry: LedgerEntry) -> LedgerEntry:
    return LedgerEntry(
        account=entry.account,
        portfolio=entry.portfolio,
        asset=entry.asset,
        amount=entry.amount.copy_negate(),
        cost=entry.cost.copy_negate(),
        gain=entry.gain.copy_negate(),
        cause=entry.cause,
        order=entry.order,
        flow=entry.flow,
    )


def append_decided(decision: Decision, entries: Sequence[LedgerEntry]) -> None:
    for number, entry in enumerate(entries):
        owner = entry.portfolio_id or 0
        entry.decision = decision
        entry.key = f"decision:{decision.pk}:{entry.cause}:{owner}:{entry.asset}:{number}"
    append_entries(entries)


def _cost_and_gain(line: Line) -> tuple[Decimal, Decimal]:
    """Tell what leaves the cost with what leaves the position, and what is gained of what was owed.

    What comes has no cost that is known.
    """
    if line.portfolio is None:
        return ZERO, ZERO
    entries = line.portfolio.ledger_entries.filter(asset=line.asset).order_by("pk")
    rows = entries.values_list("amount", "cost", "cause")
    history = (Change(amount, cost, is_trade=cause != Cause.FEE) for amount, cost, cause in rows)
    cost = OpenLots(history).closing(line.amount).cost.copy_negate()
    return cost, cost if line.amount > 0 else ZERO
