"""What goes wrong around one sync: at the exchange, on the way, with the worker, with the database."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import OperationalError, connection

from providers.sandbox.faults import ALL_KINDS, DistortionKind, Fault, FaultKind

WRITES: Final = ("INSERT", "UPDATE", "DELETE")
# The last statement of storing what was read; what follows applies it.
STORED: Final = 'INSERT INTO "portfolios_storedleg"'
# What the requests of one kind of read have in their path, in either dialect.
PATHS: Final = (
    None,
    "account|Balance",
    "openOrders|OpenOrders",
    "v3/order|QueryOrders",
    "myTrades|Trades",
    "exchangeInfo|AssetPairs",
    "capital|Ledgers|Status",
)


class Mishap(StrEnum):
    """What goes wrong on our side."""

    KILLED = "killed"
    DATABASE_LOCKED = "database_locked"
    DELIVERED_TWICE = "delivered_twice"
    TASK_LOST = "task_lost"
    LATE_WORKER = "late_worker"
    RESTARTED = "restarted"
    CLOCK_OFF = "clock_off"


# What keeps a worker from writing all that it has read.
CUT_OFF: Final = frozenset({Mishap.KILLED, Mishap.DATABASE_LOCKED})


class Gone(BaseException):
    """The worker was killed."""


@dataclass(slots=True)
class Trouble:
    """All that goes wrong around one sync.

    Attributes
    ----------
    faults : list
        What the exchange at a port does, and for how many syncs.
    at_write : int
        Which statement that writes is the last one, or the one that finds the database locked.
    is_after_storing : bool
        Whether `at_write` counts only the statements after those that store what was read.
    skew : float
        Seconds by which the host's clock is off.
    """

    mishaps: set[Mishap] = field(default_factory=set)
    faults: list[Standing] = field(default_factory=list)
    at_write: int = 0
    is_after_storing: bool = False
    skew: float = 0

    def __str__(self) -> str:
        return ", ".join([*sorted(self.mishaps), *map(str, self.faults)])


@dataclass(slots=True)
class Standing:
    """A fault of the exchange at `port`, and for how many syncs it stands."""

    port: int
    fault: Fault
    syncs: int

    def __str__(self) -> str:
        fault = self.fault
        return f"{fault.kind} at {fault.path or 'all'} x {fault.times} for {self.syncs}"


# A trade without an id is one for good: with an id now and none then it would be two.
NOT_DRAWN: Final = frozenset({DistortionKind.NO_TRADE_ID})
KINDS: Final = tuple(kind for kind in (*ALL_KINDS, *Mishap) if kind not in NOT_DRAWN)
# What shows something only now and then: an answer from before an order ended, which the books know by now.
OFTEN: Final = (DistortionKind.STALE_PAGE,) * 3
# Where it goes wrong is drawn first, so that our own side gets its share.
SIDES: Final = tuple(
    tuple(kind for kind in (*KINDS, *OFTEN) if isinstance(kind, side))
    for side in (FaultKind, DistortionKind, Mishap)
)
# Seconds: within one sync, and as far back as the first, the second and several before it.
AGES: Final = (30, 300, 700, 1_500)


def draw_trouble(rng: random.Random, ports: list[int], known: set[int]) -> Trouble:
    """Draw none to three kinds of trouble.

    Parameters
    ----------
    known : set of int
        Ports whose accounts have a baseline. The first look at the others is not distorted: nobody could tell.
    """
    trouble = Trouble(at_write=rng.randint(1, 60), skew=rng.choice((-300, -45, -3, 3, 45, 300)))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        kind, port = rng.choice(rng.choice(SIDES)), rng.choice(ports)
        if isinstance(kind, Mishap):
            trouble.mishaps.add(kind)
        elif isinstance(kind, FaultKind) or port in known:
            syncs = 1 if isinstance(kind, FaultKind) else rng.choice((1, 1, 2, 4))
            trouble.faults.append(Standing(port, _fault(rng, kind), syncs))
    # Between storing and applying there is most to lose.
    if trouble.mishaps & CUT_OFF and rng.random() < 2 / 3:
        trouble.at_write, trouble.is_after_storing = rng.randint(1, 20), True
    return trouble


def _fault(rng: random.Random, kind: FaultKind | DistortionKind) -> Fault:
    is_shown = isinstance(kind, FaultKind)
    return Fault(
        kind,
        path=rng.choice(PATHS) if is_shown else None,
        times=rng.choice((1, 1, 2, 6, None)),
        retry_after=rng.choice((1, 3, 30, 120)),
        shift=timedelta(seconds=rng.choice((-600, -30, 30, 600))),
        size=33 * 1024 * 1024,
        age=timedelta(seconds=rng.choice(AGES)),
        seed=rng.randrange(1_000_000),
    )


@contextmanager
def database_trouble(trouble: Trouble) -> Iterator[None]:
    """Kill the worker, or lock the database for a moment, at the write that `trouble` names."""
    if trouble.mishaps & CUT_OFF:
        with connection.execute_wrapper(_Writes(trouble)):
            yield
    else:
        yield


class _Writes:
    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._seen = 0
        self._counts = not trouble.is_after_storing

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if sql.startswith(WRITES) and self._counts:
            self._seen += 1
            if Mishap.KILLED in self._trouble.mishaps and self._seen >= self._trouble.at_write:
                raise Gone
            if self._seen == self._trouble.at_write:
                raise OperationalError("database is locked")
        self._counts = self._counts or sql.startswith(STORED)
        return execute(sql, params, many, context)
