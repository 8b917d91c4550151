from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder


@pytest.fixture
def half_set_up(db: None) -> None:
    MigrationRecorder(connection).record_unapplied("portfolios", "0001_initial")


@pytest.mark.usefixtures("half_set_up")
@pytest.mark.parametrize("command", ["report", "sync", "export_book", "verify_books"])
def test_without_its_tables_a_command_says_what_to_do(command: str) -> None:
    with pytest.raises(CommandError, match=r"not set up yet.*manage.py migrate.*make run"):
        call_command(command)


@pytest.mark.usefixtures("half_set_up")
def test_without_tables_a_book_is_not_read() -> None:
    with pytest.raises(CommandError, match="Nothing was done"):
        call_command("import_book", "no such file")
