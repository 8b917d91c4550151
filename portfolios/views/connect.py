"""Connecting an exchange: one address a step, so that what is half done can be taken up again."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portfolios import tasks
from portfolios.forms import NewAccountForm, NewPortfolioForm, ScheduleForm, SecretsForm
from portfolios.models import ExchangeAccount
from portfolios.selectors.connecting import connect_page, first_sync, markets_page, next_step
from portfolios.selectors.connection import abilities, connection_test
from portfolios.services.connecting import (
    NameTaken,
    add_portfolio,
    begin_connection,
    discard_connection,
    enter_credential,
    finish_connection,
)
from portfolios.services.schedules import schedule_of
from portfolios.views.requests import may_connect, query_of
from portfolios.views.schedules import asks_for_a_look, next_runs, zone_of
from providers import catalogue
from providers.errors import OperationalException

form_view = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@may_connect
def connect(request: HttpRequest) -> HttpResponse:
    """Let a market be chosen."""
    page = markets_page(query_of(request), timezone.now())
    return render(request, "portfolios/connect.html", {"page": page})


@form_view
@may_connect
def connect_new(request: HttpRequest, market: str) -> HttpResponse:
    """Take the name of an account and its secrets, and have them tested."""
    if not catalogue.is_market(market):
        raise Http404(_("No market of this name is known."))
    market = market.lower()
    sent = request.POST if request.method == "POST" else None
    form = NewAccountForm(sent, market=market)
    secrets = SecretsForm(sent, account=form.instance)
    # Both, so that all that is wrong is told at once.
    if sent is not None and form.is_valid() & secrets.is_valid():
        try:
            account = begin_connection(form.given(), secrets.secrets(), by=request.user)
        except NameTaken as e:
            form.add_error("label", str(e))
        except OperationalException as e:
            secrets.add_error(None, str(e))
        else:
            tasks.enqueue_connection_test(account, by=request.user)
            return redirect("connect_test", account.pk)
    page = connect_page(form.instance, "key")
    words = {"page": page, "form": form, "secrets": secrets, "abilities": abilities(market)}
    return render(request, "portfolios/connect_key.html", words)


@require_safe
@may_connect
def connect_resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on where the connection was left."""
    account = _unfinished(pk)
    return redirect(f"connect_{next_step(account)}", pk)


@form_view
@may_connect
def connect_key(request: HttpRequest, pk: int) -> HttpResponse:
    account = _unfinished(pk)
    secrets = SecretsForm(request.POST if request.method == "POST" else None, account=account)
    if secrets.is_bound and secrets.is_valid():
        try:
            enter_credential(account, secrets.secrets(), by=request.user)
        except OperationalException as e:
            secrets.add_error(None, str(e))
        else:
            tasks.enqueue_connection_test(account, by=request.user)
            return redirect("connect_test", pk)
    words = {"page": connect_page(account, "key"), "secrets": secrets}
    return render(request, "portfolios/connect_key.html", words)


@require_safe
@may_connect
def connect_test(request: HttpRequest, pk: int) -> HttpResponse:
    account = _unfinished(pk)
    test = connection_test(account, timezone.now())
    words = {"page": connect_page(account, "test"), "test": test}
    return render(request, "portfolios/connect_test.html", words)


@form_view
@may_connect
def connect_books(request: HttpRequest, pk: int) -> HttpResponse:
    account = _unfinished(pk)
    form = NewPortfolioForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = add_portfolio(account, **form.cleaned_data, by=request.user)
        except NameTaken as e:
            form.add_error("name", str(e))
        else:
            messages.success(request, _("%(portfolio)s is added.") % {"portfolio": made})
            return redirect("connect_books", pk)
    words = {
        "page": connect_page(account, "books"),
        "form": form,
        "portfolios": account.portfolios.order_by("name"),
    }
    return render(request, "portfolios/connect_books.html", words)


@require_safe
@may_connect
def connect_sync(request: HttpRequest, pk: int) -> HttpResponse:
    account = _unfinished(pk)
    words = {
        "page": connect_page(account, "sync"),
        "summary": first_sync(account, timezone.now()),
    }
    return render(request, "portfolios/connect_sync.html", words)


@form_view
@may_connect
def connect_schedule(request: HttpRequest, pk: int) -> HttpResponse:
    account = _unfinished(pk)
    now = timezone.now()
    sent = request.POST if request.method == "POST" else None
    form = ScheduleForm(sent, schedule=schedule_of(account))
    if form.is_bound and form.is_valid() and not asks_for_a_look(request):
        finish_connection(account, form.schedule(), now, by=request.user)
        messages.success(
            request, _("%(account)s is connected and on its schedule.") % {"account": account}
        )
        return redirect(account)
    words = {
        "page": connect_page(account, "schedule"),
        "form": form,
        "runs": next_runs(account, form, now),
        "zone": zone_of(form),
    }
    return render(request, "portfolios/connect_schedule.html", words)


@require_POST
@may_connect
def connect_discard(request: HttpRequest, pk: int) -> HttpResponse:
    account = _unfinished(pk)
    if not discard_connection(account, by=request.user):
        messages.error(
            request,
            _("Something was read or booked for %(account)s already: it stays.")
            % {"account": account},
        )
        return redirect("connect_resume", pk)
    messages.info(
        request, _("%(account)s is given up; nothing of it is kept.") % {"account": account}
    )
    return redirect("connect")


def _unfinished(pk: int) -> ExchangeAccount:
    """Find an account that is being connected; one that is finished has pages of its own."""
    return get_object_or_404(ExchangeAccount, pk=pk, connecting=True)
