from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portfolios import tasks
from portfolios.models import ExchangeAccount
from portfolios.selectors.account import account_page
from portfolios.selectors.accounts import accounts_page
from portfolios.selectors.connection import connection_test
from portfolios.services.accounts import pause, resume
from portfolios.views.requests import (
    may_change_accounts,
    may_sync,
    query_of,
    redirect_back,
    shown_page,
    sync_account,
)


@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    page = accounts_page(query_of(request), timezone.now())
    return render(request, "portfolios/accounts.html", {"page": page})


@require_safe
def account(request: HttpRequest, pk: int) -> HttpResponse:
    page = account_page(pk, query_of(request), timezone.now())
    if page is None:
        raise Http404
    return render(request, "portfolios/account.html", {"page": page})


@require_POST
@may_sync
def account_sync(request: HttpRequest, pk: int) -> HttpResponse:
    account = get_object_or_404(ExchangeAccount, pk=pk)
    return sync_account(request, account, account.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
@may_change_accounts
def account_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what the last test told, or begin another one."""
    account = get_object_or_404(ExchangeAccount, pk=pk)
    if request.method != "POST":
        test = connection_test(account, timezone.now())
        return render(request, "portfolios/account_test.html", {"test": test})
    tasks.enqueue_connection_test(account, by=request.user)
    messages.info(
        request,
        _("Testing the connection of %(account)s; the credential shows the result.")
        % {"account": account},
    )
    return redirect_back(request, account.get_absolute_url())


@require_safe
@may_change_accounts
def account_test_result(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer without content as long as nothing has changed: htmx leaves the panel alone and asks again."""
    test = connection_test(get_object_or_404(ExchangeAccount, pk=pk), timezone.now())
    if test.is_under_way and request.GET.get("seen") == test.token:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    words = {"test": test, "refresh_url": shown_page(request)}
    return render(request, "portfolios/_connection_test.html", words)


@require_POST
@may_change_accounts
def account_pause(request: HttpRequest, pk: int) -> HttpResponse:
    account = get_object_or_404(ExchangeAccount, pk=pk)
    pause(account, by=request.user)
    messages.info(request, _("%(account)s is paused.") % {"account": account})
    return redirect_back(request, account.get_absolute_url())


@require_POST
@may_change_accounts
def account_resume(request: HttpRequest, pk: int) -> HttpResponse:
    account = get_object_or_404(ExchangeAccount, pk=pk)
    resume(account, by=request.user)
    messages.info(request, _("%(account)s is on its schedule again.") % {"account": account})
    return redirect_back(request, account.get_absolute_url())
