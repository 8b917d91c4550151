"""The proof of the baseline: the ledger up to it is what the exchange was read to hold."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from portfolios.amounts import sums_by
from portfolios.models import ExchangeAccount, LedgerEntry, Portfolio
from portfolios.reconciliation.verification import Check, Difference, unequal
from portfolios.services.effects import settled_key
from portfolios.services.judged_contents import reads_of

ZERO: Final = Decimal(0)


def baseline_differences(account: ExchangeAccount) -> Iterator[Difference]:
    """Compare the ledger up to the baseline with the read that became it; where that is kept no more, with nothing."""
    baseline = account.ledger_entries.filter(cause=LedgerEntry.Cause.BASELINE)
    run = account.baseline_run_id
    for later in baseline.exclude(run=run) if run is not None else baseline:
        if not _has_settled(account, later):
            yield Difference(Check.BASELINE, later.amount, None, later.asset, later.portfolio_id)
    last = baseline.filter(run=run).order_by("pk").last()
    reads = reads_of(run, account.wallets) if run is not None else {}
    if last is None or len(reads) < len(account.wallets):
        return
    real = account.ledger_entries.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    booked = sums_by(real.filter(pk__lte=last.pk).values_list("asset", "amount"))
    # A baseline is only ever taken of whole reads, so that what they do not list was not there.
    rows = [row for read in reads.values() for row in read.held.values()]
    untold = {row.asset for row in rows if row.total is None}
    held = sums_by((row.asset, row.total) for row in rows if row.total is not None)
    for asset, stored, should_be in unequal(booked, held):
        if asset not in untold:
            yield Difference(Check.BASELINE, stored, should_be, asset)


def _has_settled(account: ExchangeAccount, entry: LedgerEntry) -> bool:
    """Whether the entry is what a later run corrected the baseline by, once in a run and nobody's.

    How much that may be is no law: it was proved by what was known of the trades about the baseline, and by the lag,
    then.
    """
    is_once = entry.key == f"{settled_key(account.wallets[0], entry.asset)}{entry.run_id}"
    return is_once and account.baseline_trades is not None and entry.portfolio_id is None
