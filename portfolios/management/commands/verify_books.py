from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.management.books_command import BooksCommand
from portfolios.management.commands.sync import chosen_accounts
from portfolios.reconciliation.verification import Difference
from portfolios.services.verification import Verification, verify_books
from portfolios.services.verification_meanings import MEANINGS


class Command(BooksCommand):
    help = _(
        "Recompute all books from their facts; nothing is written. Exit code 1 at the first "
        "difference, which is named, else 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--account",
            action="append",
            default=[],
            metavar="LABEL",
            help=_("only the books of this account; may be given several times"),
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen_accounts(options["account"])
        done = verify_books(options["account"])
        if options["format"] == "json":
            self.stdout.write(json.dumps(_row(done), indent=2))
        else:
            self.stdout.write(_text(done))
        sys.exit(0 if done.difference is None else 1)


def _row(done: Verification) -> dict[str, Any]:
    found = done.difference
    return {
        "agrees": found is None,
        "checked": _counts(done),
        "difference": None if found is None else _difference_row(done, found),
    }


def _counts(done: Verification) -> dict[str, int]:
    names = ("accounts", "orders", "fills", "flows", "entries", "positions")
    return {name: getattr(done, name) for name in names}


def _difference_row(done: Verification, found: Difference) -> dict[str, str | None]:
    return {
        "check": found.check.value,
        "account": done.account,
        "portfolio": done.portfolio,
        "asset": found.asset or None,
        "order": found.order or None,
        "fill": found.fill or None,
        "flow": found.flow or None,
        "stored": _digits(found.stored),
        "recomputed": _digits(found.recomputed),
        "meaning": str(MEANINGS[found.check]),
        **({"why": found.why} if found.why else {}),
    }


def _text(done: Verification) -> str:
    if done.difference is None:
        return _(
            "Everything agrees. Checked: accounts %(accounts)d, orders %(orders)d, fills %(fills)d, "
            "flows %(flows)d, ledger entries %(entries)d, positions %(positions)d."
        ) % _counts(done)
    found = done.difference
    owner = _("portfolio %(name)s") % {"name": done.portfolio} if done.portfolio else ""
    named = [
        _("account %(label)s") % {"label": done.account} if done.account else "",
        owner or ("" if found.why else _("unassigned")),
        found.asset,
        _("order %(id)s") % {"id": found.order} if found.order else "",
        _("fill %(id)s") % {"id": found.fill} if found.fill else "",
        _("flow %(id)s") % {"id": found.flow} if found.flow else "",
        found.why
        or _("%(stored)s stored, %(recomputed)s recomputed")
        % {
            "stored": _digits(found.stored) or _("nothing"),
            "recomputed": _digits(found.recomputed) or _("nothing"),
        },
    ]
    return f"{', '.join(filter(None, named))}\n{MEANINGS[found.check]}"


def _digits(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)
