from __future__ import annotations

import pytest


@pytest.fixture
def books_in_memory(transactional_db: None) -> None:
    """Let a history use real transactions; it copies the pages of its database, which only SQLite in memory can do.

    So such a test is not of those that are run on PostgreSQL too.
    """
