from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from portfolios.management.benchmark import (
    ASSETS,
    ORDERS,
    BenchFailed,
    fetch_accounts,
    judging_seconds,
    practice_exchange,
)

# A quarter, half and all of the accounts.
SHARES = (4, 2, 1)


class Command(BaseCommand):
    help = _(
        "Measure what judging accounts costs beside fetching them from a practice exchange that "
        "answers at once. Nothing is stored."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--accounts", type=int, default=50, help=_("how many (50)"))
        parser.add_argument("--json", action="store_true", help=_("write JSON"))

    def handle(self, *args: Any, **options: Any) -> None:
        accounts: int = options["accounts"]
        if accounts < max(SHARES):
            raise CommandError(_("--accounts must be at least %(n)d.") % {"n": max(SHARES)})
        measured = _measured(accounts)
        if options["json"]:
            self.stdout.write(json.dumps(measured, indent=2))
        else:
            self.stdout.write(_text(measured))


def _measured(accounts: int) -> dict[str, Any]:
    sizes = [accounts // share for share in SHARES]
    judging = [judging_seconds(size) for size in sizes]
    try:
        with practice_exchange() as url:
            fetched = fetch_accounts(url, accounts)
    except BenchFailed as e:
        raise CommandError(_("The practice exchange could not be read: %(e)s") % {"e": e}) from None
    return {
        "accounts": accounts,
        "assets": ASSETS,
        "orders": ORDERS,
        "judging_seconds": round(judging[-1], 4),
        "fetching_seconds": round(fetched.cpu, 4),
        "fetching_wall_seconds": round(fetched.wall, 4),
        "requests": fetched.requests,
        "judging_to_fetching": round(judging[-1] / fetched.cpu, 4),
        "judging_seconds_per_account": {
            size: round(seconds / size, 6) for size, seconds in zip(sizes, judging, strict=True)
        },
    }


def _text(measured: dict[str, Any]) -> str:
    lines = [
        _("%(accounts)d accounts of %(assets)d assets and %(orders)d orders each"),
        _("judging   %(judging_seconds).3f s of CPU time"),
        _(
            "fetching  %(fetching_seconds).3f s of CPU time here (the exchange's own not counted), "
            "%(fetching_wall_seconds).3f s in all, %(requests)d requests"
        ),
        _("judging / fetching  %(judging_to_fetching).3f"),
    ]
    each = [
        _("%(accounts)d accounts: %(ms).3f ms to judge each") % {"accounts": n, "ms": 1000 * s}
        for n, s in measured["judging_seconds_per_account"].items()
    ]
    return "\n".join([*(line % measured for line in lines), *each])
