"""What several views do with a request."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxDetails

from portfolios import tasks
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.selectors.progress import run_progress

# Who is logged in but lacks the right is told so: asking for another log-in would lead in a circle.
may_sync = permission_required("portfolios.add_syncrun", raise_exception=True)
may_change_accounts = permission_required("portfolios.change_exchangeaccount", raise_exception=True)
may_change_incidents = permission_required("portfolios.change_incident", raise_exception=True)


def query_of(request: HttpRequest) -> dict[str, str]:
    # Of a parameter given twice, the last one counts.
    return request.GET.dict()


def redirect_back(request: HttpRequest, fallback: str) -> HttpResponse:
    """Return to the page that the form named, if it is one of ours."""
    target = request.POST.get("next", "")
    is_ours = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return redirect(target if is_ours else fallback)


def shown_page(request: HttpRequest) -> str:
    """Return path and query of the page that an htmx request was sent from; empty if it is not one of ours."""
    details: HtmxDetails | None = getattr(request, "htmx", None)
    return (details.current_url_abs_path or "") if details else ""


def sync_account(request: HttpRequest, account: ExchangeAccount, fallback: str) -> HttpResponse:
    run = tasks.enqueue_sync(account, SyncRun.Trigger.MANUAL)
    if not getattr(request, "htmx", False):
        messages.info(request, _("Syncing %(account)s.") % {"account": account})
        return redirect_back(request, fallback)
    page = run_progress(run, timezone.now(), refresh_url=shown_page(request))
    return render(request, "portfolios/run_progress.html", {"page": page})
