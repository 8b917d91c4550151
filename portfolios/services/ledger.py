"""What orders, fills and flows move, as entries of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from portfolios.amounts import amount, difference, exact_mul, exact_sum, sums_by
from portfolios.models import (
    ExchangeAccount,
    Fill,
    Flow,
    LedgerEntry,
    Order,
    Position,
    SyncRun,
)
from portfolios.reconciliation.booking import (
    NOTHING,
    Booked,
    Pending,
    Traded,
    less,
    pending,
    within,
)
from portfolios.reconciliation.execution import (
    Execution,
    OrderFacts,
    execution,
    fees_by_asset,
    lock,
    moved_before,
)
from portfolios.reconciliation.flows import due_effect
from portfolios.services.accounts import lag
from portfolios.services.costs import set_costs, traded_of
from portfolios.services.journal import Journal, append_entries
from providers.mapping import base_and_quote
from providers.reports import (
    FeeReport,
    FillReport,
    FlowKind,
    FlowReport,
    FlowSource,
    FlowStatus,
    OrderSide,
    OrderStatus,
)

Cause = LedgerEntry.Cause
_TELL_A_LOCK: Final = ("account", "portfolio", "symbol", "side", "price", "amount", "filled")
ZERO = Decimal(0)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
# What the key of an entry begins with that takes one of an order, whose key follows, out of the unassigned part: it has
# held that since the baseline, or had booked it until the order was claimed.
BEFORE: Final = "before:"
CLAIM: Final = "claim:"


def book_order(
    order: Order, run: SyncRun | None, journal: Journal, *, out_of_unassigned: bool = False
) -> bool:
    """Bring the ledger to where the order's facts are; whether all that is filled could be priced.

    Safe to call again once the journal is posted: what has been booked is not booked twice.

    Parameters
    ----------
    out_of_unassigned : bool
        Take what is booked now out of the unassigned part, which has booked it before the order was claimed.
    """
    facts = order_facts(order)
    moved = execution(facts, fills_told(order))
    series = f"order:{order.pk}:{order.portfolio_id or 0}:"
    all_booked = list(order.ledger_entries.all())
    booked = [entry for entry in all_booked if entry.key.startswith(series)]
    change = pending(facts, moved, _sums(booked, facts))
    if change:
        entries = _entries(order, facts, change, run, journal, traded_of(booked, facts))
        for entry in entries:
            entry.key = f"{series}{len(booked)}:{entry.cause}:{entry.asset}"
        if out_of_unassigned:
            entries += [_opposite(entry, CLAIM, run) for entry in entries]
        journal.append(entries)
        all_booked += entries
    _book_before_baseline(order, facts, all_booked, run, journal)
    return not moved.unpriced


def _sums(entries: Sequence[LedgerEntry], facts: OrderFacts) -> Booked:
    traded = [entry for entry in entries if entry.cause == Cause.EXECUTION]
    fees = (FeeReport(entry.asset, entry.amount) for entry in entries if entry.cause == Cause.FEE)
    return Booked(
        base=exact_sum(entry.amount for entry in traded if entry.asset == facts.base),
        quote=exact_sum(entry.amount for entry in traded if entry.asset == facts.quote),
        fees=fees_by_asset(fees),
    )


def _entries(
    order: Order,
    facts: OrderFacts,
    change: Pending,
    run: SyncRun | None,
    journal: Journal,
    booked: Traded = NOTHING,
) -> list[LedgerEntry]:
    def entry(asset: str, cause: str, amount: Decimal) -> LedgerEntry:
        return LedgerEntry(
            account=order.account,
            portfolio=order.portfolio,
            asset=asset,
            amount=amount,
            cause=cause,
            order=order,
            run=run,
        )

    entries = []
    if change.base or change.quote:
        traded = entry(facts.base, Cause.EXECUTION, change.base)
        paid = entry(facts.quote, Cause.EXECUTION, change.quote)
        if order.portfolio is not None:  # what nobody claims has no cost that anybody asks for
            set_costs(order.portfolio, facts, change, (traded, paid), booked, journal)
        entries = [traded, paid]
    for asset, fee in change.fees.items():
        charged = entry(asset, Cause.FEE, fee)
        if asset not in (facts.base, facts.quote) and not _holds(order, asset, journal):
            # A third coin that the portfolio never had is paid out of what nobody claims.
            charged.portfolio = None
        entries.append(charged)
    return entries


def _holds(order: Order, asset: str, journal: Journal) -> bool:
    return journal.held((order.portfolio_id, asset)) is not None


def _book_before_baseline(
    order: Order,
    facts: OrderFacts,
    booked: Sequence[LedgerEntry],
    run: SyncRun | None,
    journal: Journal,
) -> None:
    """Take what the order had moved before the account's baseline out of the unassigned part, which holds it.

    What a book counted as filled although it was filled later is booked there: no portfolio books it. Safe to call
    again, also when its fills are told only later.
    """
    change = _due_before_baseline(order, facts, booked)
    if not change:
        return
    number = sum(entry.key.startswith(f"{BEFORE}order:{order.pk}:") for entry in booked)
    new = _entries(order, facts, change, run, journal)
    for entry in new:
        entry.key = f"order:{order.pk}:{number}:{entry.cause}:{entry.asset}"
    journal.append([_opposite(entry, BEFORE, run) for entry in new])


def _due_before_baseline(
    order: Order, facts: OrderFacts, entries: Sequence[LedgerEntry]
) -> Pending | None:
    """Tell what of before the baseline is still to be taken out of the unassigned part; None if that has nothing of it.

    Of an order that was claimed it was taken out then, as well as its price and fees were known: that is corrected once
    the fills of before are all told.

    Parameters
    ----------
    entries : sequence of LedgerEntry
        All of the order's.
    """
    baseline_at = order.account.baseline_at
    if baseline_at is None:
        return None
    own, before, claimed = (f"{why}order:{order.pk}:" for why in ("", BEFORE, CLAIM))
    is_claimed = any(entry.key.startswith(claimed) for entry in entries)
    if not is_claimed and not order.joined_after_baseline:
        taken = _sums_taken(entries, before, facts)
        return less(_told_later(order, facts, entries, baseline_at), taken)
    if order.portfolio_id is None:
        return None
    taken = _sums_taken(entries, (before, claimed, f"{own}0:"), facts)
    change = pending(facts, _moved_before(order, facts, baseline_at), taken)
    return None if is_claimed and change.base and not _is_told_whole(order, facts) else change


def _is_told_whole(order: Order, facts: OrderFacts) -> bool:
    """Whether fills tell all of the order, and when; what an opening counts may be corrected yet."""
    fills = fills_told(order)
    is_dated = not facts.opening_filled and all(fill.executed_at is not None for fill in fills)
    return is_dated and exact_sum(fill.amount for fill in fills) >= facts.filled


def _told_later(
    order: Order, facts: OrderFacts, entries: Sequence[LedgerEntry], baseline_at: datetime
) -> Pending:
    """Tell what was booked since the baseline of an order that the books had then, although it had happened before.

    The balance had that, unless it was later than the account's balances are. Only what fills tell: of what was booked
    from the order's own report they may not tell yet.
    """
    last = order.account.baseline_last_entry or 0
    # Whoever had it: an order may have been taken from its portfolio since.
    own = [entry for entry in entries if entry.key.startswith(f"order:{order.pk}:")]
    by_then, since = (
        _sums([entry for entry in own if _is_up_to(entry, last) is is_by_then], facts)
        for is_by_then in (True, False)
    )
    moved = _moved_before(order, facts, baseline_at - lag(order.account))
    if moved.base < by_then.base.copy_abs():
        return Pending(ZERO, ZERO, {})
    before = pending(facts, moved, by_then)
    change = within(before, since)
    # A rebate of then and a fee of later were booked as their sum, which limits nothing where the fills tell all of it.
    whole = fees_by_asset(fee for fill in fills_told(order) for fee in fill.fees)
    booked = sums_by((*(by_then.fees or {}).items(), *(since.fees or {}).items()))
    told = {
        asset: before.fees.get(asset, ZERO)
        if booked.get(asset) == whole.get(asset, ZERO).copy_negate()
        else fee
        for asset, fee in {**before.fees, **change.fees}.items()
        if asset in moved.fees
    }
    return replace(change, fees={asset: fee for asset, fee in told.items() if fee})


def _is_up_to(entry: LedgerEntry, last: int) -> bool:
    return 0 < (entry.pk or 0) <= last


def _moved_before(order: Order, facts: OrderFacts, moment: datetime) -> Execution:
    ended_at = order.updated_at if order.has_final_terms else None
    # Of an order that no book has counted the baseline did.
    is_of_baseline = not order.book_values and not order.joined_after_baseline
    opened_at = order.account.baseline_at if is_of_baseline else None
    return moved_before(facts, fills_told(order), moment, order.created_at, ended_at, opened_at)


def _sums_taken(
    entries: Sequence[LedgerEntry], series: str | tuple[str, ...], facts: OrderFacts
) -> Booked:
    return _sums([_negated(entry) for entry in entries if entry.key.startswith(series)], facts)


def _negated(entry: LedgerEntry) -> LedgerEntry:
    return LedgerEntry(asset=entry.asset, cause=entry.cause, amount=entry.amount.copy_negate())


def _opposite(entry: LedgerEntry, why: str, run: SyncRun | None) -> LedgerEntry:
    return LedgerEntry(
        account=entry.account,
        portfolio=None,
        asset=entry.asset,
        amount=entry.amount.copy_negate(),
        cause=entry.cause,
        order=entry.order,
        fill=entry.fill,
        run=run,
        key=f"{why}{entry.key}",
    )


def book_fill(fill: Fill, run: SyncRun | None) -> None:
    """Book a fill whose order is not known in the unassigned part; safe to call again, also with fees that came late.

    What was executed up to the account's baseline is part of that.
    """
    baseline_at = fill.account.baseline_at
    if baseline_at is None or fill.executed_at is None or fill.executed_at <= baseline_at:
        return
    booked = set(fill.ledger_entries.values_list("key", flat=True))
    entries = [
        LedgerEntry(
            account=fill.account,
            asset=asset,
            amount=amount,
            cause=cause,
            fill=fill,
            run=run,
            key=f"fill:{fill.pk}:{cause}:{asset}",
        )
        for cause, asset, amount in _moved_by(fill)
    ]
    append_entries([entry for entry in entries if entry.key not in booked])


def take_back_fill(fill: Fill, run: SyncRun | None) -> None:
    """Take what `book_fill` has booked out of the unassigned part: its order is known now and books it."""
    entries = fill.ledger_entries.filter(key__startswith="fill:")
    append_entries([_opposite(entry, "attached:", run) for entry in entries])


def parts_of_fill(fill: Fill) -> list[dict[str, Decimal]]:
    """Tell by asset what a fill has moved: what was traded, then each fee."""
    moved = _moved_by(fill)
    traded = sums_by((asset, x) for cause, asset, x in moved if cause == Cause.EXECUTION)
    return [traded, *({asset: x} for cause, asset, x in moved if cause == Cause.FEE)]


def _moved_by(fill: Fill) -> list[tuple[str, str, Decimal]]:
    base, quote = base_and_quote(fill.symbol)
    sign = 1 if fill.side == OrderSide.BUY else -1
    fees = fees_by_asset(stored_fees(fill.fees))
    moved = [
        (Cause.EXECUTION, base, exact_mul(Decimal(sign), fill.amount)),
        (Cause.EXECUTION, quote, exact_mul(Decimal(-sign), fill.cost)),
        *((Cause.FEE, asset, fee.copy_negate()) for asset, fee in sorted(fees.items())),
    ]
    return [(cause, asset, amount) for cause, asset, amount in moved if amount]


def book_flow(flow: Flow, run: SyncRun | None) -> bool:
    """Bring the unassigned part to what the flow has moved so far; whether anything was booked.

    Safe to call again; a withdrawal that failed after it was booked is booked back.
    """
    entries = list(flow.ledger_entries.all())
    booked = fees_by_asset(FeeReport(entry.asset, entry.amount) for entry in entries)
    target = due_effect(flow_report(flow), in_baseline=flow.in_baseline)
    changes = {
        asset: difference(target.get(asset, ZERO), booked.get(asset, ZERO))
        for asset in sorted(target.keys() | booked.keys())
    }
    # Each kind that moves anything is a cause by the same name.
    cause = flow.kind
    new = [
        LedgerEntry(
            account=flow.account,
            asset=asset,
            amount=amount,
            cause=cause,
            flow=flow,
            run=run,
            key=f"flow:{flow.pk}:{len(entries)}:{cause}:{asset}",
        )
        for asset, amount in changes.items()
        if amount
    ]
    append_entries(new)
    return bool(new)


def flow_report(flow: Flow) -> FlowReport:
    return FlowReport(
        source=FlowSource(flow.source),
        external_id=flow.external_id,
        kind=FlowKind(flow.kind),
        asset=flow.asset,
        amount=flow.amount,
        status=FlowStatus(flow.status) if flow.status else None,
        fees=stored_fees(flow.fees),
        wallet=flow.wallet,
        raw_kind=flow.raw_kind,
        raw_status=flow.raw_status,
        occurred_at=flow.occurred_at,
        settled_at=flow.settled_at,
        fees_status=FlowStatus(flow.fees_status) if flow.fees_status else None,
    )


def rewrite_reserved(account: ExchangeAccount) -> None:
    """Set `reserved` of every position of `account` to the locks of its owner's open orders."""
    locks: defaultdict[tuple[int | None, str], list[Decimal]] = defaultdict(list)
    open_orders = account.orders.filter(status__in=[OrderStatus.CREATED, OrderStatus.OPEN])
    # No more of them than a lock takes, and one after the other: there may be many thousand.
    for order in open_orders.order_by().only(*_TELL_A_LOCK).iterator():
        asset, locked = lock(locking_facts(order), order.remaining)
        locks[order.portfolio_id, asset].append(locked)
    positions = {(row.portfolio_id, row.asset): row for row in account.positions.all()}
    for owner, asset in locks.keys() - positions.keys():
        positions[owner, asset] = Position(account=account, portfolio_id=owner, asset=asset)
    for key, position in positions.items():
        reserved = exact_sum(locks.get(key, ()))
        if position.reserved != reserved:
            position.reserved = reserved
            position.save()


def require_lock(order: Order) -> None:
    """Make sure that what the open rest of `order` locks can be kept.

    Raises
    ------
    ValueError
        If it has more digits than an amount may have.
    """
    amount(lock(locking_facts(order), order.remaining)[1])


def locking_facts(order: Order) -> OrderFacts:
    """Give of an order what tells its lock."""
    return OrderFacts(
        order.base, order.quote, OrderSide(order.side), order.filled, price=order.price
    )


def order_facts(order: Order) -> OrderFacts:
    return OrderFacts(
        base=order.base,
        quote=order.quote,
        side=OrderSide(order.side),
        filled=order.filled,
        price=order.price,
        average=order.average,
        cost=order.cost,
        fees=stored_fees(order.fees),
        opening_filled=order.opening_filled,
        opening_cost=order.opening_cost,
    )


def fills_told(order: Order) -> list[FillReport]:
    """List the fills of `order`, oldest first; one without a time comes before, which databases do not agree on."""
    fills = sorted(order.fills.all(), key=lambda fill: (fill.executed_at or _EPOCH, fill.pk))
    return [fill_report(fill) for fill in fills]


def fill_report(fill: Fill) -> FillReport:
    return FillReport(
        external_id=fill.external_id,
        order_external_id=fill.order_external_id,
        symbol=fill.symbol,
        side=OrderSide(fill.side),
        price=fill.price,
        amount=fill.amount,
        cost=fill.cost,
        fees=stored_fees(fill.fees),
        executed_at=fill.executed_at,
    )


def stored_fees(rows: Iterable[dict[str, str]]) -> tuple[FeeReport, ...]:
    return tuple(FeeReport(row["asset"], amount(row["amount"])) for row in rows)
