from __future__ import annotations

import gc
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections
from django.utils.translation import gettext as _

# The queue's processes are forks of this one: what is loaded here, ccxt above all, is in memory once for all of them.
import portfolios.ciphers  # noqa: F401 - loaded, not used
import providers.ccxt_provider  # noqa: F401 - loaded, not used
from portfolios import tasks
from portfolios.management.workers import HEALTHY_LIFE, LOOK, Workers
from portfolios.services.providers import preload_markets


class Command(BaseCommand):
    help = _("Runs the queue's workers until SIGTERM.")

    def handle(self, *args: Any, **options: Any) -> None:
        workers = Workers(
            work=tasks.run_cluster,
            prepare=self._prepare,
            look=tasks.look,
            pulse=tasks.PULSE,
            stalled_after=settings.POSSYNC_STALLED_SECONDS,
            grace=settings.POSSYNC_DRAIN_SECONDS,
            look_every=min(LOOK, settings.POSSYNC_STALLED_SECONDS / 2),
            # What lived so long has not died of how it was started.
            healthy_life=min(HEALTHY_LIFE, settings.POSSYNC_STALLED_SECONDS),
        )
        workers.run()

    def _prepare(self) -> None:
        try:
            tasks.ensure_schedule()
            tasks.wake()
            preload_markets()
        except DatabaseError:  # the workers wait for it, too
            tasks.log.exception("not_prepared")
        finally:
            connections.close_all()  # a fork must not share them
            # Keeps the collector from touching, and so copying, pages that parent and workers share.
            gc.freeze()
