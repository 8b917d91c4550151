from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from portfolios.models import Incident
from portfolios.selectors.incidents import exception_page, exceptions_page
from portfolios.services.incidents import (
    alike,
    mute_incidents,
    resolve_incidents,
    unmute_incidents,
)
from portfolios.views.requests import actor_of, may_change_incidents, query_of, redirect_back

# For how long somebody may wish to hear nothing of an exception.
MUTED_FOR: Final = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}


@require_safe
def exceptions(request: HttpRequest) -> HttpResponse:
    page = exceptions_page(query_of(request), timezone.now())
    return render(request, "portfolios/exceptions.html", {"page": page})


@require_safe
def exception(request: HttpRequest, pk: int) -> HttpResponse:
    incident = get_object_or_404(Incident.objects.select_related("account"), pk=pk)
    page = exception_page(incident, query_of(request), timezone.now())
    return render(request, "portfolios/exception.html", {"page": page})


@require_POST
@may_change_incidents
def exception_resolve(request: HttpRequest, pk: int) -> HttpResponse:
    incident, meant = _meant(request, pk)
    resolve_incidents(meant, actor_of(request))
    messages.success(request, _("Resolved. It comes back by itself if it happens again."))
    return redirect_back(request, incident.get_absolute_url())


@require_POST
@may_change_incidents
def exception_mute(request: HttpRequest, pk: int) -> HttpResponse:
    """Mute it for as long as `for` names; for good if that names nothing."""
    incident, meant = _meant(request, pk)
    mute_incidents(meant, _until(request), actor_of(request))
    messages.success(request, _("Muted. It is still counted, and no longer alarms."))
    return redirect_back(request, incident.get_absolute_url())


@require_POST
@may_change_incidents
def exception_unmute(request: HttpRequest, pk: int) -> HttpResponse:
    incident, meant = _meant(request, pk)
    unmute_incidents(meant, actor_of(request))
    messages.success(request, _("It alarms again."))
    return redirect_back(request, incident.get_absolute_url())


def _meant(request: HttpRequest, pk: int) -> tuple[Incident, QuerySet[Incident]]:
    """Find the exception of the page, and what is meant: it alone, or on `everywhere` that it happened."""
    incident = get_object_or_404(Incident.objects.select_related("account"), pk=pk)
    is_everywhere = "everywhere" in request.POST
    return incident, alike(incident) if is_everywhere else Incident.objects.filter(pk=pk)


def _until(request: HttpRequest) -> datetime | None:
    span = MUTED_FOR.get(request.POST.get("for", ""))
    return timezone.now() + span if span else None
