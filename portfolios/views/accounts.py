from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from portfolios import tasks
from portfolios.models import ExchangeAccount
from portfolios.selectors.account import account_page
from portfolios.selectors.accounts import accounts_page
from portfolios.services.accounts import pause, resume
from portfolios.views.requests import (
    may_change_accounts,
    may_sync,
    query_of,
    redirect_back,
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


@require_POST
@may_change_accounts
def account_test(request: HttpRequest, pk: int) -> HttpResponse:
    account = get_object_or_404(ExchangeAccount, pk=pk)
    tasks.enqueue_connection_test(account)
    messages.info(
        request,
        _("Testing the connection of %(account)s; the credential shows the result.")
        % {"account": account},
    )
    return redirect_back(request, account.get_absolute_url())


@require_POST
@may_change_accounts
def account_pause(request: HttpRequest, pk: int) -> HttpResponse:
    account = get_object_or_404(ExchangeAccount, pk=pk)
    pause(account)
    messages.info(request, _("%(account)s is paused.") % {"account": account})
    return redirect_back(request, account.get_absolute_url())


@require_POST
@may_change_accounts
def account_resume(request: HttpRequest, pk: int) -> HttpResponse:
    account = get_object_or_404(ExchangeAccount, pk=pk)
    resume(account)
    messages.info(request, _("%(account)s is on its schedule again.") % {"account": account})
    return redirect_back(request, account.get_absolute_url())
