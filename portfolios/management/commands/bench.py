from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from portfolios.management import (
    benchmark_memory,
    benchmark_paged,
    benchmark_pages,
    benchmark_syncs,
)
from portfolios.management.benchmark import ORDERS, fetch_accounts, judging_seconds
from portfolios.management.benchmark_exchange import ASSETS, BenchFailed, practice_exchange
from portfolios.management.own_database import own_database, run_manage
from portfolios.models import ExchangeAccount

# A quarter, half and all of the accounts.
SHARES = (4, 2, 1)
NUMBERS = ("sizes", "orders", "latencies")


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


class Command(BaseCommand):
    help = _(
        "Measure what syncs cost beside the same requests by aiohttp and by ccxt alone, and what judging costs beside "
        "fetching: a practice exchange in another process, a database of its own that is gone afterwards."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--accounts", type=int, default=50, help=_("how many are judged (%(default)s)")
        )
        parser.add_argument(
            "--sizes",
            type=numbers,
            default=[1, 10, 100, 1000],
            help=_("how many are synced together (%(default)s)"),
        )
        parser.add_argument(
            "--orders",
            type=numbers,
            default=[50, 500, 5000],
            help=_("open orders of an account (%(default)s)"),
        )
        parser.add_argument(
            "--latencies",
            type=numbers,
            default=[0, 50, 200],
            help=_("milliseconds that an answer takes (%(default)s)"),
        )
        parser.add_argument(
            "--repeats", type=int, default=5, help=_("of each the median is told (%(default)s)")
        )
        parser.add_argument(
            "--paged",
            type=int,
            default=20_000,
            help=_("open orders of an account that are told in pages (%(default)s)"),
        )
        parser.add_argument(
            "--pages", action="store_true", help=_("measure the pages on a large database instead")
        )
        parser.add_argument(
            "--scale", type=int, default=100, help=_("per cent of that database (%(default)s)")
        )
        parser.add_argument("--json", action="store_true", help=_("write JSON"))
        # What the command calls itself with, on the database that it has made.
        parser.add_argument("--on-this-database", action="store_true", help=_("for the command"))
        parser.add_argument("--memory", action="store_true", help=_("for the command"))
        parser.add_argument("--large", action="store_true", help=_("for the command"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["accounts"] < max(SHARES):
            raise CommandError(_("--accounts must be at least %(n)d.") % {"n": max(SHARES)})
        measured = _measured_here(options) if options["on_this_database"] else _measured(options)
        written = json.dumps(measured, indent=2) if options["json"] else _text(measured)
        self.stdout.write(written)


def _measured(options: Mapping[str, Any]) -> dict[str, Any]:
    words = ["bench", "--on-this-database", "--json", "--repeats", str(options["repeats"])]
    for name in NUMBERS:
        words += [f"--{name}", ",".join(map(str, options[name]))]
    if options["pages"]:
        words += ["--pages", "--scale", str(options["scale"])]
    try:
        judging = {} if options["pages"] else _judging(options["accounts"])
        with own_database() as environment:
            # Apart: what it takes to migrate is more than a worker ever holds.
            run_manage(["migrate", "--verbosity", "0"], environment)
            measured: dict[str, Any] = json.loads(run_manage(words, environment))
            if not options["pages"]:
                words = ["bench", "--on-this-database", "--json", "--large"]
                words += ["--paged", str(options["paged"])]
                measured |= json.loads(run_manage(words, environment))
    except (BenchFailed, subprocess.CalledProcessError) as e:
        raise CommandError(_("Nothing could be measured: %(e)s") % {"e": e}) from None
    return judging | measured


def _measured_here(options: Mapping[str, Any]) -> dict[str, Any]:
    if options["memory"]:
        return {"memory": benchmark_memory.measure()}
    if options["large"]:
        return {"paged": benchmark_paged.measure(options["paged"])}
    if ExchangeAccount.objects.exists():
        raise CommandError(_("There are accounts in this database; nothing was done."))
    if options["pages"]:
        return benchmark_pages.measure(scale=options["scale"], repeats=options["repeats"])
    return benchmark_syncs.measure(
        **{name: options[name] for name in NUMBERS}, repeats=options["repeats"]
    )


def _judging(accounts: int) -> dict[str, Any]:
    sizes = [accounts // share for share in SHARES]
    judging = [judging_seconds(size) for size in sizes]
    with practice_exchange((ORDERS,)) as [url]:
        fetched = fetch_accounts(url, accounts)
    return {
        "judging": {
            "accounts": accounts,
            "assets": ASSETS,
            "orders": ORDERS,
            "judging_seconds": round(judging[-1], 4),
            "fetching_seconds": round(fetched.cpu, 4),
            "fetching_wall_seconds": round(fetched.wall, 4),
            "requests": fetched.requests,
            "judging_to_fetching": round(judging[-1] / fetched.cpu, 4),
            "ms_each": {
                size: round(1000 * seconds / size, 3)
                for size, seconds in zip(sizes, judging, strict=True)
            },
        }
    }


def _text(measured: Mapping[str, Any]) -> str:
    return "\n\n".join(_table(name, told) for name, told in measured.items())


def _table(name: str, told: Any) -> str:
    if not isinstance(told, Mapping | list):
        return f"{name}: {told}"
    rows: Sequence[Mapping[str, Any]] = told if isinstance(told, list) else [told]
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    written = (
        "  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join([name, *written])
