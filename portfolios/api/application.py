from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path, re_path
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from ninja import NinjaAPI

from portfolios.api import details, reads, writes
from portfolios.api.docs import OwnDocs
from portfolios.api.queries import strict

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
for _router, _tag in ((writes.router, "write"), (details.router, "read"), (reads.router, "read")):
    _router.add_decorator(strict, mode="view")
    api.add_router("", _router, tags=[_tag])


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
    # A program understands no page of HTML, and people look for the documentation.
    docs = RedirectView.as_view(pattern_name="api:openapi-view")
    return [path("", docs), *patterns, re_path("", _unknown)], app_name, namespace


@csrf_exempt
@login_not_required
def _unknown(request: HttpRequest) -> HttpResponse:
    return not_found(request, Http404())
