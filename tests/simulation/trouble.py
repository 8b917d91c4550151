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

from providers.sandbox.faults import Fault, FaultKind

WRITES: Final = ("INSERT", "UPDATE", "DELETE")
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


class Gone(BaseException):
    """The worker was killed."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """All that goes wrong around one sync.

    Attributes
    ----------
    faults : dict
        What the exchange at a port does, by port.
    """

    mishaps: frozenset[Mishap] = frozenset()
    faults: dict[int, list[Fault]] = field(default_factory=dict)
    at_write: int = 0
    skew: float = 0

    @property
    def kinds(self) -> list[str]:
        told = [fault.kind.value for faults in self.faults.values() for fault in faults]
        return sorted([*self.mishaps, *told])


KINDS: Final = (*FaultKind, *Mishap)


def draw_trouble(rng: random.Random, ports: list[int]) -> Trouble:
    """Draw none to three kinds of trouble."""
    kinds = rng.choices(KINDS, k=rng.choice((0, 0, 1, 1, 2, 3)))
    faults: dict[int, list[Fault]] = {}
    for kind in kinds:
        if isinstance(kind, FaultKind):
            faults.setdefault(rng.choice(ports), []).append(_fault(rng, kind))
    return Trouble(
        mishaps=frozenset(kind for kind in kinds if isinstance(kind, Mishap)),
        faults=faults,
        at_write=rng.randint(1, 60),
        skew=rng.choice((-300, -45, -3, 3, 45, 300)),
    )


def _fault(rng: random.Random, kind: FaultKind) -> Fault:
    return Fault(
        kind,
        path=rng.choice(PATHS),
        times=rng.choice((1, 1, 2, 6, None)),
        retry_after=rng.choice((1, 3, 30, 120)),
        shift=timedelta(seconds=rng.choice((-600, -30, 30, 600))),
        size=33 * 1024 * 1024,
    )


@contextmanager
def database_trouble(trouble: Trouble) -> Iterator[None]:
    """Kill the worker, or lock the database for a moment, at the write that `trouble` names."""
    if not trouble.mishaps & {Mishap.KILLED, Mishap.DATABASE_LOCKED}:
        yield
        return
    with connection.execute_wrapper(_Writes(trouble)):
        yield


class _Writes:
    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._seen = 0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if sql.startswith(WRITES):
            self._seen += 1
            if Mishap.KILLED in self._trouble.mishaps and self._seen >= self._trouble.at_write:
                raise Gone
            if self._seen == self._trouble.at_write:
                raise OperationalError("database is locked")
        return execute(sql, params, many, context)
