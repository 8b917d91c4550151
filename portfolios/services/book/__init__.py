"""The book document: accounts, portfolios, positions, orders and rules as one JSON text."""

from __future__ import annotations

from portfolios.services.book.changes import ImportResult
from portfolios.services.book.document import BookError, read_document
from portfolios.services.book.exporting import export_book
from portfolios.services.book.importing import import_book

__all__ = ["BookError", "ImportResult", "export_book", "import_book", "read_document"]
