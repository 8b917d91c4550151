"""Django and an empty database for a process that pytest has not started; import it before anything that has models."""

from __future__ import annotations

import os

import django
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()


def open_database() -> None:
    """Make the tables in a database in memory, for this process alone."""
    connection.creation.create_test_db(verbosity=0, serialize=False)
