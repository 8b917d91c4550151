from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from portfolios.management.benchmark_data import Size, make_data
from portfolios.models import ExchangeAccount


class Command(BaseCommand):
    help = _("Fill an empty database with a large amount of made-up rows, to measure pages on.")

    def add_arguments(self, parser: CommandParser) -> None:
        for name, count in (
            ("accounts", 1000),
            ("orders", 100_000),
            ("fills", 1_000_000),
            ("differences", 10_000),
        ):
            parser.add_argument(f"--{name}", type=int, default=count, help="%(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        if ExchangeAccount.objects.exists():
            raise CommandError(_("There are accounts in this database; nothing was done."))
        size = Size(*(options[name] for name in ("accounts", "orders", "fills", "differences")))
        if min(size.accounts, size.orders) < 1:
            raise CommandError(_("At least one account and one order are needed."))
        make_data(size, self.stderr.write)
