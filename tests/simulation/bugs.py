"""Bugs that a reconciliation may have, each put into the running product: what the simulation must not miss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final
from unittest.mock import patch

from portfolios.models import AssetBalance, ExchangeAccount, Fill, LedgerEntry, SyncRun
from portfolios.reconciliation.booking import Booked
from portfolios.reconciliation.orders import OrderState, merged_order
from portfolios.services import (
    absence,
    balances,
    cursors,
    facts,
    fills,
    journal,
    leases,
    ledger,
    legs,
    orders,
    portfolio_sync,
)
from portfolios.services.discrepancies import Findings
from providers.reports import Leg, LegKind, LegStatus, OrderReport, OrderStatus
from tests.simulation.world import all_acts_but

Plant = Callable[[], AbstractContextManager[Any]]


def failed_read_is_absence() -> AbstractContextManager[Any]:
    """End every order that no list names, though the list could not be read."""
    return _ends_what_no_list_names(LegStatus.FAILED)


def list_is_believed() -> AbstractContextManager[Any]:
    """End every order that the list does not name, without asking for it."""
    return _ends_what_no_list_names(LegStatus.OBSERVED)


def _ends_what_no_list_names(status: LegStatus) -> AbstractContextManager[Any]:
    climb = absence.climb_ladder

    def climb_and_end(account: ExchangeAccount, read: Any, *rest: Any) -> int:
        lists = [x for x in read.legs if x.kind is LegKind.OPEN_ORDERS]
        if lists and lists[0].status is status:
            named = {row.external_id for row in lists[0].rows if isinstance(row, OrderReport)}
            absent = account.orders.filter(status=OrderStatus.OPEN).exclude(external_id="")
            absent.exclude(external_id__in=named).update(status=OrderStatus.CANCELED)
        return climb(account, read, *rest)

    return patch.object(facts, "climb_ladder", climb_and_end)


def cursor_before_rows() -> AbstractContextManager[Any]:
    """Move the cursors when the legs are stored: what is then not applied is never read again."""
    store = legs.store_legs

    def store_and_advance(run: SyncRun, read: Sequence[Leg]) -> None:
        store(run, read)
        if run.account.baseline_at is not None:
            cursors.advance_cursors(run.account, read, Findings())

    return patch.object(portfolio_sync, "store_legs", store_and_advance)


def cursor_past_a_failure() -> AbstractContextManager[Any]:
    """Move the cursors to now, whether or not their lists could be read."""
    advance = cursors.advance_cursors

    def advance_all(account: ExchangeAccount, read: Iterable[Leg], findings: Findings) -> None:
        advance(account, read, findings)
        for leg in read:
            if leg.kind in (LegKind.ACCOUNT_FILLS, LegKind.FLOWS) and leg.error is not None:
                mine = account.cursors.filter(kind=leg.kind, subject=leg.subject)
                mine.update(covered_until=leg.requested_at + timedelta(minutes=5))

    return patch.object(facts, "advance_cursors", advance_all)


def stale_report_reopens() -> AbstractContextManager[Any]:
    """Take over whatever status was told last."""
    return _merged_otherwise(
        lambda known, report, merged: replace(merged, status=report.status or known.status)
    )


def unknown_word_is_an_end() -> AbstractContextManager[Any]:
    """Take a status that nobody knows for a cancellation."""
    return _merged_otherwise(
        lambda _known, report, merged: (
            merged if report.status else replace(merged, status=OrderStatus.CANCELED)
        )
    )


def filled_is_added() -> AbstractContextManager[Any]:
    """Add what is told as filled to what is known, though it is told in total."""
    return _merged_otherwise(
        lambda known, report, merged: (
            replace(merged, filled=known.filled + report.filled) if report.filled else merged
        )
    )


def _merged_otherwise(
    change: Callable[[OrderState, OrderReport, OrderState], OrderState],
) -> AbstractContextManager[Any]:
    def merged(known: OrderState, report: OrderReport) -> OrderState:
        return change(known, report, merged_order(known, report))

    return patch.object(orders, "merged_order", merged)


def fill_counts_twice() -> AbstractContextManager[Any]:
    """Store a fill anew each time that it is told."""
    numbers, made = count(1), fills._fill

    def known(_account: ExchangeAccount, _rows: Any) -> dict[Any, Fill]:
        return {}

    def fill(*told: Any) -> Fill:
        new = made(*told)
        new.external_id += f"#{next(numbers)}"
        return new

    return patch.multiple(fills, _known=known, _fill=fill)


def fee_is_booked_again() -> AbstractContextManager[Any]:
    """Forget that a fee was booked: with each change of its order it is booked once more."""
    sums = ledger._sums

    def without_fees(*booked: Any) -> Booked:
        return replace(sums(*booked), fees={})

    return patch.object(ledger, "_sums", without_fees)


def surplus_is_a_deposit() -> AbstractContextManager[Any]:
    """Book what the exchange has more than the books as a deposit."""
    judge = balances.judge_account

    def judge_and_book(account: ExchangeAccount, *looked: Any, **more: Any) -> None:
        judge(account, *looked, **more)
        for row in AssetBalance.objects.filter(account=account, verdict="DIFFERS"):
            if row.residual is not None and row.residual > 0:
                key = f"guess:{row.asset}:{row.observed_at.isoformat()}"
                guess = LedgerEntry(account=account, asset=row.asset, amount=row.residual, key=key)
                guess.cause = LedgerEntry.Cause.DEPOSIT
                journal.append_entries([guess])

    return patch.object(portfolio_sync, "judge_account", judge_and_book)


def amounts_are_floats() -> AbstractContextManager[Any]:
    """Add amounts up as a machine's floating-point numbers."""

    def float_sum(amounts: Iterable[Decimal]) -> Decimal:
        return Decimal(repr(sum(map(float, amounts))))

    return patch.object(journal, "exact_sum", float_sum)


def withdrawal_fee_is_lost() -> AbstractContextManager[Any]:
    """Book what arrives outside, not what leaves the account."""
    told = ledger.flow_report
    return patch.object(ledger, "flow_report", lambda flow: replace(told(flow), fees=()))


def ends_without_its_fills() -> AbstractContextManager[Any]:
    """Leave the fills of orders out: the order's own report tells how much is filled."""
    return patch.object(orders.OrderReads, "fills_of", lambda *_: [])


def late_worker_writes() -> AbstractContextManager[Any]:
    """Let a worker write whose account was given to another one."""

    def lock_account(run: SyncRun) -> ExchangeAccount:
        return ExchangeAccount.objects.select_for_update().get(pk=run.account_id)

    return patch.object(leases, "lock_account", lock_account)


# What these lose, a difference heals, since its lists are read again from when all agreed. They are looked for where no
# balance tells what a list has told.
WITHOUT: Final[Mapping[str, frozenset[str]]] = {
    plant.__name__: all_acts_but("pass through")
    for plant in (cursor_before_rows, cursor_past_a_failure)
}
BUGS: Final[Mapping[str, Plant]] = {
    plant.__name__: plant
    for plant in (
        failed_read_is_absence,
        list_is_believed,
        cursor_before_rows,
        cursor_past_a_failure,
        stale_report_reopens,
        unknown_word_is_an_end,
        filled_is_added,
        fill_counts_twice,
        fee_is_booked_again,
        surplus_is_a_deposit,
        amounts_are_floats,
        withdrawal_fee_is_lost,
        ends_without_its_fills,
        late_worker_writes,
    )
}
