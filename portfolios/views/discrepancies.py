from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portfolios.selectors.discrepancies import discrepancies_page
from portfolios.selectors.discrepancy import discrepancies_to_show, discrepancy_page
from portfolios.views.requests import query_of


@require_safe
def discrepancies(request: HttpRequest) -> HttpResponse:
    page = discrepancies_page(query_of(request), timezone.now())
    return render(request, "portfolios/discrepancies.html", {"page": page})


@require_safe
def discrepancy(request: HttpRequest, pk: int) -> HttpResponse:
    page = discrepancy_page(get_object_or_404(discrepancies_to_show(), pk=pk))
    return render(request, "portfolios/discrepancy.html", {"page": page})
