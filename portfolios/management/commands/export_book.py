from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from portfolios.services.book import export_book


class Command(BaseCommand):
    help = _("Print the books as a book document (JSON), without credentials.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(export_book(), indent=2))
