"""What may never go back, whatever happens: ends of orders, filled amounts, ends of runs."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from portfolios.models import Order, SyncRun
from tests.simulation.truth import TERMINAL

OPEN_RUNS = (SyncRun.Status.QUEUED, SyncRun.Status.RUNNING)


class Watch:
    """Looks again and again, and remembers what it has seen."""

    def __init__(self) -> None:
        self._filled: dict[int, Decimal] = {}
        self._ended: set[int] = set()
        self._runs: dict[int, str] = {}

    def went_back(self) -> Iterator[str]:
        for order in Order.objects.order_by("pk"):
            name = order.external_id or order.client_order_id
            if order.pk in self._ended and order.status not in TERMINAL:
                yield f"order {name} had ended and is {order.status} again"
            if order.filled < self._filled.get(order.pk, order.filled):
                yield f"order {name} had {self._filled[order.pk]} filled and has {order.filled}"
            self._filled[order.pk] = order.filled
            if order.status in TERMINAL:
                self._ended.add(order.pk)
        for run in SyncRun.objects.exclude(status__in=OPEN_RUNS).order_by("pk"):
            before = self._runs.setdefault(run.pk, run.status)
            if run.status != before:
                yield f"run {run.pk} was {before} and is {run.status}"
