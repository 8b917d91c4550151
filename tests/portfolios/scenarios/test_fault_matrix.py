"""Every fault that shows, at every read, at a first and at a later sync: on virtual time, without sockets.

While it lasts nothing is booked but what is true; when it is over, the books are what they would be without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest

from portfolios.models import CircuitBreaker, ExchangeAccount, Incident, Position, SyncRun
from portfolios.services.book import import_book
from portfolios.services.runs import open_run
from providers.sandbox.binance import Binance
from providers.sandbox.books import Instrument
from providers.sandbox.engine import Engine
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.in_process import InProcess
from tests.desk import KEY, SECRET
from tests.hypothesis_profiles import IS_PROVE
from tests.simulation.clock import VirtualClock
from tests.simulation.worker import Worker

READS = ("exchangeInfo$", "openOrders$", "/order$", "/account$", "myTrades$", "time$")
SYNCS = ("first", "later")
CASES = [(kind, read, sync) for kind in FaultKind for read in READS for sync in SYNCS]
# In the gate every second fault once, at another read each time; `make prove` has all.
CHOSEN = CASES if IS_PROVE else CASES[:: 2 * len(READS) * len(SYNCS) + 1]
PORT = 40_001
STEP = Decimal("0.01")
# Seconds: longer than any hold, back-off and lease.
LONG = 1800.0
Status = SyncRun.Status
Books = dict[str, Decimal]
# A first sync may come to the opening without the fills, or to the fills without the opening.
OPENED: Books = {"EUR": Decimal(1000)}
UNOPENED: Books = {"ADA": Decimal(100), "EUR": Decimal(-100)}
TRUTH: Books = {"ADA": Decimal(100), "EUR": Decimal(900)}


@dataclass
class Stage:
    clock: VirtualClock
    exchange: InProcess
    engine: Engine
    worker: Worker

    def sync(self) -> SyncRun:
        run, _is_new = open_run(ExchangeAccount.objects.get(), SyncRun.Trigger.MANUAL)
        self.worker.execute([run.pk])
        run.refresh_from_db()
        self.clock.advance(30)
        return run

    def books(self) -> Books:
        rows = Position.objects.filter(portfolio__isnull=False).order_by("asset")
        return {row.asset: row.amount for row in rows}


@contextmanager
def stage() -> Iterator[Stage]:
    clock = VirtualClock()
    engine = Engine([Instrument("ADA/EUR", STEP, STEP, Decimal(1))], clock=clock.now)
    engine.add_account(KEY, SECRET)
    exchange = InProcess(engine, Binance(engine))
    worker = Worker(clock, lambda: None)

    async def on_request(_port: int) -> None:
        clock.advance(0.05)

    with clock.ruling(), worker.working({PORT: exchange}, on_request):
        yield Stage(clock, exchange, engine, worker)


def prepare(at: Stage, sync: str) -> None:
    """Let an order be filled that the books hold open, with a first look at the account before it or not."""
    at.engine.deposit(KEY, "EUR", "10000")
    account = {
        "label": "main",
        "market": "binance",
        "credential": {"apiKey": KEY, "secret": SECRET},
        "endpoint": f"http://127.0.0.1:{PORT}",
        "lag_seconds": 0,
        "grace_seconds": 0,
    }
    portfolio = {"name": "alpha", "account": "main", "trading_symbol": "EUR"}
    order = at.engine.buy(KEY, "ADA/EUR", "100", "1")
    at.engine.buy(KEY, "ADA/EUR", "7", "0.5")
    row = {
        "portfolio": "alpha",
        "external_id": order.id,
        "symbol": "ADA/EUR",
        "side": "buy",
        "amount": "100",
        "price": "1",
    }
    import_book(
        {
            "accounts": [account],
            "portfolios": [portfolio | {"initial_balance": "1000"}],
            "orders": [row],
        }
    )
    if sync == "later":
        assert at.sync().status == Status.SUCCEEDED
        at.worker.forget()
    at.clock.advance(60)
    at.engine.fill_order(order.id, "100")
    at.clock.advance(60)


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "read", "sync"), CHOSEN)
def test_a_fault_books_nothing_wrong_and_leaves_nothing_behind(
    kind: FaultKind, read: str, sync: str
) -> None:
    with stage() as at:
        prepare(at, sync)
        before = at.books()
        fault = Fault(kind, path=read, retry_after=120)
        at.exchange.faults.append(fault)

        run = at.sync()

        assert run.status in (Status.SUCCEEDED, Status.PARTIAL, Status.FAILED)
        assert at.books() in (before, TRUTH, *((OPENED, UNOPENED) if sync == "first" else ()))
        groups = list(Incident.objects.values_list("type", "operation"))
        assert len(groups) == len(set(groups))

        at.exchange.faults.clear()
        at.clock.advance(LONG)
        runs = [at.sync() for _run in range(2)]

        assert [run.status for run in runs] == [Status.SUCCEEDED] * 2
        assert at.books() == TRUTH
        assert not CircuitBreaker.objects.exists()
        assert not ExchangeAccount.objects.get().discrepancies.filter(state="open").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("sync", SYNCS)
def test_without_a_fault_the_matrix_ends_with_the_same_books(sync: str) -> None:
    with stage() as at:
        prepare(at, sync)

        assert at.sync().status == Status.SUCCEEDED
        assert at.books() == TRUTH
