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
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from providers.sandbox.binance import Binance
from providers.sandbox.dialect import Dialect
from providers.sandbox.engine import Engine
from providers.sandbox.errors import AddressInUse
from providers.sandbox.faults import Fault, Victim, misbehave
from providers.sandbox.state import read_state, write_state

LOOPBACK: Final = "127.0.0.1"
MOST_RECORDS: Final = 100_000
# Seconds that requests in flight are given when the server stops.
GRACE: Final = 0.1
# Seconds between two looks at the scenario.
STEP: Final = 1.0


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived.

    Parameters
    ----------
    query : str
        Without the signature.
    api_key : str
        Empty if it carried none.
    """

    at: datetime
    method: str
    path: str
    query: str
    api_key: str


class Exchange:
    """The web application: records every request, lets faults happen, and asks the dialect."""

    def __init__(self, engine: Engine, dialect: Dialect, faults: Iterable[Fault] = ()) -> None:
        self.engine = engine
        self.dialect = dialect
        self.faults = [*faults]
        self.requests: deque[RecordedRequest] = deque(maxlen=MOST_RECORDS)

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve while the context lasts; yields the port.

        Raises
        ------
        AddressInUse
            If something else listens there.
        """
        app = web.Application(middlewares=[self._middleware()])
        app.add_routes(self.dialect.routes())
        # A handler ends when its client gives up; a fault that hangs would never end otherwise.
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=GRACE
        )
        await runner.setup()
        try:
            await _listen(runner, host, port)
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    def _middleware(self) -> Middleware:
        @web.middleware
        async def record_and_misbehave(
            request: web.Request, handler: Handler
        ) -> web.StreamResponse:
            api_key = self.dialect.account_of(request)
            self.requests.append(self._record(request, api_key))
            now = self.engine.clock()
            for fault in [*self.faults]:
                if fault.happens(request.path, api_key, now):
                    return await misbehave(fault, Victim(request, handler, self.dialect))
            return await handler(request)

        return record_and_misbehave

    def _record(self, request: web.Request, api_key: str) -> RecordedRequest:
        query = request.raw_path.partition("?")[2]
        kept = [(k, v) for k, v in parse_qsl(query) if k not in self.dialect.unrecorded]
        return RecordedRequest(
            self.engine.clock(), request.method, request.path, urlencode(kept), api_key
        )


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
    """

    def __init__(
        self,
        engine: Engine,
        faults: Iterable[Fault] = (),
        port: int = 0,
        dialect: Dialect | None = None,
    ) -> None:
        self.engine = engine
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
        async with self._exchange.serving(LOOPBACK, self.port) as port:
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
    async with exchange.serving(*address) as port:
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
