"""A sync that is killed before any of its writes leaves what the next one brings to the books of one clean sync."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from providers.sandbox.books import Fee, Instrument
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests.desk import KEY, SECRET
from tests.house.processes import ROOT, product_environment
from tests.processes.databases import database_of_its_own

pytestmark = [pytest.mark.processes, pytest.mark.database, pytest.mark.timeout(300)]

D = Decimal
HOUR = timedelta(hours=1)
ACCOUNT = {
    "label": "main",
    "market": "binance",
    "credential": {"apiKey": KEY, "secret": SECRET},
    "lag_seconds": 0,
    "grace_seconds": 0,
}
PORTFOLIOS = [
    {"name": "alpha", "account": "main", "trading_symbol": "EUR", "initial_balance": "2000"},
    {"name": "beta", "account": "main", "trading_symbol": "EUR", "initial_balance": "1000"},
]
POSITIONS = [{"portfolio": "alpha", "asset": "DOT", "amount": "20", "cost": "100"}]


@dataclass
class World:
    """One account at the exchange, whose clock can be put back while nobody reads, and its books."""

    folder: Path
    environment: dict[str, str]
    back: timedelta = timedelta()
    placed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        symbols = ("ADA/EUR", "BNB/EUR", "DOT/EUR")
        instruments = [Instrument(name, D("0.01"), D("0.001"), D(1)) for name in symbols]
        self.engine = Engine(instruments, clock=lambda: datetime.now(UTC) - self.back)
        self.engine.add_account(KEY, SECRET)

    def run(self, *words: str, given: Any) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environment,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, *words: str, given: Any = None) -> None:
        self.run("manage.py", *words, given=given)

    def order(
        self, name: str, side: str, symbol: str, amount: str, price: str, owner: str = ""
    ) -> dict[str, str]:
        """Place an order; the row that its owner's book has of it."""
        place = self.engine.buy if side == "buy" else self.engine.sell
        order_id = self.placed[name] = place(KEY, symbol, amount, price, client_id=name).id
        return {
            "portfolio": owner,
            "external_id": order_id,
            "symbol": symbol,
            "side": side,
            "amount": amount,
            "price": price,
        }

    def fill(self, name: str, amount: str, fee: str = "", asset: str = "EUR") -> None:
        charged = Fee(asset, D(fee)) if fee else None
        self.engine.fill_order(self.placed[name], amount, fee=charged)

    def begin(self) -> list[dict[str, str]]:
        """Everything that is there before the first sync; the orders of the books."""
        for asset, amount in {"EUR": "10000", "BNB": "5", "DOT": "50"}.items():
            self.engine.deposit(KEY, asset, amount)
        own = [
            self.order("a-1", "buy", "ADA/EUR", "100", "1", "alpha"),
            self.order("a-2", "sell", "DOT/EUR", "10", "6", "alpha"),
            self.order("b-1", "buy", "ADA/EUR", "40", "1.5", "beta"),
        ]
        self.order("x-1", "buy", "BNB/EUR", "2", "100")
        self.fill("a-1", "30", "0.03")
        self.fill("x-1", "0.5", "0.05")
        return own

    def go_on(self) -> list[dict[str, str]]:
        """All kinds of things between two syncs; the new orders of the books."""
        self.fill("a-1", "40", "0.04", "ADA")
        self.engine.cancel_order(self.placed["a-1"])
        self.fill("a-2", "4", "0.01")
        self.fill("a-2", "6", "0.02", "BNB")
        self.fill("x-1", "1.5", "-0.01")
        self.engine.amend_order(self.placed["b-1"], "60")
        own = [
            self.order("a-3", "buy", "ADA/EUR", "20", "2", "alpha"),
            self.order("a-4", "buy", "ADA/EUR", "5", "2", "alpha"),
            self.order("b-2", "buy", "DOT/EUR", "3", "5", "beta"),
        ]
        # One that was sent, and whose answer never came.
        own[2] = {key: value for key, value in own[2].items() if key != "external_id"}
        own[2]["client_order_id"] = "b-2"
        self.fill("a-3", "20", "0.001", "BNB")
        self.engine.expire_order(self.placed["a-4"])
        self.fill("b-2", "1", "0.002")
        self.order("x-2", "sell", "BNB/EUR", "1", "110")
        self.fill("x-2", "1", "0.11")
        self.order("x-3", "buy", "ADA/EUR", "7", "1")
        return own

    def move_coins(self) -> None:
        self.engine.deposit(KEY, "EUR", "500")
        paid_out = self.engine.withdraw(KEY, "EUR", "100", "1")
        self.engine.complete_withdrawal(KEY, paid_out.id)
        self.engine.withdraw(KEY, "DOT", "2", "0.1")

    def inquest(self, age: timedelta = timedelta()) -> dict[str, Any]:
        orders = {"age_seconds": age.total_seconds()}
        said: dict[str, Any] = json.loads(self.run("-m", "tests.processes.killing", given=orders))
        sys.stdout.write(
            f"{said['writes']} writes, {said['kills']} kills left {said['healed']} states\n"
        )
        return said


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("data")
    with database_of_its_own("possync_kill") as url:
        more = {"POSSYNC_DATABASE_URL": url} if url else {}
        environment = product_environment(
            folder, DJANGO_SETTINGS_MODULE="possync_site.settings", **more
        )
        made = World(folder, environment)
        with SandboxServer(made.engine) as server:
            account = ACCOUNT | {"endpoint": server.url}
            made.back = 3 * HOUR
            orders = made.begin()
            made.back = timedelta()
            made.manage("migrate", "--verbosity", "0")
            book = {
                "accounts": [account],
                "portfolios": PORTFOLIOS,
                "positions": POSITIONS,
                "orders": orders,
            }
            made.manage("import_book", "-", given=book)
            yield made


@pytest.fixture(scope="module")
def opening(world: World) -> dict[str, Any]:
    return world.inquest(age=2 * HOUR)


@pytest.fixture(scope="module")
def life(world: World, opening: dict[str, Any]) -> dict[str, Any]:
    # Longer ago than what a list of fills is read again for: a cursor that runs ahead of its rows loses them.
    world.back = HOUR
    orders = world.go_on()
    world.move_coins()
    world.back = timedelta()
    world.manage("import_book", "-", given={"orders": orders})
    return world.inquest()


def test_a_first_sync_that_is_killed_opens_the_books_as_one_that_is_not(
    opening: dict[str, Any],
) -> None:
    assert opening["differences"] == {}


def test_a_sync_that_is_killed_books_everything_that_happened_once(life: dict[str, Any]) -> None:
    assert life["differences"] == {}


@pytest.mark.parametrize("inquest", ["opening", "life"])
def test_every_kill_hit(inquest: str, request: pytest.FixtureRequest) -> None:
    said = request.getfixturevalue(inquest)

    assert said["survivors"] == []
    assert said["kills"] == said["writes"] + 1


def test_the_sync_that_nobody_killed_explained_everything(
    opening: dict[str, Any], life: dict[str, Any]
) -> None:
    assert (opening["status"], life["status"]) == ("succeeded", "succeeded")
    assert opening["books"]["Discrepancy"] == []
    [pending] = life["books"]["Discrepancy"]
    assert "code=FLOW_PENDING" in pending


def test_the_world_has_something_of_everything(life: dict[str, Any]) -> None:
    empty = {name for name, rows in life["books"].items() if not rows}

    assert empty == {"Quarantine"}
