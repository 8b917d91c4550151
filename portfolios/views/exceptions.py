from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from portfolios.models import Incident
from portfolios.selectors.incidents import exception_page, exceptions_page
from portfolios.services.incidents import resolve_incident
from portfolios.views.requests import may_change_incidents, query_of, redirect_back


@require_safe
def exceptions(request: HttpRequest) -> HttpResponse:
    page = exceptions_page(query_of(request))
    return render(request, "portfolios/exceptions.html", {"page": page})


@require_safe
def exception(request: HttpRequest, pk: int) -> HttpResponse:
    incident = get_object_or_404(Incident.objects.select_related("account"), pk=pk)
    page = exception_page(incident, query_of(request))
    return render(request, "portfolios/exception.html", {"page": page})


@require_POST
@may_change_incidents
def exception_resolve(request: HttpRequest, pk: int) -> HttpResponse:
    incident = get_object_or_404(Incident, pk=pk)
    resolve_incident(incident)
    messages.success(request, _("Resolved. It comes back by itself if it happens again."))
    return redirect_back(request, incident.get_absolute_url())
