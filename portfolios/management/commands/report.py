from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from portfolios.management.books_command import BooksCommand
from portfolios.management.commands.sync import chosen_accounts
from portfolios.selectors.report import Row, full_report


class Command(BooksCommand):
    help = _("Print accounts, portfolios, orders, balances, discrepancies, incidents and runs.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--account",
            action="append",
            default=[],
            metavar="LABEL",
            help=_("only what belongs to this account; may be given several times"),
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen_accounts(options["account"])
        report = full_report(options["account"])
        if options["format"] == "json":
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self.stdout.write("\n\n".join(_section(name, rows) for name, rows in report.items()))


def _section(name: str, rows: Sequence[Row]) -> str:
    return "\n".join([f"{name.upper()} ({len(rows)})", *_table(rows)])


def _table(rows: Sequence[Row]) -> list[str]:
    """Lines with aligned columns; a column in which no row has anything is left out."""
    if not rows:
        return []
    columns = [name for name in rows[0] if any(row[name] not in (None, "", []) for row in rows)]
    lines = [columns, *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return ["  " + _padded(line, widths) for line in lines]


def _padded(line: Sequence[str], widths: Iterable[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
    return "  ".join(cells).rstrip()


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(_cell(row) for row in value) or "-"
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(part)}" for name, part in value.items() if part is not None)
    return str(value)
