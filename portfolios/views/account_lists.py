from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portfolios.selectors.account_lists import (
    account_coverage_page,
    account_decisions_page,
    account_list_page,
)
from portfolios.views.requests import query_of


@require_safe
def account_list(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    return _shown(request, name, account_list_page(pk, name, query_of(request), timezone.now()))


@require_safe
def account_coverage(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, "coverage", account_coverage_page(pk, timezone.now()))


@require_safe
def account_decisions(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, "decisions", account_decisions_page(pk, timezone.now()))


def _shown(request: HttpRequest, name: str, page: object | None) -> HttpResponse:
    if page is None:
        raise Http404
    return render(request, f"portfolios/account_{name}.html", {"page": page})
