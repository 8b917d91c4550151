from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from django.utils.translation import gettext as _
from ninja import NinjaAPI

from portfolios.api import reads, writes
from portfolios.api.docs import OwnDocs

api = NinjaAPI(
    title="PosSync",
    version="1",
    description="What the pages show, the start of a sync, and the door for bots.",
    urls_namespace="api",
    docs=OwnDocs(),
    docs_url="/docs",
    openapi_url="/openapi.json",
)
# Names may have a slash in them, so the longer paths come first.
api.add_router("", writes.router, tags=["write"])
api.add_router("", reads.router, tags=["read"])


@api.exception_handler(Http404)
def not_found(request: HttpRequest, exc: Http404) -> HttpResponse:
    return api.create_response(request, {"detail": _("There is nothing of this name.")}, status=404)


# People read about it, so these two are behind the log-in; programs sign in with their tokens.
_FOR_PEOPLE = ("openapi-json", "openapi-view")


def api_urls() -> tuple[list[URLPattern | URLResolver], str, str]:
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        if isinstance(pattern, URLPattern) and pattern.name not in _FOR_PEOPLE:
            callback: Any = login_not_required(pattern.callback)
            pattern.callback = callback
    return patterns, app_name, namespace
