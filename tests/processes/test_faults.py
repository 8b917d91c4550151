"""What happens to a running installation, and what it has to come back from by itself.

Each ends with books as the exchange has them, one run for the one time that the account was due, and one group of
exceptions for each cause. The gate runs some, on PostgreSQL with two clusters; `make prove` all of them, with two.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from scripts.postgres import PrivateServer, private_server
from tests.house.processes import Running, alive, running, wait_until_gone
from tests.hypothesis_profiles import IS_PROVE
from tests.processes.databases import URL, database_of_its_own, server_session
from tests.processes.installation import Installation, make_engine, wait_until
from tests.processes.test_qcluster import at_the_exchange, book_order, connected_to, held
from tests.processes.web import MAKE_TOKEN, Press, serving

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("faults")]
QUIET, STALLED, LEASE = 1, 2, 2
# Seconds: two ticks with the usual settings are two minutes, and these are a tenth of them.
TWO_TICKS = 12
# What django-q2's pusher waits after a fault of its database, whatever the settings.
PAUSE = 10
# In the gate other tests take their time of the same processors.
RECOVERY = TWO_TICKS + PAUSE if IS_PROVE else 30
START = 90
STOPPED = 60
DOWN = 5
# What every commit is kept with, whatever happens to the server.
DURABLE = ("fsync=off", "full_page_writes=off")
SETTINGS = {
    "POSSYNC_QUIET_SECONDS": str(QUIET),
    "POSSYNC_STALLED_SECONDS": str(STALLED),
    "POSSYNC_LEASE_SECONDS": str(LEASE),
    "POSSYNC_LOG_LEVEL": "INFO",
    # With one worker, the one that waits for work is the one that holds the queue's lock.
    "POSSYNC_WORKERS": "1",
}


@dataclass
class World:
    installed: Installation
    url: str
    clusters: list[Running]
    order_id: str
    server: PrivateServer | None = None

    def sql(self, statement: str, *given: Any) -> list[Any]:
        """Ask the installation's database, or change it behind its back."""
        if self.url:
            with server_session(self.url) as session:
                done = session.execute(statement.replace("?", "%s").encode(), given)
                return done.fetchall() if done.description else []
        with closing(sqlite3.connect(self.file, timeout=20, isolation_level=None)) as session:
            return session.execute(statement, given).fetchall()

    @property
    def file(self) -> Path:
        return self.installed.folder / "possync.sqlite3"

    def runs(self, after: int = 0) -> list[str]:
        rows = self.sql("SELECT status FROM portfolios_syncrun WHERE id > ? ORDER BY id", after)
        return [status for (status,) in rows]

    def vanished(self) -> int:
        """How often a worker was told to have vanished."""
        counts = self.sql("SELECT count FROM portfolios_incident WHERE type = 'WorkerVanished'")
        return sum(count for (count,) in counts)

    def become_due(self, *, after: float = 0) -> None:
        at = datetime.now(UTC) + timedelta(seconds=after)
        self.sql(
            "UPDATE portfolios_exchangeaccount SET next_sync_at = ?",
            at if self.url else at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        )

    def begin_to_hang(self) -> int:
        """Have a run begin that waits for an answer of the exchange; the process that does."""
        fault = Fault(FaultKind.HANG, path="/api/v3/openOrders$", times=1)
        still_waiting = self._connected()  # since what happened before
        self.installed.server.faults.append(fault)
        self.become_due()
        wait_until(lambda: fault.happened == 1, RECOVERY)
        [busy] = self._connected() - still_waiting
        return busy

    def _connected(self) -> set[int]:
        pids = set().union(*(cluster.descendants() for cluster in self.clusters))
        return set(connected_to(self.installed.server.port, pids))

    @property
    def session(self) -> int:
        """The process that the first cluster's session begins with, once everything in it is up."""
        wait_until(lambda: len(self._queue()) >= 3, RECOVERY)
        [first] = children(self.clusters[0].process.pid)
        return first

    @property
    def sentinel(self) -> int:
        return next(pid for pid in children(self.session) if children(pid))

    @property
    def queue(self) -> list[int]:
        """Worker, monitor and pusher, in the order in which django-q2 starts them."""
        return children(self.sentinel)

    def _queue(self) -> list[int]:
        sessions = children(self.clusters[0].process.pid)
        return [x for first in sessions for pid in children(first) for x in children(pid)]


def children(pid: int) -> list[int]:
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:  # it has ended
        return []
    return sorted(map(int, pids))


# --- what happens ---------------------------------------------------------------------------------


def an_idle_worker_is_killed(world: World) -> None:
    os.kill(world.queue[0], signal.SIGKILL)
    world.become_due()


def a_busy_worker_is_killed(world: World) -> None:
    os.kill(world.begin_to_hang(), signal.SIGKILL)


def a_busy_worker_is_stopped_for_a_while(world: World) -> None:
    stop_for_a_while(world.begin_to_hang())


def the_pusher_is_killed(world: World) -> None:
    os.kill(world.queue[-1], signal.SIGKILL)
    world.become_due()


def the_sentinel_is_killed(world: World) -> None:
    os.kill(world.sentinel, signal.SIGKILL)
    world.become_due()


def a_whole_cluster_is_told_to_stop(world: World) -> None:
    os.killpg(world.session, signal.SIGTERM)
    world.become_due()


def a_whole_cluster_is_killed_at_work(world: World) -> None:
    busy = world.begin_to_hang()
    os.killpg(os.getsid(busy), signal.SIGKILL)


def a_whole_cluster_is_stopped_for_a_while(world: World) -> None:
    world.become_due()
    stop_for_a_while(world.clusters[0].process.pid, *world.clusters[0].descendants())


def the_database_is_locked_for_longer_than_anybody_waits(world: World) -> None:
    world.become_due()
    with locked(world):
        time.sleep(25)


def the_database_breaks_all_connections_at_work(world: World) -> None:
    world.begin_to_hang()
    world.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )


def the_database_is_restarted_at_work(world: World) -> None:
    stop_the_database_at_work(world, signal.SIGINT)


def the_database_crashes_at_work(world: World) -> None:
    stop_the_database_at_work(world, signal.SIGQUIT)


def stop_the_database_at_work(world: World, how: signal.Signals) -> None:
    assert world.server is not None
    world.begin_to_hang()
    world.server.stop(how)
    time.sleep(DOWN)
    world.server.start()


def the_queue_is_flooded_with_what_is_no_task(world: World) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    world.sql(
        "INSERT INTO django_q_ormq (key, payload, lock) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
        " SELECT i + 1 FROM n WHERE i < 10000) SELECT 'possync', 'torn', ? FROM n",
        past if world.url else past.strftime("%Y-%m-%d %H:%M:%S"),
    )
    world.become_due()


def a_row_of_the_queue_is_damaged(world: World) -> None:
    """Its lock is a time for the database, and none for Python."""
    world.sql(
        "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('possync', 'torn', ?)",
        "-infinity" if world.url else "2001-99-99 garbage",
    )
    world.become_due()


def the_disk_is_full(world: World) -> None:
    """Nothing can be written although the account is due; then there is room again."""
    world.become_due(after=1)
    with full_disk(world):
        world.clusters[0].line("database or disk is full|disk I/O error", RECOVERY)
    assert world.sql("PRAGMA quick_check") == [("ok",)]


def the_web_is_killed_at_work(world: World) -> None:
    """Its workers in the midst of a press, then all of it in that of a second one; neither is half done."""
    [(last,)] = world.sql("SELECT max(id) FROM portfolios_syncrun")
    token = world.installed.shell(MAKE_TOKEN).strip()
    with serving(world.installed) as (web, port):
        workers = web.descendants()
        kill_at_work(world, Press(port, token), web, workers)
        assert world.runs(last) == []
        wait_until(lambda: len(web.descendants() - workers) == 2, RECOVERY)
        assert Press(port, token).ask() == 202
        # As `up` does before it starts it anew.
        kill_at_work(world, Press(port, token), web, {web.process.pid, *web.descendants()})


def kill_at_work(world: World, press: Press, web: Running, pids: set[int]) -> None:
    with locked(world), press.under_way(web):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    assert press.status == 0


def many_ticks_come_at_once(world: World) -> None:
    world.become_due()
    world.installed.shell("from portfolios.tasks import wake; [wake() for _tick in range(10)]")


def stop_for_a_while(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(STOPPED)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def locked(world: World) -> Iterator[None]:
    if world.url:
        with server_session(world.url, autocommit=False) as session:
            session.execute("LOCK TABLE portfolios_exchangeaccount, django_q_ormq")
            yield
    else:
        with closing(sqlite3.connect(world.file, timeout=20)) as session:
            session.execute("BEGIN IMMEDIATE")
            yield
            session.rollback()


@contextmanager
def full_disk(world: World) -> Iterator[None]:
    """Fill the disk of the installation; where it has none of its own, let none of its files grow."""
    world.sql("PRAGMA wal_checkpoint(TRUNCATE)")  # what the log has room for yet
    folder = world.installed.folder
    if folder.is_mount():
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(1 << 20)):
                pass
        yield
        filler.unlink()
    else:
        limit_files(world, 0)
        yield
        limit_files(world, resource.RLIM_INFINITY)


def limit_files(world: World, size: int) -> None:
    for cluster in world.clusters:
        for pid in (cluster.process.pid, *cluster.descendants()):
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def on_a_disk_of_its_own(folder: Path) -> Iterator[Path]:
    """Mount a small one there, where we may."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


GATE: tuple[Callable[[World], None], ...] = (
    an_idle_worker_is_killed,
    a_busy_worker_is_killed,
    a_whole_cluster_is_told_to_stop,
    the_queue_is_flooded_with_what_is_no_task,
    a_row_of_the_queue_is_damaged,
    the_pusher_is_killed,
    the_sentinel_is_killed,
    many_ticks_come_at_once,
    the_web_is_killed_at_work,
    *(() if URL else (the_disk_is_full,)),
)
PROVE: tuple[Callable[[World], None], ...] = (
    a_busy_worker_is_stopped_for_a_while,
    a_whole_cluster_is_killed_at_work,
    a_whole_cluster_is_stopped_for_a_while,
    the_database_is_locked_for_longer_than_anybody_waits,
    *((the_database_breaks_all_connections_at_work,) if URL else ()),
    *((the_database_is_restarted_at_work, the_database_crashes_at_work) if URL else ()),
)
# Of two clusters on one server, where the gate has one.
TOGETHER: tuple[Callable[[World], None], ...] = (
    many_ticks_come_at_once,
    a_busy_worker_is_killed,
    a_whole_cluster_is_killed_at_work,
)
CASES = (*GATE, *PROVE) if IS_PROVE else TOGETHER if URL else GATE
# How many runs are lost of those that are under way then; of all others none is.
LOST: Mapping[Callable[[World], None], set[int]] = {
    a_busy_worker_is_killed: {1},
    a_busy_worker_is_stopped_for_a_while: {1},
    a_whole_cluster_is_killed_at_work: {1},
    # Its worker may be back before another one's queue is.
    the_database_breaks_all_connections_at_work: {0, 1},
    the_database_is_restarted_at_work: {0, 1},
    the_database_crashes_at_work: {0, 1},
}


@contextmanager
def database() -> Iterator[tuple[str, PrivateServer | None]]:
    """Yield the URL of an empty database, and its server if that is one that may be stopped."""
    if URL and IS_PROVE:
        with private_server(DURABLE) as server:
            yield server.url, server
    else:
        with database_of_its_own("possync_faults") as url:
            yield url, None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with SandboxServer(make_engine()) as server, database() as (url, database_server):
        settings = {**SETTINGS, **({"POSSYNC_DATABASE_URL": url} if url else {})}
        with ExitStack() as stack:
            folder = stack.enter_context(on_a_disk_of_its_own(tmp_path_factory.mktemp("data")))
            installed = stack.enter_context(Installation(folder, server, settings))
            installed.prepare()
            order_id = book_order(installed)
            command = installed.command("manage.py", "worker")
            clusters = [
                stack.enter_context(running(command, installed.environment))
                for _cluster in range(2 if IS_PROVE or URL else 1)
            ]
            made = World(installed, url, clusters, order_id, database_server)
            wait_until(lambda: made.runs() == ["succeeded"], START)
            yield made
            for cluster in clusters:
                cluster.stop(signal.SIGTERM)


@pytest.mark.clusters
@pytest.mark.parametrize("happens", CASES, ids=lambda x: x.__name__)
def test_it_comes_back_by_itself(world: World, happens: Callable[[World], None]) -> None:
    [(last,)] = world.sql("SELECT max(id) FROM portfolios_syncrun")
    before = world.vanished()
    world.installed.server.engine.fill_order(world.order_id, "1")

    happens(world)

    wait_until(lambda: world.runs(last)[-1:] == ["succeeded"], RECOVERY)
    lost = world.runs(last).count("lost")
    assert lost in LOST.get(happens, {0})
    assert world.runs(last) == ["lost"] * lost + ["succeeded"]
    assert world.vanished() - before == lost
    assert held(world.installed) == at_the_exchange(world.installed)
    kinds = [kind for (kind,) in world.sql("SELECT type FROM portfolios_incident")]
    assert len(kinds) == len(set(kinds))


def test_nobody_outlives_workers_whose_supervisor_is_killed(world: World) -> None:
    with running(
        world.installed.command("manage.py", "worker"), world.installed.environment
    ) as started:
        wait_until(lambda: len(started.descendants()) >= 5, RECOVERY)
        pids = started.descendants()

        started.stop(signal.SIGKILL)

        assert wait_until_gone(pids, 5) == set()


def test_the_workers_end_in_time_whatever_the_database_does(world: World) -> None:
    grace = {"POSSYNC_DRAIN_SECONDS": "3"}
    command = world.installed.command("manage.py", "worker")
    with running(command, {**world.installed.environment, **grace}) as started:
        wait_until(lambda: len(started.descendants()) >= 6, RECOVERY)
        world.become_due(after=1)
        with locked(world):
            time.sleep(2 * STALLED)  # whoever looks what is due waits for it now

            assert started.stop(signal.SIGTERM) < 5


def test_the_workers_end_in_order(world: World) -> None:
    cluster = world.clusters[-1]
    pids = cluster.descendants()

    assert cluster.stop(signal.SIGTERM) < 10
    assert alive(pids) == set()
