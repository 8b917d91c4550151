"""What several views do with a request."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxDetails

from portfolios import tasks
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.selectors.progress import RunProgress, cooling_progress, run_progress
from portfolios.services.manual_sync import cooling_runs

# Who is logged in but lacks the right is told so: asking for another log-in would lead in a circle.
may_sync = permission_required("portfolios.add_syncrun", raise_exception=True)
may_change_accounts = permission_required("portfolios.change_exchangeaccount", raise_exception=True)
may_connect = permission_required(
    (
        "portfolios.add_exchangeaccount",
        "portfolios.change_exchangeaccount",
        "portfolios.add_marketcredential",
        "portfolios.add_portfolio",
    ),
    raise_exception=True,
)
may_audit = permission_required("portfolios.view_auditevent", raise_exception=True)
may_change_incidents = permission_required("portfolios.change_incident", raise_exception=True)


def query_of(request: HttpRequest) -> dict[str, str]:
    # Of a parameter given twice, the last one counts.
    return request.GET.dict()


def actor_of(request: HttpRequest) -> User | None:
    return request.user if request.user.is_authenticated else None


def redirect_back(request: HttpRequest, fallback: str) -> HttpResponse:
    """Return to the page that the form named, if it is one of ours."""
    target = request.POST.get("next", "")
    is_ours = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return redirect(target if is_ours else fallback)


def shown_page(request: HttpRequest) -> str:
    """Return path and query of the page that an htmx request was sent from; empty if it is not one of ours."""
    details: HtmxDetails | None = getattr(request, "htmx", None)
    return (details.current_url_abs_path or "") if details else ""


def asker(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def sync_account(request: HttpRequest, account: ExchangeAccount, fallback: str) -> HttpResponse:
    """Sync `account` now, join the sync that is under way, or say when the button may be pressed again."""
    page = _press(request, account)
    if getattr(request, "htmx", False):
        return render(request, "portfolios/run_progress.html", {"page": page})
    messages.info(request, _in_words(page, account))
    return redirect_back(request, fallback)


def _press(request: HttpRequest, account: ExchangeAccount) -> RunProgress:
    now = timezone.now()
    cooling = cooling_runs(ExchangeAccount.objects.filter(pk=account.pk), now)
    if account.pk in cooling:
        return cooling_progress(cooling[account.pk], now)
    run, is_new = tasks.join_or_enqueue_sync(account, SyncRun.Trigger.MANUAL, asker(request))
    return run_progress(run, now, refresh_url=shown_page(request), joined=not is_new)


def _in_words(page: RunProgress, account: ExchangeAccount) -> str:
    named = {"account": account}
    if page.again_at is not None:
        words = _("%(account)s was synced a moment ago. It can be synced again from %(time)s UTC.")
        return words % {**named, "time": f"{page.again_at:%H:%M:%S}"}
    if page.joined:
        return _("A sync of %(account)s is under way already; this press joins it.") % named
    return _("Syncing %(account)s.") % named
