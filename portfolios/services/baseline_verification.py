"""The proof of the baseline: the ledger up to it is what the exchange was read to hold, and nothing counts twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from portfolios.amounts import sums_by
from portfolios.models import ExchangeAccount, LedgerEntry, Order, Portfolio
from portfolios.reconciliation.execution import OrderFacts
from portfolios.reconciliation.verification import Check, Difference, unequal
from portfolios.services.judged_contents import reads_of
from portfolios.services.ledger import due_before_baseline

ZERO: Final = Decimal(0)


def before_baseline_differences(order: Order, facts: OrderFacts) -> Iterator[Difference]:
    """Compare what was taken out of the unassigned part for an order with what it had moved before the baseline.

    One that the exchange has not told yet is booked by the sync that tells it.
    """
    if order.portfolio_id is None or not order.raw_status:
        return
    entries = order.ledger_entries.all()
    due = due_before_baseline(order, facts, entries)
    if due is None:
        if not any(entry.key.startswith("claim:") for entry in entries):
            yield from _strays(order, entries)
        return
    for asset, missing in ((facts.base, due.base), (facts.quote, due.quote), *due.fees.items()):
        if missing:
            yield Difference(Check.BEFORE, ZERO, missing.copy_negate(), asset)


def _strays(order: Order, entries: Iterable[LedgerEntry]) -> Iterator[Difference]:
    """Find what was taken out for an order of which the baseline, taken after it was booked, holds nothing else."""
    for entry in entries:
        if entry.key.startswith(f"before:order:{order.pk}:"):
            yield Difference(Check.BEFORE, entry.amount, None, entry.asset)


def baseline_differences(account: ExchangeAccount) -> Iterator[Difference]:
    """Compare the ledger up to the baseline with the read that became it; where that is kept no more, with nothing."""
    baseline = account.ledger_entries.filter(cause=LedgerEntry.Cause.BASELINE)
    for stray in baseline.filter(run=None):
        yield Difference(Check.BASELINE, stray.amount, None, stray.asset)
    trading = account.wallets[0]
    run = account.baseline_run_id
    last = baseline.filter(run=run).order_by("pk").last()
    read = reads_of(run, [trading]).get(trading) if run is not None else None
    if last is None or read is None:
        return
    real = account.ledger_entries.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    booked = sums_by(real.filter(pk__lte=last.pk).values_list("asset", "amount"))
    held = {asset: row.total for asset, row in read.held.items() if row.total is not None}
    known = held.keys() | (booked.keys() - read.held.keys() if read.complete else set())
    told = {asset: amount for asset, amount in booked.items() if asset in known}
    for asset, stored, should_be in unequal(told, held):
        yield Difference(Check.BASELINE, stored, should_be, asset)
