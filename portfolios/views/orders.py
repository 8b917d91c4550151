from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from portfolios.models import Order, Portfolio
from portfolios.services.claims import ClaimRefused, claim_order, possible_owners
from portfolios.views.requests import chosen, may_change_orders, redirect_back


@require_POST
@may_change_orders
def order_claim(request: HttpRequest, pk: int) -> HttpResponse:
    order = get_object_or_404(Order.objects.select_related("account"), pk=pk)
    portfolio = chosen(request, "portfolio", possible_owners(order.account))
    if portfolio is None:
        messages.error(request, _("Choose a portfolio of this account. Nothing was changed."))
    else:
        _claim(request, order, portfolio)
    return redirect_back(request, order.account.get_absolute_url())


def _claim(request: HttpRequest, order: Order, portfolio: Portfolio) -> None:
    try:
        claim_order(order, portfolio)
    except ClaimRefused as e:
        messages.error(request, str(e))
    else:
        messages.success(
            request,
            _("Order %(order)s belongs to %(portfolio)s now.")
            % {"order": order.external_id, "portfolio": portfolio},
        )
