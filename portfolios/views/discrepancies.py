from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from portfolios.models import Discrepancy
from portfolios.selectors.discrepancies import discrepancies_page, discrepancy_page
from portfolios.views.requests import query_of


@require_safe
def discrepancies(request: HttpRequest) -> HttpResponse:
    page = discrepancies_page(query_of(request))
    return render(request, "portfolios/discrepancies.html", {"page": page})


@require_safe
def discrepancy(request: HttpRequest, pk: int) -> HttpResponse:
    page = discrepancy_page(get_object_or_404(_with_their_names(), pk=pk))
    return render(request, "portfolios/discrepancy.html", {"page": page})


def _with_their_names() -> QuerySet[Discrepancy]:
    return Discrepancy.objects.select_related("account", "portfolio", "order__account")
