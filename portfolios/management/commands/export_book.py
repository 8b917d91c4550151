from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from portfolios.management.books_command import BooksCommand
from portfolios.services.book import export_book


class Command(BooksCommand):
    help = _("Print the books as a book document (JSON), without credentials.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(export_book(), indent=2))
