"""A whole installation in a folder of its own: its commands run in another process, its exchange is here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

from providers.sandbox.books import Instrument
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests.house.processes import ROOT, product_environment

KEY, SECRET = "practice-key", "practice-secret"
BOOK: Mapping[str, Any] = {
    "portfolios": [
        {"name": "alpha", "account": "main", "trading_symbol": "EUR", "initial_balance": "1000"}
    ],
}


def make_engine() -> Engine:
    engine = Engine([Instrument("ADA/EUR", Decimal("0.01"), Decimal("0.01"), Decimal(1))])
    engine.add_account(KEY, SECRET)
    engine.deposit(KEY, "EUR", "1000")
    return engine


@dataclass
class Installation(AbstractContextManager["Installation"]):
    folder: Path
    server: SandboxServer
    settings: Mapping[str, str] = field(default_factory=dict)
    _commands: subprocess.Popen[str] | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._commands is not None:
            self._commands.communicate()

    def prepare(self) -> None:
        """Make the database, and the books of one account at the exchange."""
        account = {
            "label": "main",
            "market": "binance",
            "endpoint": self.server.url,
            "credential": {"apiKey": KEY, "secret": SECRET},
            "lag_seconds": 0,
            "grace_seconds": 0,
        }
        self.manage("migrate", "--verbosity", "0")
        self.manage("import_book", "-", given=json.dumps({"accounts": [account], **BOOK}))

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "DJANGO_SETTINGS_MODULE": "possync_site.settings",
            "POSSYNC_LEASE_SECONDS": "2",
            "POSSYNC_LOG_LEVEL": "DEBUG",
        }
        return product_environment(self.folder, **{**own, **self.settings})

    def manage(self, *words: str, given: str = "") -> str:
        """Run a command of the product and return what it prints."""
        if self._commands is None:
            self._commands = subprocess.Popen(
                self.command("-m", "tests.processes.commands"),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        asked, answers = self._commands.stdin, self._commands.stdout
        assert asked is not None
        assert answers is not None
        asked.write(f"{json.dumps({'words': words, 'given': given})}\n")
        asked.flush()
        answer: dict[str, str] = json.loads(answers.readline())
        assert not answer["error"], answer["error"]
        return answer["printed"]

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words),
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done

    def command(self, *words: str) -> Sequence[str]:
        return [sys.executable, *words]

    def shell(self, statements: str) -> str:
        return self.manage("shell", "--no-imports", "--command", statements)

    def report(self) -> dict[str, list[dict[str, Any]]]:
        answer: dict[str, list[dict[str, Any]]] = json.loads(
            self.manage("report", "--format", "json")
        )
        return answer

    def latest_run(self) -> dict[str, Any]:
        return max(self.report()["runs"], key=lambda run: int(run["id"]))


def wait_until(happens: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.05)
