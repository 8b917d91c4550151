from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from portfolios.management import first_start


class Command(BaseCommand):
    help = _("Makes database, key files, static files and the user admin; starts nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        with first_start.data_folder_held(settings.DATA_DIR):
            first_start.prepare(self.stdout.write)
