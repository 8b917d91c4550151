"""Workers and a practice exchange that misbehaves, left alone for a while; then the books are held against the truth.

Works on the database that is configured, which has to be one of its own.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from portfolios.amounts import sums_by
from portfolios.management.soak_samples import Watch, table_of, wrong_in
from portfolios.models import ExchangeAccount, Position, SyncRun
from portfolios.services.book import import_book
from portfolios.services.manual_sync import sync_now
from portfolios.services.pruning import LOOKS_KEPT, prune
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
READS: Final = "/api/v3/(account|openOrders|myTrades)"
# Of all requests, so many meet each of them.
OFTEN: Final = 0.02
# Looks after which whatever a fault has left open is read again.
_LAST_LOOKS: Final = 6
# Seconds between two trades, in which workers end, and in which what they started is gone.
_BEAT: Final = 0.5
_TO_END: Final = 60
# Runs of an account that something may rest on, once they are old.
_MOST_LEFT: Final = 3 * LOOKS_KEPT
_TO_VANISH: Final = 5


def soak(*, minutes: float, accounts: int) -> dict[str, Any]:
    """Trade and sync for `minutes`; `wrong` says what is not as it should be, nothing if all is well."""
    engine = Engine([Instrument(SYMBOL, Decimal("0.01"), Decimal("0.01"), Decimal(1))])
    often = [
        Fault(kind, probability=OFTEN, seed=number, path=READS)
        for number, kind in enumerate(FAULTS)
    ]
    # However short it is, something happens.
    faults = [Fault(FAULTS[0], times=1, path=READS), *often]
    with SandboxServer(engine, faults) as server:
        _open(engine, server.url, accounts)
        with _workers() as workers:
            watch = Watch(workers.pid)
            _trade(engine, accounts, minutes, watch)
        outlived = _outlived(watch)
        happened = Counter({fault.kind.value: fault.happened for fault in often})
        happened[faults[0].kind.value] += faults[0].happened
        server.faults.clear()
        _settle()
        lost = SyncRun.objects.filter(status=SyncRun.Status.LOST).count()
        waiting = apps.get_model("django_q", "OrmQ")._default_manager.count()  # noqa: SLF001
        untrue = _untrue(engine)
    done = SyncRun.objects.filter(trigger=SyncRun.Trigger.SCHEDULE).count()
    pruned = prune(timezone.now() + timedelta(days=2), days=1)["runs"]
    left = max(ExchangeAccount.objects.annotate(left=Count("runs")).values_list("left", flat=True))
    tells = {
        "no run was made by the schedule": not done,
        "no fault has happened": not happened.total(),
        f"{lost} runs were lost": lost,
        f"{waiting} tasks wait in the queue": waiting > 1,
        f"{outlived} processes outlived the workers": outlived,
        f"the books are not the truth: {', '.join(untrue)}": untrue,
        f"{left} runs of an account are left of which nobody needs most": left > _MOST_LEFT,
    }
    return {
        "minutes": minutes,
        "accounts": accounts,
        "runs": done,
        "faults": happened.total(),
        "by_kind": happened,
        "thirds": table_of(watch.samples),
        "pruned": pruned,
        "wrong": [*(what for what, is_so in tells.items() if is_so), *wrong_in(watch.samples)],
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


def _trade(engine: Engine, accounts: int, minutes: float, watch: Watch) -> None:
    """Trade until the time is over, and look at the workers all along."""
    chance = random.Random(accounts)  # noqa: S311 - a script, not a secret
    began = time.monotonic()
    while time.monotonic() - began < 60 * minutes:
        _beat(engine, _key(chance.randrange(accounts)), chance)
        if _has_begun():
            watch.look()
        time.sleep(_BEAT)


def _has_begun() -> bool:
    """Whether the workers are up and at work, on whatever machine."""
    return SyncRun.objects.exclude(finished_at=None).exists()


def _outlived(watch: Watch) -> int:
    """Count those that do not end although what started them has."""
    deadline = time.monotonic() + _TO_VANISH
    while watch.left() and time.monotonic() < deadline:
        time.sleep(_BEAT)
    return len(watch.left())


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
