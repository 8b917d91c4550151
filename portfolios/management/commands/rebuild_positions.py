from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.management.books_command import BooksCommand
from portfolios.management.commands.sync import chosen_accounts
from portfolios.services.integrity import UnreadableAmount, check_integrity, rebuild_positions


class Command(BooksCommand):
    help = _(
        "Write the positions of an account anew from its ledger, and what ended orders have filled from their fills. "
        "Then check the books: whole, the account is no more read-only; else exit code 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--account",
            action="append",
            required=True,
            metavar="LABEL",
            help=_("an account; may be given several times"),
        )
        parser.add_argument(
            "--dry-run", action="store_true", help=_("say what would change; nothing is written")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for account in chosen_accounts(options["account"]):
            with transaction.atomic():
                try:
                    rebuilt = rebuild_positions(account)
                except UnreadableAmount as e:
                    raise CommandError(str(e)) from None
                for row in rebuilt:
                    before = row.before or _("nothing")
                    self.stdout.write(f"{account}: {row.what}: {before} -> {plain(row.after)}")
                is_whole = check_integrity(account, None)
                transaction.set_rollback(options["dry_run"])
            if not is_whole:
                raise CommandError(
                    _("%(account)s: %(because)s")
                    % {"account": account, "because": account.read_only_because}
                )
            self.stdout.write(_("%(account)s: the books are whole.") % {"account": account})
