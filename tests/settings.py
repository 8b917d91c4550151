"""The product's settings on a data folder of this test process's own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Before the settings load: they make key files and take a developer's own `.env`.
os.environ["POSSYNC_ENV_FILE"] = os.devnull
os.environ["POSSYNC_ENV"] = "local"
os.environ["POSSYNC_DATA_DIR"] = tempfile.mkdtemp(prefix="possync-test-")

from possync_site.settings import *  # noqa: F403 - Django's way to vary settings
from possync_site.settings import DATABASES, STATIC_ROOT, STORAGES

# pytest-django knows by its engine's name alone that a database is in memory, and this engine is our own.
if DATABASES["default"]["ENGINE"] == "possync_site.databases.sqlite":
    DATABASES["default"]["TEST"] = {"NAME": ":memory:"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Pages find their static files without a `collectstatic`.
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
Path(STATIC_ROOT).mkdir()
# Tables of other people's apps are made as their models are now: to replay their histories takes most of the time that
# a test database does. Our own migration, with its triggers, runs as it does for everybody.
MIGRATION_MODULES = dict.fromkeys(("admin", "auth", "contenttypes", "django_q", "sessions"), None)
