"""The practice exchange that benchmarks read.

Run as a program it serves in a process of its own, once for each latency, for as long as its standard input stays open.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

from providers.sandbox.books import Instrument
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer

ASSETS: Final = 50
SECRET: Final = "bench-secret"  # noqa: S105 - of the practice exchange
TOTAL: Final = Decimal("1234.56789012")
PRICE: Final = Decimal("12.34")
AMOUNT: Final = Decimal("0.5")


class BenchFailed(Exception):
    """The exchange could not be read, or what was read is not what is there."""


def asset_name(number: int) -> str:
    return f"B{chr(65 + number // 26)}{chr(65 + number % 26)}"


def key_of(orders: int, account: int = 0) -> str:
    """Name the key of an account that has so many open orders."""
    return f"bench-{orders}-{account}"


@contextmanager
def practice_exchange(
    orders: Sequence[int] = (50,), latencies: Sequence[float] = (0,), accounts: int = 1
) -> Iterator[list[str]]:
    """Run the exchange in another process; yields a URL for each of `latencies`, in seconds.

    Of the first of `orders` there are `accounts` accounts.
    """
    command = [sys.executable, "-m", __name__, json.dumps([orders, latencies, accounts])]
    with subprocess.Popen(  # noqa: S603 - our own words
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        ears, mouth = process.stdin, process.stdout
        if ears is None or mouth is None:
            raise BenchFailed("The practice exchange has no pipes.")
        try:
            urls = mouth.readline().split()
            if not urls:
                raise BenchFailed("The practice exchange did not start.")
            yield urls
        finally:
            ears.close()


def serve(orders: Sequence[int], latencies: Sequence[float], accounts: int) -> None:
    engine = Engine()
    for number in range(ASSETS):
        engine.add_instrument(
            Instrument(f"{asset_name(number)}/USDT", Decimal("0.00000001"), Decimal("0.01"), PRICE)
        )
    for count in orders:
        _open_account(engine, count)
    for number in range(accounts):
        # Other keys of the same books: so many accounts of their own would be the exchange's time and memory.
        engine.accounts[key_of(orders[0], number)] = engine.accounts[key_of(orders[0])]
    with ExitStack() as servers:
        running = [
            servers.enter_context(SandboxServer(engine, latency=seconds)) for seconds in latencies
        ]
        sys.stdout.write(" ".join(server.url for server in running) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def _open_account(engine: Engine, orders: int) -> None:
    key = key_of(orders)
    engine.add_account(key, SECRET)
    for number in range(ASSETS):
        engine.deposit(key, asset_name(number), TOTAL)
    for number in range(orders):
        engine.sell(key, f"{asset_name(number % ASSETS)}/USDT", AMOUNT, PRICE)


if __name__ == "__main__":
    serve(*json.loads(sys.argv[1]))
