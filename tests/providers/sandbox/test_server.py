from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from providers.sandbox import server
from providers.sandbox.errors import AddressInUse
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import BTC, KEY, ask, make_engine

ROOT = Path(__file__).parents[3]
COMMAND = """
import sys
from pathlib import Path
from providers.sandbox.engine import Engine
from providers.sandbox.scenario import DemoScenario
from providers.sandbox.errors import AddressInUse
from providers.sandbox.server import run_forever

engine = Engine()
try:
    run_forever(
        engine, DemoScenario(engine), "127.0.0.1", int(sys.argv[2]), Path(sys.argv[1]),
        on_ready=lambda url: print(url, flush=True),
    )
except AddressInUse as e:
    sys.exit(str(e))
"""


@contextmanager
def running(state: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", COMMAND, str(state), str(port)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def time_of(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/v3/time") as response:  # noqa: S310 - this test's own
        return int(json.load(response)["serverTime"])


def test_it_answers_on_a_free_port_of_this_machine() -> None:
    with SandboxServer(make_engine()) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert time_of(server.url) > 0


def test_it_is_gone_after_it_stopped() -> None:
    with SandboxServer(make_engine()) as server:
        pass

    with pytest.raises(OSError, match="refused"):
        time_of(server.url)


def test_it_leaves_no_thread_behind() -> None:
    before = threading.active_count()

    with SandboxServer(make_engine()) as server:
        time_of(server.url)

    assert threading.active_count() == before


def test_it_stops_twice_without_harm() -> None:
    server = SandboxServer(make_engine()).start()

    server.stop()
    server.stop()


def test_a_port_in_use_is_named() -> None:
    with (
        SandboxServer(make_engine()) as first,
        pytest.raises(AddressInUse, match=str(first.port)),
        SandboxServer(make_engine(), port=first.port),
    ):
        pass


def test_two_servers_run_side_by_side() -> None:
    with SandboxServer(make_engine()) as one, SandboxServer(make_engine()) as other:
        time_of(one.url)

        assert (len(one.requests), len(other.requests)) == (1, 0)


def test_no_port_is_served_twice_since_symbols_are_kept_by_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = iter([1, 1, 2])

    @asynccontextmanager
    async def offered(*_: Any) -> AsyncIterator[int]:
        yield next(ports)

    monkeypatch.setattr(server, "serving", offered)
    monkeypatch.setattr(server, "served_ports", set())

    with SandboxServer(make_engine()) as first, SandboxServer(make_engine()) as second:
        assert (first.port, second.port) == (1, 2)


def test_it_records_who_asked_what_without_the_signature() -> None:
    with SandboxServer(make_engine()) as server:
        ask(server, lambda x: x.fetch_open_orders(BTC))

        last = server.requests[-1]

    assert (last.method, last.path, last.api_key) == ("GET", "/api/v3/openOrders", KEY)
    assert "symbol=BTCUSDT" in last.query
    assert "signature" not in last.query


def test_the_engine_may_change_while_it_serves() -> None:
    engine = make_engine()
    with SandboxServer(engine) as server:
        engine.deposit(KEY, "BNB", "0.5")
        balance = ask(server, lambda x: x.fetch_balance())

    assert Decimal(balance["total"]["BNB"]) == Decimal("3.5")


# As a command


@pytest.mark.processes
def test_a_signal_ends_it_within_a_second_and_it_continues_where_it_was(tmp_path: Path) -> None:
    state = tmp_path / "exchange.json"

    def document() -> dict[str, Any]:
        written: dict[str, Any] = json.loads(state.read_text())
        return written

    with running(state) as (process, url):
        assert time_of(url) > 0
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert time.monotonic() - started < 1
        assert process.stderr is not None
        assert process.stderr.read() == ""
    first = document()
    with running(state) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0

    assert document()["scenario"]["started_at"] == first["scenario"]["started_at"]
    assert document()["engine"]["accounts"] == first["engine"]["accounts"]


@pytest.mark.processes
def test_a_port_in_use_is_one_clear_line_and_leaves_the_state_alone(tmp_path: Path) -> None:
    with (
        SandboxServer(make_engine()) as server,
        running(tmp_path / "exchange.json", server.port) as (process, _),
    ):
        _, said = process.communicate(timeout=5)

    assert process.returncode == 1
    assert said.count("\n") == 1
    assert f"port {server.port}" in said
    assert not (tmp_path / "exchange.json").exists()
