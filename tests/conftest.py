from __future__ import annotations

import gc
import os
import shutil
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from portfolios.services import host_clocks, shared_clock
from providers.sandbox.books import Instrument, Permission
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests import hypothesis_profiles
from tests.both_databases import BOTH_DATABASES
from tests.databases.comparing import compared
from tests.hypothesis_profiles import IS_PROVE
from tests.kept import State

CHROMIUM = Path(os.environ.get("POSSYNC_CHROMIUM", "/usr/bin/chromium"))
# No sandbox: tests may run as root. The rest keeps it from asking anything of the network.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOPBACK = {"127.0.0.1", "::1", "localhost", "", None}
# Marks of tests that take their time.
LONG = ("processes", "timeout")
ON_BOTH = frozenset(BOTH_DATABASES)


def pytest_configure() -> None:
    hypothesis_profiles.load()
    sys.addaudithook(_refuse_the_network)


def pytest_unconfigure() -> None:
    shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    for item in items:
        # A place is a file, or one test of it in all its cases.
        places = {item.nodeid.partition("::")[0], item.nodeid.partition("[")[0]}
        if (IS_PROVE or places & ON_BOTH) and _uses_the_database(item):
            item.add_marker("database")
    yield
    # Long ones first: at the end all processes shall have work until they are through.
    long = {item.path for item in items if any(map(item.get_closest_marker, LONG))}
    items.sort(key=lambda item: item.path not in long)


def _uses_the_database(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    is_marked = item.get_closest_marker("django_db") is not None
    return is_marked or not {"db", "transactional_db"}.isdisjoint(fixtures)


def pytest_collection_finish() -> None:
    # Half a million objects that stay for good need not be looked through again and again: a tenth of all the time.
    gc.collect()
    gc.freeze()


def _refuse_the_network(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if (host.decode() if isinstance(host, bytes) else host) not in LOOPBACK:
        raise RuntimeError(f"A test may reach 127.0.0.1 only, was {host}.")


@pytest.fixture(autouse=True, scope="session")
def flush_past_the_append_only_triggers() -> Iterator[None]:
    """Let Django empty the tables between transactional tests, though the ledger's rows refuse to be deleted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLite.ops_class, "execute_sql_flush", _flush_without_triggers)
        yield


@pytest.fixture(autouse=True, scope="session")
def time_that_passes_by_the_wall_clock() -> Iterator[None]:
    """Let a test that moves the wall clock move the others with it: the one nobody can set, and the server's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_clocks, "uptime", lambda: time.time())
        patch.setattr(shared_clock, "_servers_now", timezone.now)
        yield


@pytest.fixture(autouse=True, scope="session")
def every_kept_query_is_what_django_makes_of_it() -> Iterator[None]:
    """Where proof is asked for, hold each query that was compiled before against Django's own, in all tests."""
    with compared() if IS_PROVE else nullcontext():
        yield


def _flush_without_triggers(operations: BaseDatabaseOperations, statements: Sequence[str]) -> None:
    connection = operations.connection
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _sql in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        BaseDatabaseOperations.execute_sql_flush(operations, statements)
        for _name, sql in triggers:
            cursor.execute(sql)


@pytest.fixture(scope="module")
def kept_states() -> dict[Any, State]:
    """Hold what `tests.kept` has made for tests of this module."""
    return {}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """Serve a practice exchange over real HTTP with one empty account: `practice-key`, `practice-secret`."""
    engine = Engine(
        [
            Instrument("BTC/USDT", Decimal("0.01"), Decimal("0.00001"), Decimal("86412.53")),
            Instrument("ETH/USDT", Decimal("0.01"), Decimal("0.0001"), Decimal("2831.47")),
            Instrument("BNB/USDT", Decimal("0.01"), Decimal("0.001"), Decimal("848.31")),
        ]
    )
    engine.add_account("practice-key", "practice-secret", [Permission.READ])
    with SandboxServer(engine) as server:
        yield server


# By module: while it is open, its event loop stands in the way of every `asyncio.run` of the same thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"No browser at {CHROMIUM}: install chromium, or set POSSYNC_CHROMIUM."
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # For the same reason Django would refuse to use its database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=CHROMIUM_FLAGS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def admin_page(browser: Browser, live_server: LiveServer, admin_client: Client) -> Iterator[Page]:
    """Open a page whose visitor is logged in as an administrator; it takes paths, such as `goto("/")`."""
    context = browser.new_context(base_url=live_server.url)
    session = admin_client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
    )
    yield context.new_page()
    context.close()
