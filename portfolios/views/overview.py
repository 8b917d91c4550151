from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from portfolios import tasks
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.selectors.overview import overview_page
from portfolios.views.requests import may_sync, redirect_back


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    page = overview_page(timezone.now())
    return render(request, "portfolios/overview.html", {"page": page})


@require_POST
@may_sync
def sync_all(request: HttpRequest) -> HttpResponse:
    accounts = list(ExchangeAccount.objects.filter(paused=False))
    for account in accounts:
        tasks.enqueue_sync(account, SyncRun.Trigger.MANUAL)
    words = ngettext("Syncing %(number)s account.", "Syncing %(number)s accounts.", len(accounts))
    messages.info(request, words % {"number": len(accounts)})
    return redirect_back(request, reverse("overview"))
