from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from portfolios.management.books_command import BooksCommand
from portfolios.services.book import BookError, import_book, read_document


class Command(BooksCommand):
    help = _("Import a book document (JSON), all or nothing. An equal import changes nothing.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help=_("a file, or - for standard input"))

    def handle(self, *args: Any, **options: Any) -> None:
        file = options["file"]
        try:
            data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except (OSError, ValueError) as e:
            reason = getattr(e, "strerror", None) or str(e)
            raise CommandError(
                _("%(file)s cannot be read: %(reason)s.") % {"file": file, "reason": reason}
            ) from None
        try:
            result = import_book(read_document(data))
        except BookError as e:
            raise CommandError(str(e)) from None
        self.stdout.write(
            _("%(created)d created, %(updated)d updated, %(unchanged)d unchanged")
            % {
                "created": result.created,
                "updated": result.updated,
                "unchanged": result.unchanged,
            }
        )
