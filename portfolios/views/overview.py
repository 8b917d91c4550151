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
from portfolios.services.manual_sync import cooling_runs
from portfolios.views.requests import asker, may_sync, query_of, redirect_back


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    page = overview_page(query_of(request), timezone.now())
    return render(request, "portfolios/overview.html", {"page": page})


@require_POST
@may_sync
def sync_all(request: HttpRequest) -> HttpResponse:
    accounts = ExchangeAccount.objects.filter(paused=False)
    cooling = cooling_runs(accounts, timezone.now())
    pressed = [account for account in accounts if account.pk not in cooling]
    tasks.enqueue_syncs(pressed, SyncRun.Trigger.MANUAL, asker(request))
    if pressed or not cooling:
        words = ngettext(
            "Syncing %(number)s account.", "Syncing %(number)s accounts.", len(pressed)
        )
        messages.info(request, words % {"number": len(pressed)})
    if cooling:
        words = ngettext(
            "%(number)s account was synced a moment ago; press again in a few seconds.",
            "%(number)s accounts were synced a moment ago; press again in a few seconds.",
            len(cooling),
        )
        messages.info(request, words % {"number": len(cooling)})
    return redirect_back(request, reverse("overview"))
