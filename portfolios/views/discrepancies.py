from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portfolios.selectors.discrepancies import discrepancies_page
from portfolios.views.requests import query_of


@require_safe
def discrepancies(request: HttpRequest) -> HttpResponse:
    page = discrepancies_page(query_of(request))
    return render(request, "portfolios/discrepancies.html", {"page": page})
