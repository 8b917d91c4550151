"""Every field of the exchange's rows, told as null once: later nothing is missing, doubled or invented.

On virtual time, without sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import transaction

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.book import import_book
from portfolios.services.runs import open_run
from providers.sandbox.binance import Binance
from providers.sandbox.books import Fee, Instrument, Order
from providers.sandbox.dialect import Dialect, DistortionKind
from providers.sandbox.distortions import Row
from providers.sandbox.engine import Engine
from providers.sandbox.faults import Fault
from providers.sandbox.in_process import InProcess
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import shown_secret
from tests.desk import KEY, SECRET
from tests.processes.books import LOOKS, Books, amounts
from tests.simulation.clock import VirtualClock
from tests.simulation.worker import Worker

PORT = 40_002
STEP = Decimal("0.01")
DIALECTS: dict[str, Callable[[Engine], Dialect]] = {"binance": Binance, "kraken": Kraken}
# What an order or a fill says of itself beside its facts, and the costs that are made of these.
SAID_OF_IT = (*LOOKS, "updated_at", "cost", "average", "order_external_id")
SECRETS = {"binance": SECRET, "kraken": shown_secret(SECRET)}
# Beyond the hour in which lists are read again.
LATER = 4000.0


@dataclass
class Stage:
    clock: VirtualClock
    exchange: InProcess
    engine: Engine
    worker: Worker

    def sync_after(self, seconds: float) -> SyncRun:
        self.clock.advance(seconds)
        run, _is_new = open_run(ExchangeAccount.objects.get(), SyncRun.Trigger.MANUAL)
        self.worker.execute([run.pk])
        run.refresh_from_db()
        return run


@contextmanager
def stage(market: str) -> Iterator[Stage]:
    clock = VirtualClock()
    instruments = [Instrument(symbol, STEP, STEP, Decimal(1)) for symbol in ("ADA/EUR", "DOT/EUR")]
    engine = Engine(instruments, clock=clock.now)
    engine.add_account(KEY, SECRET)
    exchange = InProcess(engine, DIALECTS[market](engine))
    worker = Worker(clock, lambda: None)

    async def on_request(_port: int) -> None:
        """Let no time pass: how many requests there are changes no fact."""

    with clock.ruling(), worker.working({PORT: exchange}, on_request):
        yield Stage(clock, exchange, engine, worker)


@contextmanager
def unstored() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def open_books(at: Stage, market: str) -> Order:
    """Open an account that holds something, with an order of a portfolio, one of nobody, and one that will end."""
    engine = at.engine
    for asset in ("EUR", "ADA"):
        engine.deposit(KEY, asset, "10000")
    engine.reward(KEY, "ADA", "3")
    engine.transfer(KEY, "EUR", "4", target="funding")
    own = engine.buy(KEY, "ADA/EUR", "100", "1", client_id="desk-1")
    engine.sell(KEY, "ADA/EUR", "7", "2", client_id="other-1")
    engine.sell(KEY, "ADA/EUR", "9", "3")
    account = {
        "label": "main",
        "market": market,
        "credential": {"apiKey": KEY, "secret": SECRETS[market]},
        "endpoint": f"http://127.0.0.1:{PORT}",
        "lag_seconds": 2,
        "grace_seconds": 0,
    }
    portfolio = {"name": "alpha", "account": "main", "trading_symbol": "EUR"}
    row = {"portfolio": "alpha", "symbol": "ADA/EUR", "side": "buy", "amount": "100", "price": "1"}
    import_book(
        {
            "accounts": [account],
            "portfolios": [portfolio | {"initial_balance": "1000"}],
            "orders": [row | {"client_order_id": "desk-1"}],
        }
    )
    return own


def books_after(market: str, fault: Fault | None) -> Books:
    """Tell what the books are in the end if `fault` happens at one look, after a good deal has happened."""
    with unstored(), stage(market) as at:
        own = open_books(at, market)
        at.sync_after(60)
        foreign, ends = at.engine.open_orders(KEY)[1:]
        at.clock.advance(60)
        at.engine.fill_order(own.id, "40", fee=Fee("EUR", Decimal("0.03")))
        at.engine.fill_order(foreign.id, "2", fee=Fee("ADA", Decimal("0.01")))
        at.engine.fill_order(ends.id, "9")
        at.engine.deposit(KEY, "EUR", "11")
        at.engine.withdraw(KEY, "ADA", "5", fee="0.5")
        at.exchange.faults.extend([fault] if fault else [])
        at.sync_after(60)
        at.exchange.faults.clear()
        at.clock.advance(60)
        at.engine.fill_order(own.id, "60", fee=Fee("EUR", Decimal("0.04")))
        runs = [at.sync_after(LATER) for _look in range(2)]
        assert runs[-1].status == SyncRun.Status.SUCCEEDED, runs[-1].message
        return amounts(without=SAID_OF_IT)


class Names(Random):
    """Remembers every field that one could be chosen of."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def choice(self, choices: Any) -> Any:
        self.seen |= {name for row in choices if isinstance(row, Row) for name in row.value}
        return choices[0]


def names_of(market: str) -> list[str]:
    fault = Fault(DistortionKind.NULL_FIELD)
    fault.random = names = Names()
    books_after(market, fault)
    return sorted(names.seen)


@pytest.mark.django_db
@pytest.mark.parametrize("market", DIALECTS)
def test_a_field_that_was_null_once_leaves_nothing_behind(market: str) -> None:
    expected = books_after(market, None)
    wrong = []
    for name in names_of(market):
        fault = Fault(DistortionKind.NULL_FIELD, name=name)
        if books_after(market, fault) != expected or not fault.happened:
            wrong.append(name)
    assert wrong == []
