from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from providers import catalogue
from providers.ccxt_client import generate_catalogue


class Command(BaseCommand):
    help = _("Write the catalogue of markets anew from the pinned ccxt.")
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help=_("write nothing; fail if it is stale")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = catalogue.CATALOGUE_FILE
        text = catalogue.catalogue_text(generate_catalogue())
        if not options["check"]:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            raise CommandError(_("The catalogue is stale. Run: python manage.py catalogue"))
