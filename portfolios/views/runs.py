from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portfolios.models import SyncRun
from portfolios.selectors import progress
from portfolios.selectors.runs import run_page, runs_page
from portfolios.views.requests import query_of, shown_page


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    page = runs_page(query_of(request), timezone.now())
    return render(request, "portfolios/runs.html", {"page": page})


@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(SyncRun.objects.select_related("account", "requested_by"), pk=pk)
    page = run_page(run, query_of(request), timezone.now())
    return render(request, "portfolios/run.html", {"page": page})


@require_safe
def run_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer without content as long as nothing has changed: htmx leaves the panel alone and asks again."""
    run = get_object_or_404(SyncRun.objects.select_related("account"), pk=pk)
    page = progress.run_progress(
        run, timezone.now(), refresh_url=shown_page(request), joined="joined" in request.GET
    )
    if run.is_open and request.GET.get("seen") == page.token:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return render(request, "portfolios/run_progress.html", {"page": page})
