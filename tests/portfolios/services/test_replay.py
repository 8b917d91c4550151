"""Whatever an exchange tells, in whatever order and however often: the books are the same to the byte.

A pool of legs tells of one small account in several stages. Some are late copies of others, some lack half, some
failed. A case is a handful of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolios.amounts import exact_sum, plain
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
from portfolios.services.portfolio_sync import apply_snapshot
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
from tests.processes.books import Books, books

D = Decimal
FACTS = (Portfolio, Order, OrderVersion, Fill, Flow, LedgerEntry, Position)
# Another look is one more, and no other fact.
LOOKS = ("fills_wanted", "missing_since", "strikes", "last_strike_at")
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


BUY = make_order_report("1", created_at=FIRST)
SELL = make_order_report(
    "2", symbol="DOT/EUR", side=OrderSide.SELL, amount=D(9), price=D(5), created_at=FIRST
)
# In no book.
FOREIGN = make_order_report("3", side=OrderSide.SELL, amount=D(4), price=D(3), created_at=FIRST)
A1 = fill("a1", BUY, "3", "2", fee("EUR", "0.006"))
A2 = fill("a2", BUY, "4", "1.999999999999999999", fee("BNB", "0.000000000000000001"))
A3 = fill("a3", BUY, "3", "2", fee("ADA", "0.003"))
D4 = fill("d4", SELL, "2.5", "5.000000000000000001", fee("EUR", "-0.01"))
X5 = fill("x5", FOREIGN, "1", "3", fee("EUR", "0.003"))
X6 = fill("x6", FOREIGN, "3", "3.1", fee("BNB", "0.01"))
DEPOSIT = make_flow_report("100.000000000000000001", occurred_at=at(1), settled_at=None)
WITHDRAWAL = make_flow_report(
    "-20",
    kind=FlowKind.WITHDRAWAL,
    external_id="w-1",
    source=FlowSource.WITHDRAWALS,
    occurred_at=at(2),
    settled_at=None,
    fees=(fee("EUR", "0.1"),),
)
PENDING, DONE = FlowStatus.PENDING, FlowStatus.DONE
POOL: tuple[Leg, ...] = (
    open_orders(BUY, SELL),
    open_orders(after(BUY, A1), after(SELL, D4), after(FOREIGN, X5)),
    order_leg(after(BUY, A1, A2)),
    order_leg(after(BUY, A1, A2, A3, status=OrderStatus.CLOSED)),
    order_leg(after(SELL, D4, status=OrderStatus.CANCELED)),
    order_leg(after(FOREIGN, X5, X6, status=OrderStatus.CLOSED)),
    fills_leg(A1, A2, A3),
    fills_leg(D4),
    account_fills(A1, A2, X5),
    account_fills(D4, symbol="DOT/EUR"),
    flows_leg(replace(DEPOSIT, status=PENDING)),
    flows_leg(replace(DEPOSIT, status=DONE, settled_at=at(5))),
    flows_leg(replace(WITHDRAWAL, status=PENDING), source=FlowSource.WITHDRAWALS),
    flows_leg(
        replace(WITHDRAWAL, status=DONE, settled_at=at(6), fees=(fee("EUR", "0.2"),)),
        source=FlowSource.WITHDRAWALS,
    ),
    failed(LegKind.ORDER, subject="1"),
    failed(LegKind.OPEN_ORDERS),
    *denial("2")[:1],
)
some_legs = st.lists(st.sampled_from(range(len(POOL))), min_size=2, max_size=7)
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def run(db: None) -> SyncRun:
    account = make_books("replay", {"DOT": "9"})
    note_order(account, created_at=FIRST.isoformat())
    note_order(
        account,
        external_id="2",
        symbol="DOT/EUR",
        side="sell",
        amount="9",
        price="5",
        created_at=FIRST.isoformat(),
    )
    look(account, balances(EUR="1000", DOT="9", ADA="50", BNB="1"), open_orders(BUY, SELL))
    assert account.baseline_at is not None
    return begin(account)


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def stored() -> Books:
    return books(FACTS, without=LOOKS)


def applied(run: SyncRun, snapshots: Iterable[Iterable[int]]) -> None:
    for numbers in snapshots:
        apply_snapshot(run, [POOL[number] for number in numbers])


@quick
@given(some_legs)
def test_the_order_of_legs_in_a_snapshot_changes_nothing(run: SyncRun, numbers: list[int]) -> None:
    with undone():
        applied(run, [sorted(numbers)])
        expected = stored()
    with undone():
        applied(run, [numbers])
        assert stored() == expected


@quick
@given(some_legs)
def test_a_snapshot_that_arrives_again_changes_nothing(run: SyncRun, numbers: list[int]) -> None:
    middle = len(numbers) // 2
    with undone():
        applied(run, [numbers[:middle], numbers[middle:]])
        expected = stored()
        # Once more, the other way round, and all of it at once.
        applied(run, [numbers[middle:], numbers[:middle], numbers])
        assert stored() == expected


@quick
@given(some_legs)
def test_snapshots_in_another_order_end_at_the_same_amounts(
    run: SyncRun, numbers: list[int]
) -> None:
    with undone():
        applied(run, [[number] for number in sorted(numbers)])
        expected = amounts()
    with undone():
        applied(run, [[number] for number in numbers])
        assert amounts() == expected


def amounts() -> Books:
    """Tell what does not depend on when the books learnt of it, as the cost of what is sold does."""
    facts = books((Order, Fill, Flow), without=LOOKS)
    sums: defaultdict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
    rows = LedgerEntry.objects.values_list(
        "portfolio__name", "asset", "order__external_id", "amount"
    )
    for owner, asset, order, amount in rows:
        sums[str(owner), asset, str(order)].append(amount)
    totals = {key: plain(exact_sum(values)) for key, values in sums.items()}
    positions = Position.objects.values_list("portfolio__name", "asset", "amount", "reserved")
    return facts | {
        "ledger": sorted([*key, total] for key, total in totals.items() if total != "0"),
        "positions": sorted(
            [str(owner), asset, plain(amount), plain(reserved)]
            for owner, asset, amount, reserved in positions
            if amount or reserved
        ),
    }
