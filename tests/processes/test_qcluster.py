"""The real queue: workers in processes of their own, on a database file, against an exchange over HTTP."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.house.processes import Running, running, wait_until_gone
from tests.processes.installation import KEY, Installation, make_engine, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("qcluster")]

SYNC_NOW = """
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.tasks import enqueue_sync
enqueue_sync(ExchangeAccount.objects.get(), SyncRun.Trigger.MANUAL)
"""
# What the schedule runs every minute.
TICK = "from portfolios.tasks import dispatch_due; dispatch_due()"
POISON = """
import pickle
from django.core import signing
from django.utils import timezone
from django_q.conf import Conf
from django_q.core_signing import TimestampSigner
from django_q.models import OrmQ
class Exploit:
    def __reduce__(self):
        return __import__, ("builtins",)
for content in (pickle.dumps({"func": "os.system"}), b"[" * 15_000):
    text = signing.b64_encode(content).decode()
    signed = TimestampSigner(key=Conf.SECRET_KEY, salt=Conf.PREFIX).sign(text)
    OrmQ.objects.create(key="possync", payload=signed, lock=timezone.now())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with (
        SandboxServer(make_engine()) as server,
        Installation(tmp_path_factory.mktemp("data"), server) as installation,
    ):
        installation.prepare()
        yield installation


@pytest.fixture(scope="module")
def worker(installed: Installation) -> Iterator[Running]:
    with running(installed.command("manage.py", "worker"), installed.environment) as started:
        wait_until(lambda: len(started.descendants()) >= 5, 15)
        yield started
        # Its own children end with it: they notice that nobody reads from them any more.
        started.stop(signal.SIGTERM)


def test_ten_writers_at_the_same_moment_open_one_run_and_one_of_them_gets_it(
    installed: Installation,
) -> None:
    rounds = json.loads(installed.run("-m", "tests.processes.many_writers").stdout)

    assert rounds == [{"runs": 1, "new": 1, "claimed": 1, "attempts": 1}] * 5


def test_sync_now_is_carried_out_by_a_worker_within_seconds(
    installed: Installation, worker: Running
) -> None:
    order_id = book_order(installed)
    installed.server.engine.fill_order(order_id, "40")
    installed.server.requests.clear()
    installed.shell(SYNC_NOW)

    wait_until(lambda: asked_for(installed, "/api/v3/account") > 0, 5)
    wait_until(lambda: installed.latest_run()["status"] == "succeeded", 5)

    assert held(installed) == at_the_exchange(installed)


def book_order(installed: Installation) -> str:
    """Place an order that the books know of."""
    order_id = installed.server.engine.buy(KEY, "ADA/EUR", "100", "1").id
    row = {
        "portfolio": "alpha",
        "external_id": order_id,
        "symbol": "ADA/EUR",
        "side": "buy",
        "amount": "100",
        "price": "1",
    }
    installed.manage("import_book", "-", given=json.dumps({"orders": [row]}))
    return order_id


def at_the_exchange(installed: Installation) -> dict[str, Decimal]:
    balances = installed.server.engine.balances(KEY)
    return {asset: balance.total for asset, balance in balances.items()}


def held(installed: Installation) -> dict[str, Decimal]:
    [portfolio] = installed.report()["portfolios"]
    return {row["asset"]: Decimal(row["amount"]) for row in portfolio["positions"]}


def asked_for(installed: Installation, path: str) -> int:
    return sum(request.path == path for request in installed.server.requests)


def test_what_poisons_the_queue_is_thrown_away_and_work_goes_on(
    installed: Installation, worker: Running
) -> None:
    children = worker.descendants()
    installed.shell(POISON)
    installed.server.requests.clear()

    installed.shell(SYNC_NOW)

    wait_until(lambda: asked_for(installed, "/api/v3/account") > 0, 10)
    wait_until(lambda: installed.latest_run()["status"] == "succeeded", 5)
    assert worker.descendants() == children  # no process died of it
    left = "from django_q.models import OrmQ; print([x.task['id'] for x in OrmQ.objects.all()])"
    wait_until(lambda: "*" not in installed.shell(left), 5)


def test_the_sync_of_a_killed_worker_is_taken_up_again_and_the_books_are_true(
    installed: Installation, worker: Running
) -> None:
    order_id = book_order(installed)
    installed.server.engine.fill_order(order_id)
    hanging = Fault(FaultKind.HANG, path="/api/v3/openOrders$", times=1)
    installed.server.faults.append(hanging)
    installed.shell(SYNC_NOW)
    wait_until(lambda: hanging.happened == 1, 10)

    [busy] = connected_to(installed.server.port, worker.descendants())
    os.kill(busy, signal.SIGKILL)

    wait_until(lambda: after_a_tick(installed)["status"] == "succeeded", 15)
    assert attempts_of_the_latest_run(installed) == 2
    assert held(installed) == at_the_exchange(installed)


def after_a_tick(installed: Installation) -> dict[str, Any]:
    installed.shell(TICK)
    return installed.latest_run()


def attempts_of_the_latest_run(installed: Installation) -> int:
    code = "from portfolios.models import SyncRun; print(SyncRun.objects.first().attempts)"
    return int(installed.shell(code))


def connected_to(port: int, pids: set[int]) -> list[int]:
    """Those of `pids` that hold a connection to `port` of this machine."""
    remote = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(remote)}
    return [pid for pid in pids if sockets & open_files(pid)]


def open_files(pid: int) -> set[str]:
    return {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}


def test_sigterm_to_the_main_process_ends_all_of_them(
    installed: Installation, worker: Running
) -> None:
    children = worker.descendants()

    seconds = worker.stop(signal.SIGTERM)

    assert seconds < 10
    assert wait_until_gone(children, 5) == set()
