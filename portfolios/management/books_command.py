from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _


class BooksCommand(BaseCommand):
    """A command that needs the tables, and says in one line where they are not there yet."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        require_tables()
        return super().execute(*args, **options)


def require_tables() -> None:
    """Refuse a database that lacks tables of this version.

    Raises
    ------
    CommandError
        If something is left for `migrate`.
    """
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError(
            _(
                "The database is not set up yet, or is of an older version. Nothing was done: run "
                "`python manage.py migrate` first, or start everything with `make run`."
            )
        )
