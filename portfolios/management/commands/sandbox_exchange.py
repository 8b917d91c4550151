from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from providers.sandbox.engine import Engine
from providers.sandbox.errors import SandboxError
from providers.sandbox.scenario import DemoScenario
from providers.sandbox.server import LOOPBACK, run_forever


class Command(BaseCommand):
    help = _(
        "Run the practice exchange alone: it answers ccxt's binance class over HTTP. Its accounts and "
        "orders are those of the demo, which drift on their own."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=LOOPBACK)
        parser.add_argument("--port", type=int, default=9000)
        parser.add_argument("--state", type=Path, default=settings.DATA_DIR / "demo/exchange.json")
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["port"] < 65_536:
            raise CommandError(
                _("--port must be a number from 0 to 65535, was %(port)d.")
                % {"port": options["port"]}
            )
        engine = Engine()
        try:
            options["state"].parent.mkdir(parents=True, exist_ok=True)
            run_forever(
                engine,
                DemoScenario(engine, seed=options["seed"]),
                options["host"],
                options["port"],
                state_file=options["state"],
                on_ready=self._greet,
            )
        except (SandboxError, OSError) as e:
            raise CommandError(str(e)) from None

    def _greet(self, url: str) -> None:
        self.stdout.write(_("The practice exchange is at %(url)s") % {"url": url})
        self.stdout.flush()  # whoever started it may be waiting for this line
