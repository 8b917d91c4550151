"""One history: everything that happens to some accounts, drawn from one number."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from django.core.serializers.json import DjangoJSONEncoder

from portfolios.models import Discrepancy, Fill, Flow, LedgerEntry, Order, Position, SyncRun
from portfolios.services.book import import_book
from providers.sandbox.in_process import InProcess
from tests.simulation.clock import VirtualClock
from tests.simulation.database import restored_afterwards
from tests.simulation.truth import books_that_do_not_add_up, unequal_at_last, wrong_now
from tests.simulation.worker import Worker
from tests.simulation.world import World, book_document, make_place

# Seconds from the end of all trouble to the first good run, and between two of those: more than any lease, pause that
# an exchange asks for, lag and grace.
QUIET: Final = 900.0
BETWEEN: Final = 300.0


@dataclass(slots=True)
class Outcome:
    """What became of one history.

    Attributes
    ----------
    wrong : list
        What should not be, in words; empty if all is well.
    digest : str
        Of the books at the end.
    """

    seed: int
    wrong: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    digest: str = ""

    def __str__(self) -> str:
        lines = [f"python -m tests.simulation {self.seed}", *self.trace, *self.wrong]
        return "\n".join(lines)


class Gone(BaseException):
    """The worker is no more."""


class History:
    def __init__(self, seed: int, *, without: frozenset[str] = frozenset()) -> None:
        self.outcome = Outcome(seed)
        self._rng = random.Random(seed)
        self._clock = VirtualClock()
        self._places = [
            make_place(self._rng, self._clock, n) for n in range(1, self._rng.choice((2, 2, 3)))
        ]
        self._world = World(self._rng, self._places, self._tell, without=without)
        self._exchanges = {
            place.port: InProcess(place.engine, place.dialect) for place in self._places
        }
        self._worker = Worker(self._clock, self._after_reading)
        self._restless = 0.0

    def run(self) -> Outcome:
        with restored_afterwards(), self._clock.ruling(), _quiet(self.outcome.seed):
            with self._worker.working(self._exchanges, self._on_request):
                self._live()
                self.outcome.digest = digest_of_books()
        return self.outcome

    def _live(self) -> None:
        import_book(book_document(self._places))
        for _ in range(self._rng.randint(4, 9)):
            self._let_happen()
            self._book_orders()
            self._pass(self._rng.choice((45, 120, 300, 300, 900, 5_000, 100_000)))
            self._restless = self._rng.choice((0, 0, 0.1, 0.3))
            self._sync()
            if self.outcome.wrong:
                return
        self._settle()

    def _settle(self) -> None:
        self._restless = 0
        self._world.end_what_waits()
        self._book_orders()
        self._pass(QUIET)
        for run in range(2):
            self._sync()
            self._pass(BETWEEN)
            wrong = [line for place in self._places for line in unequal_at_last(place)]
            if not wrong:
                return
        self.outcome.wrong += wrong

    def _let_happen(self) -> None:
        for _ in range(self._rng.randint(0, 6)):
            self._world.act()
            self._clock.advance(self._rng.choice((0.001, 0.5, 3, 20)))

    def _pass(self, seconds: float) -> None:
        self._clock.advance(seconds * self._rng.uniform(1, 1.1))

    def _book_orders(self) -> None:
        for place in self._places:
            rows = place.unbooked[:]
            place.unbooked.clear()
            import_book({"orders": rows})

    def _sync(self) -> None:
        self._worker.execute(self._worker.due_runs())
        for run in SyncRun.objects.order_by("-pk")[: len(self._places)]:
            legs = [f"{x.kind} {x.subject}: {x.status}" for x in run.legs.all() if x.status != "OBSERVED"]
            self._tell(f"{run.account}: {run.status} {run.http_requests} requests {run.message} {legs}")
        for place in self._places:
            self.outcome.wrong += wrong_now(place)
        self.outcome.wrong += books_that_do_not_add_up()

    def _after_reading(self) -> None:
        return None

    async def _on_request(self, port: int) -> None:
        self._clock.advance(self._rng.uniform(0.02, 0.3))
        if self._rng.random() < self._restless:
            self._world.act()

    def _tell(self, line: str) -> None:
        self.outcome.trace.append(f"{self._clock.now():%d %H:%M:%S} {line}")


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """Log nothing, and let the pauses between attempts be drawn from `seed` too."""
    state = random.getstate()
    random.seed(seed)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        random.setstate(state)


def digest_of_books() -> str:
    """Content of everything that is stored as a fact or derived from one; when it was stored does not count."""
    rows = {
        "orders": Order.objects.order_by("pk").values_list(
            "account", "portfolio", "external_id", "client_order_id", "status", "filled", "amount", "fees"
        ),
        "fills": Fill.objects.order_by("pk").values_list("external_id", "order", "amount", "fees"),
        "flows": Flow.objects.order_by("pk").values_list("external_id", "status", "amount"),
        "ledger": LedgerEntry.objects.order_by("pk").values_list("key", "asset", "amount", "cost"),
        "positions": Position.objects.order_by("pk").values_list("portfolio", "asset", "amount"),
        "discrepancies": Discrepancy.objects.order_by("pk").values_list("key", "code", "state"),
    }
    document = {name: [list(row) for row in found] for name, found in rows.items()}
    return hashlib.sha256(json.dumps(document, cls=DjangoJSONEncoder).encode()).hexdigest()
