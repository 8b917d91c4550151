"""One history: everything that happens to some accounts, drawn from one number."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError

from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Fill,
    Flow,
    LedgerEntry,
    Order,
    Position,
    SyncRun,
)
from portfolios.services.book import import_book
from providers.sandbox.faults import DistortionKind
from providers.sandbox.in_process import InProcess
from tests.simulation.alarms import Alarms
from tests.simulation.clock import VirtualClock
from tests.simulation.database import restored_afterwards
from tests.simulation.place import book_document, make_place
from tests.simulation.trouble import (
    Gone,
    Mishap,
    Standing,
    Trouble,
    database_trouble,
    draw_trouble,
)
from tests.simulation.truth import (
    books_that_do_not_add_up,
    unequal_at_last,
    untold_drifts,
    wrong_now,
)
from tests.simulation.watch import Watch
from tests.simulation.worker import Worker
from tests.simulation.world import World

# Seconds from the end of all trouble to the first good run, and between two of those: more than any lease, pause that
# an exchange asks for, lag and grace.
QUIET: Final = 900.0
BETWEEN: Final = 300.0
# Runs after which all that moved without a record is told: two looks have to differ alike, and each is settled by the
# lists of a later one.
DRIFTS_TOLD_WITHIN: Final = 3
# In so many seconds all lists are read, though nothing seems to have moved.
FULL_READ_EVERY: Final = 3_600.0
# What is not believed at once, and so takes longer to get over.
CONFIRMED: Final = frozenset(
    {
        DistortionKind.SHORTENED,
        DistortionKind.EMPTY_LIST,
        DistortionKind.EMPTY_BALANCES,
        DistortionKind.HALF_OF_BALANCES,
        DistortionKind.ORDER_DENIED,
        DistortionKind.ORDER_VANISHES,
        DistortionKind.STALE_PAGE,
    }
)


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
    kinds: set[str] = field(default_factory=set)
    digest: str = ""

    @property
    def command(self) -> str:
        return f"python -m tests.simulation {self.seed}"

    def __str__(self) -> str:
        wrong = [f"WRONG: {line}" for line in self.wrong] or ["all is well"]
        return "\n".join([self.command, *self.trace, *wrong, self.digest])


class History:
    def __init__(self, seed: int, *, without: frozenset[str] = frozenset()) -> None:
        self.outcome = Outcome(seed)
        self._rng = random.Random(seed)  # noqa: S311 - a script, not a secret
        # Apart, so that one request more or less does not change all that follows.
        self._pace = random.Random(f"pace {seed}")  # noqa: S311 - as above
        self._clock = VirtualClock()
        self._places = [
            make_place(self._rng, self._clock, n) for n in range(1, self._rng.choice((2, 2, 2, 3)))
        ]
        self._world = World(self._rng, self._places, self._tell, without)
        self._exchanges = {
            place.port: InProcess(place.engine, place.dialect) for place in self._places
        }
        self._worker = Worker(self._clock, self._after_reading)
        self._restless = 0.0
        self._trouble = Trouble()
        self._standing: list[Standing] = []
        self._is_nested = False
        self._watch = Watch()
        self._alarms = Alarms(self._clock)

    def run(self) -> Outcome:
        with (
            restored_afterwards(),
            self._clock.ruling(),
            _quiet(self.outcome.seed),
            self._worker.working(self._exchanges, self._on_request),
        ):
            self._live()
            self.outcome.digest = digest_of_books()
        return self.outcome

    def _live(self) -> None:
        import_book(book_document(self._places))
        for _ in range(self._rng.randint(3, 7)):
            self._let_happen()
            self._book_orders()
            self._pass(self._rng.choice((45, 120, 300, 300, 900, 5_000, 100_000)))
            self._restless = self._rng.choice((0, 0, 0.1, 0.3))
            self._suffer()
            if self.outcome.wrong:
                return
        self._settle()

    def _settle(self) -> None:
        """End all trouble, and look how soon the books are right."""
        self._standing.clear()
        self._show_faults()
        self._clock.set_skew(0)
        self._restless = 0
        self._tell("all trouble ends")
        # That a deposit on its way was lost shows only if it arrives after a good look.
        if self._world.awaits_deposits():
            self._pass(QUIET)
            self._sync()
            self._check()
        self._world.end_what_waits()
        self._book_orders()
        self._pass(FULL_READ_EVERY if self._world.told_by_lists_alone() else QUIET)
        wrong: list[str] = []
        for number in range(max(self._most_runs(), DRIFTS_TOLD_WITHIN)):
            if wrong and number == self._most_runs():
                break
            self._sync()
            self._check()
            self._pass(BETWEEN)
            wrong = [line for place in self._places for line in unequal_at_last(place)]
            wrong += books_that_do_not_add_up()
            untold = [line for place in self._places for line in untold_drifts(place)]
            if not wrong and not untold:
                return
        self.outcome.wrong += wrong + untold

    def _most_runs(self) -> int:
        """Two, or four where the ladder or the quarantine has to confirm."""
        return 4 if self.outcome.kinds & CONFIRMED else 2

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
            if rows:
                import_book({"orders": rows})

    def _suffer(self) -> None:
        """Sync, with whatever goes wrong on the way."""
        known = set(
            ExchangeAccount.objects.exclude(baseline_at=None).values_list("label", flat=True)
        )
        places = {place.port for place in self._places if place.label in known}
        if len(known) == len(self._places):
            self._world.let_drift()
        self._trouble = draw_trouble(self._rng, sorted(self._exchanges), places)
        self._standing += self._trouble.faults
        self._show_faults()
        self.outcome.kinds |= {*self._trouble.mishaps, *(x.fault.kind for x in self._standing)}
        if said := str(self._trouble):
            self._tell(f"trouble: {said}")
        if Mishap.CLOCK_OFF in self._trouble.mishaps:
            self._clock.set_skew(self._trouble.skew)
        if Mishap.RESTARTED in self._trouble.mishaps:
            self._worker.forget()
        try:
            with database_trouble(self._trouble):
                self._sync()
        except (Gone, OperationalError) as e:
            self._tell(f"the worker ends: {type(e).__name__}")
            self.outcome.wrong += books_that_do_not_add_up()
        self._check()
        for standing in self._standing:
            standing.syncs -= 1
        self._standing = [standing for standing in self._standing if standing.syncs]
        self._trouble = Trouble()

    def _show_faults(self) -> None:
        for port, exchange in self._exchanges.items():
            exchange.faults[:] = [x.fault for x in self._standing if x.port == port]
        for place in self._places:
            kinds = {x.fault.kind for x in self._standing if x.port == place.port}
            place.has_misnamed |= DistortionKind.REJECTED_AS_CANCELED in kinds

    def _sync(self) -> None:
        waiting = self._worker.due_runs()
        if Mishap.TASK_LOST in self._trouble.mishaps:
            return
        self._is_nested = False
        self._worker.execute(waiting)
        if Mishap.DELIVERED_TWICE in self._trouble.mishaps:
            self._worker.execute(waiting)
        self._tell_runs(waiting)

    def _tell_runs(self, waiting: list[int]) -> None:
        for run in SyncRun.objects.filter(pk__in=waiting).order_by("pk"):
            unread = [
                f"{x.kind} {x.subject} {x.error_message}"
                for x in run.legs.exclude(status__in=("OBSERVED", "UNSUPPORTED"))
            ]
            words = (f"{run.account}: {run.status}", f"{run.http_requests} requests", run.message)
            self._tell(", ".join([*filter(None, words), *unread]))

    def _after_reading(self) -> None:
        """Let another worker come in between what this one has read and what it writes."""
        mishaps = self._trouble.mishaps
        if self._is_nested or not mishaps & {Mishap.LATE_WORKER, Mishap.DELIVERED_TWICE}:
            return
        self._is_nested = True
        if Mishap.LATE_WORKER in mishaps:
            self._let_happen()
            self._clock.advance(60)
        waiting = self._worker.due_runs()
        self._worker.execute(waiting)
        self._tell_runs(waiting)
        # What this one has ended the other, which was late, leaves alone.
        self.outcome.wrong += self._watch.went_back()

    def _check(self) -> None:
        for place in self._places:
            self.outcome.wrong += wrong_now(place)
            self.outcome.wrong += self._alarms.false(place)
        self.outcome.wrong += self._watch.went_back()

    async def _on_request(self, port: int) -> None:
        self._clock.advance(self._pace.uniform(0.02, 0.3))
        if self._pace.random() < self._restless:
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
            "account",
            "portfolio",
            "external_id",
            "client_order_id",
            "status",
            "filled",
            "amount",
            "fees",
        ),
        "fills": Fill.objects.order_by("pk").values_list("external_id", "order", "amount", "fees"),
        "flows": Flow.objects.order_by("pk").values_list("external_id", "status", "amount"),
        "ledger": LedgerEntry.objects.order_by("pk").values_list("key", "asset", "amount", "cost"),
        "positions": Position.objects.order_by("pk").values_list("portfolio", "asset", "amount"),
        "discrepancies": Discrepancy.objects.order_by("pk").values_list("key", "code", "state"),
    }
    document = {name: [list(row) for row in found] for name, found in rows.items()}
    return hashlib.sha256(json.dumps(document, cls=DjangoJSONEncoder).encode()).hexdigest()
