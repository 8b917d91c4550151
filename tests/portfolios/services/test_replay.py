"""Whatever an exchange tells, in whatever order and however often: the books are the same to the byte.

A pool of legs tells of one small account in several stages. Some are late copies of others, some lack half, some
failed. A case is a handful of them: every pair there is, and drawn ones of more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations_with_replacement, islice
from random import Random
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolios.amounts import exact_sum
from portfolios.models import (
    Fill,
    Flow,
    LedgerEntry,
    Order,
    OrderVersion,
    Portfolio,
    Position,
    SyncRun,
)
from portfolios.services.facts import apply_snapshot
from providers.reports import (
    FeeReport,
    FillReport,
    FlowKind,
    FlowSource,
    FlowStatus,
    Leg,
    LegKind,
    OrderReport,
    OrderSide,
    OrderStatus,
)
from tests.hypothesis_profiles import CASES_OF_A_LAW, LAW_TIMEOUT, PART
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    begin,
    denial,
    failed,
    fills_leg,
    flows_leg,
    look,
    make_books,
    make_fill_report,
    make_flow_report,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
)
from tests.processes.books import LOOKS, Books, amounts, books

D = Decimal
pytestmark = pytest.mark.timeout(LAW_TIMEOUT)
FACTS = (Portfolio, Order, OrderVersion, Fill, Flow, LedgerEntry, Position)
# The exchange's clock in this world.
BEGIN = timezone.now()
FIRST = BEGIN + timedelta(hours=1)


def at(minute: int) -> datetime:
    return FIRST + timedelta(minutes=minute)


def fill(name: str, order: OrderReport, amount: str, price: str, *fees: FeeReport) -> FillReport:
    assert order.side is not None
    return make_fill_report(
        amount,
        price,
        order=order.external_id,
        external_id=name,
        symbol=order.symbol,
        side=order.side,
        fees=fees,
        executed_at=at(int(name[-1])),
    )


def after(
    order: OrderReport, *fills: FillReport, status: OrderStatus = OrderStatus.OPEN
) -> OrderReport:
    """Tell how the exchange reports `order` after `fills`."""
    times = [fill.executed_at for fill in fills if fill.executed_at]
    return replace(
        order,
        filled=exact_sum(fill.amount for fill in fills),
        cost=exact_sum(fill.cost for fill in fills),
        status=status,
        raw_status=status.upper(),
        updated_at=max(times, default=FIRST) + timedelta(seconds=status.is_terminal),
    )


def fee(asset: str, amount: str) -> FeeReport:
    return FeeReport(asset, D(amount))


def orders_of(slot: int) -> tuple[OrderReport, OrderReport]:
    """Make two orders of one symbol: one of the books, which sells in every other slot, and one of nobody's."""
    side = OrderSide.SELL if slot % 2 else OrderSide.BUY
    common = {"symbol": f"C{slot}/EUR", "created_at": FIRST}
    own = make_order_report(f"own-{slot}", side=side, **common)
    return own, make_order_report(f"foreign-{slot}", amount=D(4), price=D(3), **common)


def reads_of(slot: int) -> tuple[tuple[Leg, ...], ...]:
    own, foreign = orders_of(slot)
    one = fill("a1", own, "3", "2", fee("EUR", "0.006"))
    two = fill("a2", own, "4", "2.000000000000000001", fee("BNB", "0.000000000000000001"))
    three = fill("a3", own, "3", "2", fee(f"C{slot}", "0.003"))
    first = fill("x4", foreign, "1", "3", fee("EUR", "-0.003"))
    second = fill("x5", foreign, "3", "2.9", fee("BNB", "0.01"))
    deposit = make_flow_report(
        "100.000000000000000001", external_id=f"d-{slot}", occurred_at=at(1), settled_at=None
    )
    withdrawal = make_flow_report(
        "-20",
        kind=FlowKind.WITHDRAWAL,
        external_id=f"w-{slot}",
        source=FlowSource.WITHDRAWALS,
        occurred_at=at(2),
        settled_at=None,
        fees=(fee("EUR", "0.1"),),
    )
    sent = replace(withdrawal, status=DONE, settled_at=at(6), fees=(fee("EUR", "0.2"),))
    ended = after(own, one, two, three, status=OrderStatus.CLOSED)
    legs = (
        open_orders(own),
        open_orders(after(own, one), after(foreign, first)),
        order_leg(after(own, one, two)),
        order_leg(ended),
        order_leg(after(foreign, first, status=OrderStatus.CANCELED)),
        order_leg(after(foreign, first, second, status=OrderStatus.CLOSED)),
        # They are read with the order that they belong to.
        (order_leg(ended), fills_leg(one, two, three)),
        account_fills(one, two, first, symbol=own.symbol, **NOTHING_COVERED),
        account_fills(three, second, symbol=own.symbol, **NOTHING_COVERED),
        flows_leg(replace(deposit, status=PENDING), **NOTHING_COVERED),
        flows_leg(replace(deposit, status=DONE, settled_at=at(5)), **NOTHING_COVERED),
        flows_leg(replace(withdrawal, status=PENDING), **NOTHING_COVERED),
        flows_leg(sent, **NOTHING_COVERED),
        failed(LegKind.ORDER, subject=own.external_id),
        denial(foreign.external_id)[0],
    )
    return tuple(leg if isinstance(leg, tuple) else (leg,) for leg in legs)


PENDING, DONE = FlowStatus.PENDING, FlowStatus.DONE
# A list is read once in a snapshot; these are parts of it.
NOTHING_COVERED: dict[str, Any] = {"since": None, "until": None}
# Cases that share a snapshot: each has orders and movements of its own, and all of them one account.
SLOTS = 100
MOST_LEGS = 3
POOLS = tuple(map(reads_of, range(SLOTS)))
Case = tuple[int, ...]
some_legs = st.lists(st.integers(0, len(POOLS[0]) - 1), min_size=1, max_size=MOST_LEGS).map(tuple)
cases = st.tuples(*[some_legs] * SLOTS)


def every_pair() -> Iterator[tuple[Case, ...]]:
    """Tell every pair of legs, as cases that share snapshots."""
    pairs = combinations_with_replacement(range(len(POOLS[0])), 2)
    while lot := tuple(islice(pairs, SLOTS)):
        yield (lot * SLOTS)[:SLOTS]


PAIRS = tuple(every_pair())[::PART]
quick = settings(
    max_examples=CASES_OF_A_LAW // SLOTS,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@kept
def run() -> SyncRun:
    account = make_books("replay", {f"C{slot}": "10" for slot in range(1, SLOTS, 2)})
    orders = [orders_of(slot)[0] for slot in range(SLOTS)]
    for order in orders:
        note_order(
            account,
            external_id=order.external_id,
            symbol=order.symbol,
            side=order.side,
            created_at=FIRST.isoformat(),
        )
    held: dict[str, Any] = {f"C{slot}": "50" for slot in range(SLOTS)}
    look(account, balances(EUR="10000", BNB="1", **held), open_orders(*orders))
    assert account.baseline_at is not None
    return begin(account)


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def legs_of(drawn: Iterable[Iterable[int]]) -> list[Leg]:
    """Find the legs of the numbers drawn for each slot."""
    return [
        leg for pool, numbers in zip(POOLS, drawn, strict=True) for n in numbers for leg in pool[n]
    ]


def stored() -> Books:
    return books(FACTS, without=LOOKS)


def check_order_of_legs(run: SyncRun, drawn: tuple[Case, ...], seed: int) -> None:
    legs = legs_of([sorted(case) for case in drawn])
    shuffled = Random(seed).sample(legs, len(legs))  # noqa: S311 - no secret
    with undone():
        apply_snapshot(run, legs)
        expected = stored()
    with undone():
        apply_snapshot(run, shuffled)
        assert stored() == expected
        apply_snapshot(run, shuffled[::-1])
        assert stored() == expected


@quick
@given(cases, st.integers(0, 2**32))
def test_the_order_of_legs_changes_nothing_and_neither_does_their_repetition(
    run: SyncRun, drawn: tuple[Case, ...], seed: int
) -> None:
    check_order_of_legs(run, drawn, seed)


def test_the_order_of_any_two_legs_changes_nothing(run: SyncRun) -> None:
    for drawn in PAIRS:
        check_order_of_legs(run, drawn, seed=1)


def check_order_of_snapshots(run: SyncRun, drawn: tuple[Case, ...]) -> None:
    turns = range(max(map(len, drawn)))
    snapshots = [legs_of([case[turn : turn + 1] for case in drawn]) for turn in turns]
    with undone():
        for legs in snapshots:
            apply_snapshot(run, legs)
        expected = amounts()
    with undone():
        for legs in reversed(snapshots):
            apply_snapshot(run, legs)
        assert amounts() == expected


@quick
@given(cases)
def test_snapshots_in_another_order_end_at_the_same_amounts(
    run: SyncRun, drawn: tuple[Case, ...]
) -> None:
    check_order_of_snapshots(run, drawn)


def test_any_two_snapshots_in_another_order_end_at_the_same_amounts(run: SyncRun) -> None:
    for drawn in PAIRS:
        check_order_of_snapshots(run, drawn)
