from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.services.pruning import BOUNDS, prune


class Command(BaseCommand):
    help = _(
        "Take away reads, verdicts and occurrences that are old and that nothing needs any more. Facts, decisions, and "
        "the evidence of live differences stay. --tables says what bounds each table, or why it is kept for ever."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=settings.POSSYNC_KEEP_DAYS,
            help=_("how many days are kept (%(default)s)"),
        )
        parser.add_argument("--dry-run", action="store_true", help=_("only count"))
        parser.add_argument(
            "--tables",
            action="store_true",
            help=_("only say what bounds each table, or why it is kept"),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tables"]:
            lines = (f"{reason}:\n  {', '.join(tables)}" for reason, tables in BOUNDS.items())
            self.stdout.write("\n".join(lines))
            return
        if options["days"] < 1:
            raise CommandError(_("--days must be at least 1."))
        counts = prune(timezone.now(), days=options["days"], dry_run=options["dry_run"])
        self.stdout.write("\n".join(f"{count:>9}  {name}" for name, count in counts.items()))
