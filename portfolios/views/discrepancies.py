from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from portfolios.models import Discrepancy, Order
from portfolios.selectors.discrepancies import discrepancies_page, discrepancy_page
from portfolios.services.claims import ClaimRefused, accept_match
from portfolios.services.lapses import LapseRefused, accept_lapse
from portfolios.views.requests import chosen, may_change_discrepancies, query_of


@require_safe
def discrepancies(request: HttpRequest) -> HttpResponse:
    page = discrepancies_page(query_of(request))
    return render(request, "portfolios/discrepancies.html", {"page": page})


@require_safe
def discrepancy(request: HttpRequest, pk: int) -> HttpResponse:
    page = discrepancy_page(get_object_or_404(_with_their_names(), pk=pk))
    return render(request, "portfolios/discrepancy.html", {"page": page})


@require_POST
@may_change_discrepancies
def discrepancy_lapse(request: HttpRequest, pk: int) -> HttpResponse:
    order = _order_of(pk)
    try:
        accept_lapse(order)
    except LapseRefused as e:
        messages.error(request, str(e))
    else:
        messages.success(request, _("Accepted: the order has lapsed."))
    return redirect("discrepancy", pk)


@require_POST
@may_change_discrepancies
def discrepancy_match(request: HttpRequest, pk: int) -> HttpResponse:
    order = _order_of(pk)
    candidate = chosen(request, "order", Order.objects.filter(account=order.account_id))
    if candidate is None:
        messages.error(request, _("The form names no order of this account. Nothing was changed."))
        return redirect("discrepancy", pk)
    try:
        accept_match(order, candidate)
    except ClaimRefused as e:
        messages.error(request, str(e))
    else:
        messages.success(
            request, _("Accepted: it is order %(id)s.") % {"id": candidate.external_id}
        )
    return redirect("discrepancy", pk)


def _with_their_names() -> QuerySet[Discrepancy]:
    return Discrepancy.objects.select_related("account", "portfolio", "order__account")


def _order_of(pk: int) -> Order:
    return get_object_or_404(Order.objects.select_related("account"), discrepancy__pk=pk)
