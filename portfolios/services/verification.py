"""The proof of the books: everything that is stored recomputed from its facts. Reads only."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby
from typing import Final

from django.apps import apps
from django.db import IntegrityError, connection
from django.db.models import Q, QuerySet

from portfolios.amounts import exact_sum
from portfolios.models import ExchangeAccount, Fill, LedgerEntry, Order, Portfolio, Position
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.execution import fees_by_asset, lock
from portfolios.reconciliation.flows import due_effect
from portfolios.reconciliation.verification import (
    Check,
    Difference,
    Entry,
    add_up,
    decision_differences,
    fee_differences,
    fill_differences,
    fill_moves,
    flow_differences,
    loose_fill_differences,
    opening_differences,
    order_differences,
    sale_differences,
    unequal,
)
from portfolios.services import damaged_rows
from portfolios.services.baseline_verification import baseline_differences
from portfolios.services.decisions.effects import BOOKING, DECIDED, booked_by
from portfolios.services.ledger import (
    fill_report,
    fills_told,
    flow_report,
    order_facts,
    stored_fees,
)
from providers.mapping import base_and_quote
from providers.redaction import one_line
from providers.reports import OrderSide

Cause = LedgerEntry.Cause
ZERO = Decimal(0)
_ROWS: Final = 500
# What a value raises that is none of its kind: hands have written it.
UNREADABLE: Final = (*damaged_rows.UNREADABLE, ArithmeticError, LookupError)
# One state of the database throughout, and nobody is kept from writing meanwhile. Django's own transactions take the
# write lock on SQLite, and read each statement's own state on PostgreSQL.
_BEGIN: Final = {
    "sqlite": "BEGIN DEFERRED",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}


@dataclass(slots=True)
class Verification:
    """What was checked until the first difference, which is None if everything agrees."""

    accounts: int = 0
    orders: int = 0
    fills: int = 0
    flows: int = 0
    entries: int = 0
    positions: int = 0
    difference: Difference | None = None
    account: str = ""
    portfolio: str | None = None


def verify_books(labels: Iterable[str] = ()) -> Verification:
    """Recompute the books of these accounts, of all if none is named, until something is not as stored.

    Everything is read from one state of the database; a sync that books meanwhile is neither seen nor kept waiting.
    """
    done = Verification()
    accounts = ExchangeAccount.objects.order_by("label")
    if chosen := list(labels):
        accounts = accounts.filter(label__in=chosen)
    with _one_state():
        done.difference = _broken_reference()
        for account in accounts if done.difference is None else ():
            done.accounts += 1
            done.difference = _first_difference(account, done)
            if done.difference is not None:
                done.account = account.label
                done.portfolio = _owner_name(done.difference.owner)
                break
    return done


def _broken_reference() -> Difference | None:
    """Find a row that names one which is gone; a server lets nobody make any."""
    tables = [model._meta.db_table for model in apps.get_app_config("portfolios").get_models()]  # noqa: SLF001
    try:
        connection.check_constraints(tables)
    except IntegrityError as e:
        return Difference(Check.REFERENCE, None, None, why=one_line(str(e)))
    return None


def _first_difference(account: ExchangeAccount, done: Verification) -> Difference | None:
    try:
        with closing(_differences(account, done)) as found:
            return next(found, None)
    except UNREADABLE as e:
        return _unreadable(e)


def _unreadable(error: Exception, order: str = "", flow: str = "") -> Difference:
    why = one_line(f"{type(error).__name__}: {error}")
    return Difference(Check.UNREADABLE, None, None, order=order, flow=flow, why=why)


def _owner_name(owner: int | None) -> str | None:
    return None if owner is None else Portfolio.objects.get(pk=owner).name


@contextmanager
def _one_state() -> Iterator[None]:
    if connection.in_atomic_block:  # the caller's transaction has begun already
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN[connection.vendor])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


def _differences(account: ExchangeAccount, done: Verification) -> Generator[Difference, None, None]:
    yield from _positions(account, done)
    yield from _orders(account, done)
    yield from _loose_fills(account, done)
    yield from _flows(account, done)
    yield from _decisions(account)
    yield from _strays(account)
    yield from _misplaced(account)
    yield from _reserved(account)
    yield from _gains(account)
    yield from _sales(account)
    yield from _openings(account)
    yield from baseline_differences(account)
    yield from _net_sizes(account)
    yield from _totals(account)


def _positions(account: ExchangeAccount, done: Verification) -> Iterator[Difference]:
    done.entries += account.ledger_entries.count()
    done.positions += account.positions.count()
    for check, column in ((Check.POSITION, "amount"), (Check.COST, "cost")):
        stored = _sums(account.positions.all(), column)
        booked = _sums(account.ledger_entries.all(), column)
        for (owner, asset), is_amount, should_be in unequal(stored, booked):
            yield Difference(check, is_amount, should_be, asset, owner)


def _sums(
    rows: QuerySet[Position] | QuerySet[LedgerEntry], column: str
) -> dict[tuple[int | None, str], Decimal]:
    values = rows.order_by().values_list("portfolio_id", "asset", column).iterator(_ROWS)
    return add_up(((owner, asset), amount) for owner, asset, amount in values)


def _orders(account: ExchangeAccount, done: Verification) -> Iterator[Difference]:
    orders = (
        account.orders.order_by("pk")
        .select_related("portfolio")
        .prefetch_related("fills", "ledger_entries")
    )
    for order in orders.iterator(_ROWS):
        fills = list(order.fills.all())
        done.orders += 1
        done.fills += len(fills)
        try:
            differences = list(_order(order, fills))
        except UNREADABLE as e:
            differences = [_unreadable(e)]
        for found in differences:
            yield replace(found, order=_name(order))


def _loose_fills(account: ExchangeAccount, done: Verification) -> Iterator[Difference]:
    """Check the fills without an order, and those that were booked before theirs was known."""
    is_loose = Q(order=None) | Q(ledger_entries__isnull=False)
    fills = account.fills.filter(is_loose).distinct().order_by("pk")
    for fill in fills.prefetch_related("ledger_entries").iterator(_ROWS):
        has_joined = fill.order_id is not None
        done.fills += not has_joined
        entries = [_entry(row) for row in fill.ledger_entries.all()]
        for found in loose_fill_differences(
            fill.pk, _moved_by(fill, account), entries, has_joined=has_joined
        ):
            yield replace(found, fill=fill.external_id)


def _moved_by(fill: Fill, account: ExchangeAccount) -> dict[str, Decimal]:
    is_later = (
        account.baseline_at is not None
        and fill.executed_at is not None
        and fill.executed_at > account.baseline_at
    )
    return fill_moves(fill_report(fill), *base_and_quote(fill.symbol)) if is_later else {}


def _flows(account: ExchangeAccount, done: Verification) -> Iterator[Difference]:
    flows = account.flows.order_by("pk").prefetch_related("ledger_entries")
    for flow in flows.iterator(_ROWS):
        done.flows += 1
        try:
            due = due_effect(flow_report(flow), in_baseline=flow.in_baseline)
        except UNREADABLE as e:
            yield _unreadable(e, flow=flow.external_id)
            continue
        entries = [_entry(row) for row in flow.ledger_entries.all()]
        for found in flow_differences(flow.pk, due, entries):
            yield replace(found, flow=flow.external_id)


def _decisions(account: ExchangeAccount) -> Iterator[Difference]:
    """Check what decisions booked by themselves; what they booked of orders is checked with those."""
    is_booked = Q(kind__in=BOOKING) | Q(ledger_entries__isnull=False)
    decisions = (
        account.decisions.filter(is_booked)
        .distinct()
        .select_related("account", "reverses__account")
    )
    for decision in decisions.order_by("pk").prefetch_related("ledger_entries").iterator(_ROWS):
        rows = decision.ledger_entries.all()
        entries = [_entry(row) for row in rows if row.order_id is None]
        for found in decision_differences(decision.pk, booked_by(decision), entries):
            yield replace(found, decision=decision.pk)


def _strays(account: ExchangeAccount) -> Iterator[Difference]:
    """Find entries that have no cause: only openings and the baseline need none, and some can only be decided."""
    caused = account.ledger_entries.exclude(cause__in=[Cause.OPENING, Cause.BASELINE])
    is_causeless = Q(order=None, fill=None, flow=None) | Q(cause__in=DECIDED)
    for entry in caused.filter(is_causeless, decision=None).iterator(_ROWS):
        yield Difference(Check.ENTRY, entry.amount, None, entry.asset, entry.portfolio_id)


def _misplaced(account: ExchangeAccount) -> Iterator[Difference]:
    """Find fills whose order, and movements whose entries, are another account's."""
    fills = account.fills.exclude(order=None).exclude(order__account=account)
    for fill in fills.iterator(_ROWS):
        base, _quote = base_and_quote(fill.symbol)
        yield Difference(Check.PLACE, fill.amount, None, base, fill=fill.external_id)
    entries = account.ledger_entries.exclude(flow=None).exclude(flow__account=account)
    for entry in entries.select_related("flow").iterator(_ROWS):
        flow = entry.flow.external_id if entry.flow else ""
        yield Difference(Check.PLACE, entry.amount, None, entry.asset, flow=flow)


def _order(order: Order, fills: Sequence[Fill]) -> Iterator[Difference]:
    facts, reports = order_facts(order), fills_told(order)
    entries = [_entry(row) for row in order.ledger_entries.all()]
    for found in order_differences(order.pk, order.portfolio_id, facts, reports, entries):
        if found.check is not Check.GAIN or _is_in_cash(order):
            yield found
    if not order.frozen_because:  # which leaves as it is what it shows, and not what its fills tell
        for found in fee_differences(facts, reports, fees_by_asset(stored_fees(order.fees))):
            yield replace(found, owner=order.portfolio_id)
    for found in fill_differences(facts, order.symbol, reports, has_ended=not order.is_open):
        if found.check is not Check.OVERFILL or not order.discrepancy_set.exists():
            yield replace(found, owner=order.portfolio_id)


def _name(order: Order) -> str:
    return order.external_id or order.client_order_id


def _entry(row: LedgerEntry, side: OrderSide | None = None) -> Entry:
    return Entry(
        key=row.key,
        asset=row.asset,
        amount=row.amount,
        owner=row.portfolio_id,
        cost=row.cost,
        gain=row.gain,
        is_execution=row.cause == Cause.EXECUTION,
        is_fee=row.cause == Cause.FEE,
        side=side,
    )


def _reserved(account: ExchangeAccount) -> Iterator[Difference]:
    stored = _sums(account.positions.all(), "reserved")
    for (owner, asset), is_amount, should_be in unequal(stored, add_up(_locks(account))):
        yield Difference(Check.RESERVED, is_amount, should_be, asset, owner)


def _locks(account: ExchangeAccount) -> Iterator[tuple[tuple[int | None, str], Decimal]]:
    for order in account.orders.filter(status__in=OPEN_STATUSES).order_by().iterator(_ROWS):
        asset, locked = lock(order_facts(order), order.remaining)
        yield (order.portfolio_id, asset), locked


def _gains(account: ExchangeAccount) -> Iterator[Difference]:
    # What nobody claims has no gain.
    stored: dict[int | None, Decimal] = {None: ZERO}
    stored.update(account.portfolios.values_list("pk", "realized_gain"))
    entries = account.ledger_entries.order_by()
    gains = entries.values_list("portfolio_id", "gain").iterator(_ROWS)
    booked: dict[int | None, Decimal] = add_up(gains)
    for owner, is_amount, should_be in unequal(stored, booked):
        yield Difference(Check.REALIZED_GAIN, is_amount, should_be, owner=owner)


def _sales(account: ExchangeAccount) -> Iterator[Difference]:
    entries = account.ledger_entries.exclude(portfolio=None).select_related("order__portfolio")
    in_order = entries.order_by("portfolio_id", "asset", "pk").iterator(_ROWS)
    for _position, rows in groupby(in_order, key=lambda row: (row.portfolio_id, row.asset)):
        yield from sale_differences(map(_traded, rows))


def _is_in_cash(order: Order) -> bool:
    """Whether the order is quoted in its portfolio's cash; elsewhere there is no gain to reckon yet."""
    return order.portfolio is not None and order.quote == order.portfolio.trading_symbol


def _traded(row: LedgerEntry) -> tuple[Entry, str]:
    order = row.order
    if order is None or row.decision_id is not None:
        return _entry(row), ""
    is_base = row.cause == Cause.EXECUTION and row.asset == order.base and _is_in_cash(order)
    return _entry(row, OrderSide(order.side) if is_base else None), _name(order)


def _openings(account: ExchangeAccount) -> Iterator[Difference]:
    openings = account.ledger_entries.filter(cause=Cause.OPENING, decision=None)
    needs_opposite: list[str] = []
    if account.baseline_last_entry is not None:
        later = openings.filter(
            pk__gt=account.baseline_last_entry, portfolio__mode=Portfolio.Mode.LIVE
        )
        needs_opposite = list(later.values_list("key", flat=True))
    yield from opening_differences(map(_entry, openings), needs_opposite)


def _net_sizes(account: ExchangeAccount) -> Iterator[Difference]:
    for portfolio in account.portfolios.all():
        opened = portfolio.ledger_entries.filter(cause=Cause.OPENING)
        of_cash = opened.filter(asset=portfolio.trading_symbol)
        cash = exact_sum(of_cash.values_list("amount", flat=True))
        # An opening that was taken back leaves nothing.
        should_be = cash if cash or portfolio.initialized else None
        if portfolio.opening_cash != should_be:
            yield Difference(
                Check.NET_SIZE,
                portfolio.opening_cash,
                should_be,
                portfolio.trading_symbol,
                portfolio.pk,
            )


def _totals(account: ExchangeAccount) -> Iterator[Difference]:
    of_portfolios = Q(portfolio__account=account)
    unassigned = Q(account=account, portfolio=None)
    held = Position.objects.filter(of_portfolios | unassigned).order_by()
    stored = add_up(held.values_list("asset", "amount").iterator(_ROWS))
    entries = account.ledger_entries.order_by()
    booked = add_up(entries.values_list("asset", "amount").iterator(_ROWS))
    for asset, is_amount, should_be in unequal(stored, booked):
        yield Difference(Check.TOTAL, is_amount, should_be, asset)
