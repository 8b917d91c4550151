from __future__ import annotations

from collections.abc import Iterator

import pytest

from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import Clock, make_engine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock: Clock) -> Engine:
    return make_engine(clock=clock)


@pytest.fixture
def server(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine) as running:
        yield running
