from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from portfolios.models import Portfolio
from portfolios.selectors.portfolio import portfolio_page
from portfolios.views.requests import may_sync, query_of, sync_account


@require_safe
def portfolio(request: HttpRequest, pk: int) -> HttpResponse:
    portfolio = get_object_or_404(Portfolio, pk=pk)
    page = portfolio_page(portfolio, query_of(request), timezone.now())
    return render(request, "portfolios/portfolio.html", {"page": page})


@require_POST
@may_sync
def portfolio_sync(request: HttpRequest, pk: int) -> HttpResponse:
    portfolio = get_object_or_404(Portfolio.objects.select_related("account"), pk=pk)
    return sync_account(request, portfolio.account, portfolio.get_absolute_url())
