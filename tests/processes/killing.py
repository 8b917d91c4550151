"""A sync that is killed before each of its writes in turn, and the books that the next one makes of what is left.

The exchange is read once: the sync waits there, and is forked for each kill of what comes after.

Reads `{"age_seconds": 0}` from standard input and writes an `Inquest` to standard output, both JSON. The
database is left as a sync that nobody killed makes it, and as old as asked.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, NoReturn
from unittest.mock import patch

import django

django.setup()

from django.conf import settings  # noqa: E402 - only after the set-up
from django.db import connections  # noqa: E402
from django.db.models import Model  # noqa: E402
from django.utils import timezone  # noqa: E402

from portfolios.models import ExchangeAccount, Order, ReadCursor, SyncRun  # noqa: E402
from portfolios.services import portfolio_sync  # noqa: E402
from portfolios.services.manual_sync import sync_now  # noqa: E402
from portfolios.services.runs import heal_abandoned_runs  # noqa: E402
from providers.fetching import Job, fetch_batches  # noqa: E402
from providers.reports import Progress, Snapshot  # noqa: E402
from tests.processes.books import Books, books, covered, everything_left  # noqa: E402
from tests.processes.databases import databases  # noqa: E402

# What changes something, or makes it last.
WRITES = re.compile(r"(INSERT|UPDATE|DELETE|RELEASE)\b")
AGED: dict[type[Model], tuple[str, ...]] = {
    ExchangeAccount: ("baseline_at", "full_read_at", "seldom_read_at", "moved_at"),
    Order: ("joined_at",),
    ReadCursor: ("covered_until",),
}


@dataclass
class Inquest:
    """What came of the kills.

    Parameters
    ----------
    writes : int
        Writes of the sync that nobody killed.
    books : dict
        What that one has made, and the next one after it.
    healed : int
        Kills that left something else than the kill before.
    survivors : list of int
        Writes before which the sync was to be killed, and was not.
    differences : dict
        By the write before which the first sync was killed: rows that only one of both books has.
    """

    writes: int
    books: Books
    status: str
    kills: int = 0
    healed: int = 0
    survivors: list[int] = field(default_factory=list)
    differences: dict[int, list[str]] = field(default_factory=dict)


class Executioner:
    """Counts the writes of this process, and kills it just before the one that is `fatal`; 0 spares it."""

    def __init__(self) -> None:
        self.fatal = 0
        self.writes = 0

    def watch(self) -> None:
        connection: Any = connections["default"]
        connection.execute_wrappers.append(self._executed)
        commit = connection._commit

        def counted() -> None:
            self.count()
            commit()

        connection._commit = counted  # a commit is no statement that a wrapper sees

    def count(self) -> None:
        self.writes += 1
        if self.writes == self.fatal:
            die()

    def _executed(
        self, execute: Callable[..., Any], sql: str, params: Any, many: Any, context: Any
    ) -> Any:
        if WRITES.match(sql):
            self.count()
        return execute(sql, params, many, context)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("It lives.")


def in_a_child(do: Callable[[], Any]) -> Any:
    """Return what `do` returns in a forked process; None if that was killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with os.fdopen(writer, "w") as pipe:
                json.dump(do(), pipe)
            connections.close_all()
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _pid, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    assert os.waitstatus_to_exitcode(status) == 0, "A child failed; its traceback is above."
    return json.loads(said)


def sync() -> SyncRun:
    [run] = sync_now(ExchangeAccount.objects.all())
    return run


def settled() -> dict[str, Any]:
    """Sync once more, as if an hour had passed, and tell what the books are then.

    Whether a sync reads the lists of fills and movements depends on what the one before it came to see.
    """
    ExchangeAccount.objects.update(full_read_at=timezone.now() - timedelta(hours=2))
    sync()
    return {"books": books(), "covered": covered()}


def healed_sync() -> dict[str, Any]:
    ExchangeAccount.objects.filter(lease_expires_at__isnull=False).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )
    heal_abandoned_runs()
    sync()
    return settled()


class AllKilled(Exception):
    """There is no write left before which the sync was not killed."""


class Investigation:
    """Kills one sync before each of its writes, and lets the next one heal what is left."""

    def __init__(self) -> None:
        gc.disable()  # in a fork it would copy every page that it looks at
        settings.POSSYNC_LEASE_SECONDS = 3600  # for as long as what is read waits for its forks
        self._database = databases()
        self._executioner = Executioner()
        self._database.copy("warm")
        sync()  # loads what a worker has loaded long since
        self._database.drop("warm")
        self._database.copy("clean")
        self._clean = in_a_child(self._clean_sync)
        self.inquest = Inquest(self._clean["writes"], self._clean["books"], self._clean["status"])
        self._points = range(1, self.inquest.writes + 2)
        self._before_reading = 0
        self._left: Books | None = None

    def run(self) -> None:
        self._executioner.watch()
        self._kill_after_reading()
        self._kill_before_reading()
        self._database.take_over("clean")

    def _clean_sync(self) -> dict[str, Any]:
        self._executioner.watch()
        run = sync()
        return {"writes": self._executioner.writes, "status": run.status} | settled()

    def _kill_after_reading(self) -> None:
        self._database.copy("read")
        with suppress(AllKilled), patch.object(portfolio_sync, "fetch_batches", self._read_once):
            self._executioner.writes = 0
            sync()
            self._survive()
        self._database.drop("read")

    def _read_once(self, jobs: Iterable[Job], **_: Any) -> Iterator[list[Progress | Snapshot]]:
        """Read for all forks; each of them goes on alone until it is killed."""
        told = list(fetch_batches(jobs))
        self._before_reading = self._executioner.writes
        for fatal in self._points:
            if fatal <= self._before_reading:
                continue
            self._database.copy("killed", of="read")
            if self._forked(fatal, written=self._before_reading):
                yield from told
                return
            with patch.object(portfolio_sync, "fetch_batches", fetch_batches):
                self._examine(fatal)
        raise AllKilled

    def _kill_before_reading(self) -> None:
        for fatal in self._points:
            if fatal <= self._before_reading:
                self._database.copy("killed")
                if self._forked(fatal, written=0):
                    sync()
                    self._survive()
                self._examine(fatal)

    def _forked(self, fatal: int, *, written: int) -> bool:
        """Tell whether this is the process to be killed; the other one has waited for its end."""
        pid = os.fork()
        if pid == 0:
            self._executioner.fatal, self._executioner.writes = fatal, written
            return True
        _pid, status = os.waitpid(pid, 0)
        self.inquest.kills += 1
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            assert os.waitstatus_to_exitcode(status) == 0, "A fork failed; its traceback is above."
            self.inquest.survivors.append(fatal)
        return False

    def _survive(self) -> NoReturn:
        self._executioner.count()  # the last one comes after all of it
        os._exit(0)

    def _examine(self, fatal: int) -> None:
        # Within a transaction every kill leaves the same, which need not be healed again.
        if self._left != (left := everything_left()):
            self._left = left
            self.inquest.healed += 1
            _note_differences(self.inquest, fatal, self._clean, healed_sync())
        self._database.drop("killed")


def _note_differences(
    inquest: Inquest, fatal: int, clean: dict[str, Any], healed: dict[str, Any]
) -> None:
    difference = differing(clean["books"], healed["books"])
    for name, until in clean["covered"].items():
        if healed["covered"].get(name, "") < until:
            difference.append(f"the cursor of {name} fell behind")
    if difference:
        inquest.differences[fatal] = difference


def differing(clean: Books, healed: Books) -> list[str]:
    lines = []
    for name in clean:
        kept, made = clean[name], healed[name]
        lines += [f"{name} lacks {row}" for row in kept if row not in made]
        lines += [f"{name} has {row}" for row in made if row not in kept]
        if len(kept) != len(made):
            lines.append(f"{name} has {len(made)} rows instead of {len(kept)}")
    return lines


def age(seconds: float) -> None:
    """Move the times that decide what is read next into the past."""
    for model, names in AGED.items():
        for row in model._default_manager.all():
            for name in names:
                moment = getattr(row, name)
                setattr(row, name, moment and moment - timedelta(seconds=seconds))
            row.save(update_fields=names)


def main() -> None:
    orders = json.load(sys.stdin)
    investigation = Investigation()
    investigation.run()
    age(orders["age_seconds"])
    json.dump(asdict(investigation.inquest), sys.stdout)


if __name__ == "__main__":
    main()
