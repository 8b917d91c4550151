"""Workers and a practice exchange that misbehaves, left alone for a while; then the books are held against the truth.

Works on the database that is configured, which has to be one of its own.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.utils import timezone

from portfolios.amounts import sums_by
from portfolios.models import ExchangeAccount, Position, SyncRun
from portfolios.services.book import import_book
from portfolios.services.manual_sync import sync_now
from portfolios.services.pruning import prune
from providers.sandbox.books import Instrument
from providers.sandbox.dialect import FaultKind
from providers.sandbox.engine import Engine
from providers.sandbox.errors import Refused
from providers.sandbox.faults import Fault
from providers.sandbox.server import SandboxServer

SYMBOL: Final = "ADA/EUR"
SECRET: Final = "soak-secret"  # noqa: S105 - of the practice exchange
FAULTS: Final = (
    FaultKind.UNAVAILABLE,
    FaultKind.HTML_OK,
    FaultKind.TRUNCATED,
    FaultKind.RESET,
    FaultKind.WRONG_SHAPE,
)
# Of all requests, so many meet each of them.
OFTEN: Final = 0.02
# Looks after which whatever a fault has left open is read again.
_LAST_LOOKS: Final = 6
# Seconds between two trades, in which workers end, and in which what they started is gone.
_BEAT: Final = 0.5
_TO_END: Final = 60
_TO_VANISH: Final = 5
_MB: Final = 1024


def soak(*, minutes: float, accounts: int) -> dict[str, Any]:
    """Trade and sync for `minutes`; `wrong` says what is not as it should be, nothing if all is well."""
    engine = Engine([Instrument(SYMBOL, Decimal("0.01"), Decimal("0.01"), Decimal(1))])
    faults = [
        Fault(kind, probability=OFTEN, seed=number, path="/api/v3/(account|openOrders|myTrades)")
        for number, kind in enumerate(FAULTS)
    ]
    with SandboxServer(engine, faults) as server:
        _open(engine, server.url, accounts)
        with _workers() as workers:
            early, late = _trade(engine, accounts, minutes, workers)
            family = _family(workers.pid)
        orphans = _left_of(family)
        server.faults.clear()
        _settle()
        lost = SyncRun.objects.filter(status=SyncRun.Status.LOST).count()
        waiting = apps.get_model("django_q", "OrmQ")._default_manager.count()  # noqa: SLF001
        untrue = _untrue(engine)
    done = SyncRun.objects.filter(trigger=SyncRun.Trigger.SCHEDULE).count()
    tells = {
        "no run was made by the schedule": not done,
        f"{lost} runs were lost": lost,
        f"{waiting} tasks wait in the queue": waiting > 1,
        f"{len(orphans)} processes outlived the workers": orphans,
        f"memory grew from {early} to {late} MB": late > 1.2 * early + 20,
        f"the books are not the truth: {', '.join(untrue)}": untrue,
    }
    return {
        "minutes": minutes,
        "accounts": accounts,
        "runs": done,
        "faults": sum(fault.happened for fault in faults),
        "memory_mb": [early, late],
        "pruned": prune(timezone.now() + timedelta(days=2), days=1)["runs"],
        "wrong": [what for what, is_so in tells.items() if is_so],
    }


def _key(number: int) -> str:
    return f"soak-account-{number}"


def _open(engine: Engine, url: str, accounts: int) -> None:
    for number in range(accounts):
        engine.add_account(_key(number), SECRET)
        engine.deposit(_key(number), "EUR", "10000")
        engine.deposit(_key(number), "ADA", "10000")
    rows = [
        {
            "label": _key(number),
            "market": "binance",
            "credential": {"apiKey": _key(number), "secret": SECRET},
            "endpoint": url,
            "interval_seconds": 10,
            "lag_seconds": 0,
            "grace_seconds": 0,
        }
        for number in range(accounts)
    ]
    books = [
        {"name": row["label"], "account": row["label"], "trading_symbol": "EUR"} for row in rows
    ]
    import_book({"accounts": rows, "portfolios": books})


@contextmanager
def _workers() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"]
    with subprocess.Popen(command, start_new_session=True) as workers:  # noqa: S603 - our own words
        try:
            yield workers
        finally:
            workers.send_signal(signal.SIGTERM)
            try:
                workers.wait(_TO_END)
            except subprocess.TimeoutExpired:
                workers.kill()


def _trade(
    engine: Engine, accounts: int, minutes: float, workers: subprocess.Popen[bytes]
) -> tuple[int, int]:
    """Trade until the time is over; the memory of the workers after half of it, and at its end."""
    chance = random.Random(accounts)  # noqa: S311 - a script, not a secret
    began, early = time.monotonic(), 0
    while (passed := time.monotonic() - began) < 60 * minutes:
        _beat(engine, _key(chance.randrange(accounts)), chance)
        if not early and passed > 30 * minutes:
            early = _memory(_family(workers.pid))
        time.sleep(_BEAT)
    return early, _memory(_family(workers.pid))


def _beat(engine: Engine, key: str, chance: random.Random) -> None:
    """Place an order, fill one or cancel one."""
    waiting = engine.open_orders(key)
    try:
        if len(waiting) < 4:
            place = chance.choice((engine.buy, engine.sell))
            place(key, SYMBOL, Decimal(chance.randrange(100, 900)).scaleb(-2), "1")
        elif chance.random() < 0.7:
            engine.fill_order(chance.choice(waiting).id)
        else:
            engine.cancel_order(chance.choice(waiting).id)
    except Refused:
        return  # no funds for it; the next beat does something else


def _settle() -> None:
    """Look at every account until nothing is left to be found."""
    for _ in range(_LAST_LOOKS):
        ExchangeAccount.objects.update(stay_away_until=None)
        sync_now(list(ExchangeAccount.objects.all()))
        if not ExchangeAccount.objects.filter(quiet_run=None).exists():
            return


def _untrue(engine: Engine) -> list[str]:
    """Name what the books hold otherwise than the exchange."""
    booked = sums_by(
        ((row.account.label, row.asset), row.amount)
        for row in Position.objects.select_related("account")
    )
    held: Mapping[tuple[str, str], Decimal] = {
        (label, asset): balance.total
        for label in ExchangeAccount.objects.values_list("label", flat=True)
        for asset, balance in engine.balances(label).items()
    }
    wrong = (key for key in {*booked, *held} if booked.get(key, 0) != held.get(key, 0))
    return sorted(
        f"{label} {asset} {booked.get((label, asset))} for {held.get((label, asset))}"
        for label, asset in wrong
    )


def _family(pid: int) -> set[int]:
    """Give a process and all that it has started; only itself where the system does not tell."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(") ")[2].split()[:2]
        except OSError:
            continue  # ended meanwhile
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _left_of(family: Iterable[int]) -> list[int]:
    """Give those that do not end although what started them has."""
    deadline = time.monotonic() + _TO_VANISH
    while left := [pid for pid in family if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            break
        time.sleep(_BEAT)
    return left


def _memory(pids: Iterable[int]) -> int:
    """Tell the memory of these processes in MB, what they share counted once; 0 if the system does not tell."""
    held = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        held += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return held // _MB
