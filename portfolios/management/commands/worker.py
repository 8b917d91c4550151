from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections
from django.utils.translation import gettext as _

# The queue's processes are forks of this one: what is loaded here, ccxt above all, is in memory once for all of them.
import portfolios.ciphers  # noqa: F401 - loaded, not used
import providers.ccxt_provider  # noqa: F401 - loaded, not used
from portfolios import queue, tasks
from portfolios.management.books_command import require_tables
from portfolios.management.workers import HEALTHY_LIFE, LOOK, Workers
from portfolios.services.providers import preload_markets


class Command(BaseCommand):
    help = _("Runs the queue's workers until SIGTERM.")

    def handle(self, *args: Any, **options: Any) -> None:
        with suppress(DatabaseError):  # one that cannot be reached may have them, and is waited for
            require_tables()
        connections.close_all()  # this process asks no more
        self._look_every = min(LOOK, settings.POSSYNC_STALLED_SECONDS / 2)
        workers = Workers(
            work=self._work,
            pulse=tasks.PULSE,
            stalled_after=settings.POSSYNC_STALLED_SECONDS,
            grace=settings.POSSYNC_DRAIN_SECONDS,
            watch_every=self._look_every,
            # What lived so long has not died of how it was started.
            healthy_life=min(HEALTHY_LIFE, settings.POSSYNC_STALLED_SECONDS),
        )
        gc.freeze()  # keeps the collector from touching, and so copying, pages that all share
        workers.run()

    def _work(self) -> None:
        """Load what all workers of this session share, and be them."""
        tasks.prepare()
        try:
            preload_markets()
        except DatabaseError:  # each loads them when it needs them
            tasks.log.exception("markets_not_preloaded")
        connections.close_all()  # a fork must not share them
        gc.freeze()
        queue.run_cluster(tasks.look, self._look_every)
