"""The time that the server takes for each page, on a database as large as years leave it."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from portfolios.management.benchmark_data import Size, make_data
from portfolios.models import Discrepancy, ExchangeAccount, Incident, Portfolio, SyncRun

FULL: Final = Size(accounts=1000, orders=100_000, fills=1_000_000, differences=10_000)
# Pages of one row: what the name begins with, and of what the row is. Of all, the first has most.
_DETAILS: Final[dict[str, type[models.Model]]] = {
    "account": ExchangeAccount,
    "portfolio": Portfolio,
    "discrepancy": Discrepancy,
    "exception": Incident,
    "run": SyncRun,
    "verdicts": SyncRun,
}
_NO_PAGES: Final = ("login", "logout")
_PLAIN: Final = "django.contrib.staticfiles.storage.StaticFilesStorage"
_TAIL: Final = 0.95


def measure(*, scale: int, repeats: int) -> dict[str, Any]:
    """Fill the database, which is empty, to `scale` per cent, and open every page `repeats` times."""
    names = ("accounts", "orders", "fills", "differences")
    size = Size(*(max(1, getattr(FULL, name) * scale // 100) for name in names))
    make_data(size, lambda _line: None)
    with connection.cursor() as cursor:
        # What PostgreSQL does by itself before long.
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    logging.disable(logging.WARNING)  # of what takes a form only
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("bench"))
    # No files are served here, so nothing has to be collected.
    Path(settings.STATIC_ROOT).mkdir(exist_ok=True)
    storages = {**settings.STORAGES, "staticfiles": {"BACKEND": _PLAIN}}
    urls = list(_urls())
    # As possync_site.server does.
    gc.collect()
    gc.freeze()
    with override_settings(STORAGES=storages):
        pages = [told for url in urls if (told := _opened(client, url, repeats)) is not None]
    rows = {name: getattr(size, name) for name in names}
    return {"database": connection.vendor, "rows": rows, "pages": pages}


def _urls() -> Iterator[str]:
    """Give the address of each page that takes nothing, or the key of one row."""
    for pattern in _patterns():
        if not pattern.name or pattern.name in _NO_PAGES:
            continue
        wanted = set(pattern.pattern.converters)
        if not wanted:
            yield reverse(pattern.name)
        elif wanted == {"pk"}:
            row = _row_of(pattern.name)
            if row is not None:
                yield reverse(pattern.name, args=[row])


def _patterns() -> Iterator[URLPattern]:
    """Give our own pages; the admin has a namespace."""
    for tree in get_resolver().url_patterns:
        if isinstance(tree, URLResolver) and tree.namespace is None:
            yield from (each for each in tree.url_patterns if isinstance(each, URLPattern))


def _row_of(page: str) -> int | None:
    for name, model in _DETAILS.items():
        if page.startswith(name):
            rows = model._default_manager.order_by("pk")  # noqa: SLF001 - Django documents it
            return rows.values_list("pk", flat=True).first()
    return None


def _opened(client: Client, url: str, repeats: int) -> dict[str, Any] | None:
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(url)
        queries = len(captured)
    if answer.status_code != 200:
        return None  # takes a form only
    seconds = sorted(_seconds(client, url) for _ in range(repeats))
    return {
        "page": url,
        "queries": queries,
        "p95_ms": round(1000 * seconds[min(int(_TAIL * repeats), repeats - 1)], 1),
        "kb": round(len(answer.content) / 1024),
    }


def _seconds(client: Client, url: str) -> float:
    began = time.perf_counter()
    client.get(url)
    return time.perf_counter() - began
