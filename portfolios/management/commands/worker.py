from __future__ import annotations

import gc
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

# The queue's processes are forks of this one: what is loaded here, ccxt above all, is in memory once for all of them.
import providers.ccxt_provider  # noqa: F401 - loaded, not used
from portfolios import tasks


class Command(BaseCommand):
    help = _("Runs the queue's workers until SIGTERM.")

    def handle(self, *args: Any, **options: Any) -> None:
        # Keeps the collector from touching, and so copying, pages that parent and workers share.
        gc.freeze()
        tasks.run_workers()
