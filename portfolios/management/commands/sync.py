from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from portfolios.management.books_command import BooksCommand
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.selectors.report import run_row
from portfolios.services.manual_sync import exit_code, sync_now


class Command(BooksCommand):
    help = _(
        "Sync accounts now, in this process. Exit code 2 if a run failed or is partial, else 1 if a "
        "difference of severity warning or above is open, else 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--account",
            action="append",
            default=[],
            metavar="LABEL",
            help=_("an account, paused or not; may be given several times"),
        )
        parser.add_argument(
            "--all",
            action="store_true",
            help=_("every account that is not paused; so it is if no account is named"),
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = chosen_accounts(options["account"])
        if options["all"] or not options["account"]:
            chosen = {account.pk: account for account in accounts}
            chosen |= {row.pk: row for row in ExchangeAccount.objects.filter(paused=False)}
            accounts = list(chosen.values())
        try:
            runs = sync_now(accounts, say=self._say)
        except KeyboardInterrupt:
            raise CommandError(_("Interrupted."), returncode=130) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps([run_row(run) for run in runs], indent=2))
        else:
            self._tell(runs)
        sys.exit(exit_code(runs))

    def _say(self, line: str) -> None:
        self.stderr.write(line, style_func=str)  # progress is no error, and not written in red
        self.stderr.flush()

    def _tell(self, runs: list[SyncRun]) -> None:
        if not runs:
            self.stdout.write(_("There is no account to sync."))
        for run in runs:
            line = _(
                "%(account)s: %(status)s, %(requests)d requests, %(checked)d orders checked, %(changed)d changed"
            ) % {
                "account": run.account,
                "status": run.status,
                "requests": run.http_requests,
                "checked": run.orders_checked,
                "changed": run.orders_changed,
            }
            self.stdout.write(f"{line} - {run.message}" if run.message else line)


def chosen_accounts(labels: list[str]) -> list[ExchangeAccount]:
    """Find the accounts of these labels.

    Raises
    ------
    CommandError
        If there is no account of a label. Its exit code is that of a wrong argument: 1 says that something differs.
    """
    accounts = list(ExchangeAccount.objects.filter(label__in=labels))
    unknown = sorted(set(labels) - {account.label for account in accounts})
    if unknown:
        raise CommandError(
            _("There is no account %(labels)s.") % {"labels": ", ".join(unknown)}, returncode=2
        )
    return accounts
