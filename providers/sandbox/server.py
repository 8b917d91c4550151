"""The practice exchange's HTTP server.

For tests in a thread of its own, for the command until a signal.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from aiohttp import web

from providers.sandbox.binance import Binance
from providers.sandbox.dialect import Dialect, Request
from providers.sandbox.engine import Engine
from providers.sandbox.errors import AddressInUse
from providers.sandbox.exchange import Exchange, RecordedRequest
from providers.sandbox.faults import Fault
from providers.sandbox.state import read_state, write_state
from providers.sandbox.wire import deliver

LOOPBACK: Final = "127.0.0.1"
# Seconds that requests in flight are given when the server stops.
GRACE: Final = 0.1
# Seconds between two looks at the scenario.
STEP: Final = 1.0
# Ports of this process's exchanges so far: what is kept by address, such as symbols, must not be taken for another's.
served_ports: set[int] = set()


@asynccontextmanager
async def serving(
    exchange: Exchange, host: str, port: int, latency: float = 0
) -> AsyncIterator[int]:
    """Serve while the context lasts; yields the port.

    Parameters
    ----------
    latency : float
        Seconds that every answer is on its way.

    Raises
    ------
    AddressInUse
        If something else listens there.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        body = await request.text()
        asked = Request(request.method, path, query, request.headers, body)
        answer = exchange.answer(asked)
        if latency:
            await asyncio.sleep(latency)
        return await deliver(answer, request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    # A handler ends when its client gives up; a fault that hangs would never end otherwise.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as e:
        if e.errno != errno.EADDRINUSE:
            raise
        raise AddressInUse(
            f"Expected port {port} of {host} to be free, but something listens there already. "
            "Stop it or choose another port."
        ) from None


class SandboxServer:
    """A practice exchange on a free port of this machine, in a thread and an event loop of its own.

    Use it as a context manager. `faults` may be changed while it runs.

    Parameters
    ----------
    port : int
        0 for any free one.
    latency : float
        Seconds that every answer is on its way.
    """

    def __init__(
        self,
        engine: Engine,
        faults: Iterable[Fault] = (),
        port: int = 0,
        dialect: Dialect | None = None,
        latency: float = 0,
    ) -> None:
        self.engine = engine
        self._latency = latency
        self.dialect: Dialect = dialect or Binance(engine)
        self.port = port
        self._exchange = Exchange(engine, self.dialect, faults)
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox-server", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def faults(self) -> list[Fault]:
        return self._exchange.faults

    @property
    def requests(self) -> deque[RecordedRequest]:
        return self._exchange.requests

    def start(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def stop(self) -> None:
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as e:  # handed to whoever started the thread
            self._error = e
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with AsyncExitStack() as stack:
            wanted, port = self.port, None
            # One that was refused stays open, so that the next is another.
            while port is None or (not wanted and port in served_ports):
                port = await stack.enter_async_context(
                    serving(self._exchange, LOOPBACK, wanted, self._latency)
                )
            served_ports.add(port)
            self.port = port
            self._ready.set()
            await self._stopping.wait()


class Scenario(Protocol):
    """What happens at the exchange by itself, told once a second what time it is."""

    def begin(self, now: datetime) -> None:
        """Start the clock, unless it has been started before."""

    def faults(self) -> list[Fault]: ...

    def step(self, now: datetime) -> None: ...

    def document(self) -> dict[str, Any]:
        """Write what `restore` needs."""

    def restore(self, document: Mapping[str, Any]) -> None: ...


def run_forever(
    engine: Engine,
    scenario: Scenario,
    host: str,
    port: int,
    state_file: Path,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT; the state is kept in `state_file` and taken up again.

    Parameters
    ----------
    on_ready : Callable
        Told the URL once the server listens.

    Raises
    ------
    AddressInUse, StateUnreadable
        Nothing was changed then.
    """
    written = read_state(state_file, engine)
    if written is not None:
        scenario.restore(written)
    scenario.begin(engine.clock())
    exchange = Exchange(engine, Binance(engine), scenario.faults())
    asyncio.run(_live(exchange, scenario, (host, port), state_file, on_ready))


async def _live(
    exchange: Exchange,
    scenario: Scenario,
    address: tuple[str, int],
    state_file: Path,
    on_ready: Callable[[str], None],
) -> None:
    engine = exchange.engine
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with serving(exchange, *address) as port:
        on_ready(f"http://{address[0]}:{port}")
        saved = -1
        while not stopping.is_set():
            scenario.step(engine.clock())
            if engine.changes != saved:
                saved = engine.changes
                write_state(state_file, engine, scenario.document())
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), STEP)
    write_state(state_file, engine, scenario.document())
