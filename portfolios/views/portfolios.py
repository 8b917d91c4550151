from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from portfolios.models import Portfolio
from portfolios.selectors.comparison import compare_page
from portfolios.selectors.listing import Query
from portfolios.selectors.portfolio import (
    PortfolioFrame,
    fills_page,
    history_page,
    ledger_page,
    orders_page,
    portfolio_frame,
    portfolio_page,
)
from portfolios.views.requests import may_sync, query_of, sync_account

_Gather = Callable[[PortfolioFrame, Query, datetime], object]


@require_safe
def portfolio(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, pk, portfolio_page, "portfolio")


@require_safe
def orders(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, pk, orders_page, "portfolio_orders")


@require_safe
def fills(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, pk, fills_page, "portfolio_fills")


@require_safe
def ledger(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, pk, ledger_page, "portfolio_ledger")


@require_safe
def history(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, pk, history_page, "portfolio_history")


@require_safe
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, pk, compare_page, "portfolio_compare")


@require_POST
@may_sync
def portfolio_sync(request: HttpRequest, pk: int) -> HttpResponse:
    portfolio = get_object_or_404(Portfolio.objects.select_related("account"), pk=pk)
    return sync_account(request, portfolio.account, portfolio.get_absolute_url())


def _shown(request: HttpRequest, pk: int, gather: _Gather, template: str) -> HttpResponse:
    now = timezone.now()
    frame = portfolio_frame(pk, now)
    if frame is None:
        raise Http404
    page = gather(frame, query_of(request), now)
    return render(request, f"portfolios/{template}.html", {"page": page})
