from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from portfolios.management.own_database import own_database, run_manage
from portfolios.management.soaking import soak
from portfolios.models import ExchangeAccount


class Command(BaseCommand):
    help = _(
        "Let workers sync a practice exchange that misbehaves, on a database of its own, and look at them all along: "
        "memory and queue are flat, no run is lost, no process left over, and the books are the truth at the end. Exit "
        "code 1 if not."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--minutes", type=float, default=10, help=_("how long (%(default)s)"))
        parser.add_argument(
            "--accounts", type=int, default=10, help=_("how many are traded on (%(default)s)")
        )
        parser.add_argument("--json", action="store_true", help=_("write JSON"))
        # What the command calls itself with, on the database that it has made.
        parser.add_argument("--on-this-database", action="store_true", help=_("for the command"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["on_this_database"]:
            call_command("migrate", verbosity=0)
            if ExchangeAccount.objects.exists():
                raise CommandError(_("There are accounts in this database; nothing was done."))
            told = soak(minutes=options["minutes"], accounts=options["accounts"])
            self.stdout.write(json.dumps(told, indent=2))
            return
        words = ["soak", "--on-this-database", "--minutes", str(options["minutes"])]
        words += ["--accounts", str(options["accounts"])]
        try:
            with own_database() as environment:
                written = run_manage(words, environment)
        except subprocess.CalledProcessError as e:
            raise CommandError(str(e)) from None
        told = json.loads(written)
        self.stdout.write(written if options["json"] else _text(told))
        if told["wrong"]:
            raise CommandError("; ".join(told["wrong"]))


def _text(told: Mapping[str, Any]) -> str:
    """Write one table, of the thirds of the time, and what came of it."""
    rows: list[dict[str, Any]] = told["thirds"]
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True))
        for line in lines
    ]
    faults = ", ".join(f"{kind} {count}" for kind, count in told["by_kind"].items())
    return "\n".join(
        [
            *table,
            f"runs: {told['runs']}, pruned: {told['pruned']}, faults: {told['faults']} ({faults})",
        ]
    )
