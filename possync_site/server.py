"""How gunicorn serves PosSync: ``gunicorn --config python:possync_site.server possync_site.wsgi``."""

from __future__ import annotations

import gc
import os

from django.urls import get_resolver

bind = f"{os.environ.get('POSSYNC_HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
# Two processes, so that a slow page or a recycled process never stops the other pages; preloading shares their memory.
workers = 2
threads = 4
worker_class = "gthread"
preload_app = True
# Seconds; a supervisor kills what is left soon after.
graceful_timeout = 5
loglevel = "warning"
# Its default place is a file in the home folder, shared by all gunicorns of a user.
control_socket_disable = True
# Whether to believe X-Forwarded-Proto is Django's to decide (POSSYNC_BEHIND_PROXY); gunicorn believes it from loopback.
secure_scheme_headers: dict[str, str] = {}


def when_ready(_server: object) -> None:
    """Load the pages once for all processes, and set them apart: to search them for garbage takes as long as a page."""
    get_resolver().url_patterns  # noqa: B018 - reading it imports the views
    gc.collect()
    gc.freeze()
