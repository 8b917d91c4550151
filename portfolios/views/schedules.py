from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from portfolios.forms import ScheduleForm
from portfolios.models import ExchangeAccount
from portfolios.services.accounts import change_schedule
from portfolios.services.schedules import schedule_of, upcoming
from portfolios.views.requests import may_change_accounts

RUNS_SHOWN = 5


@require_http_methods(["GET", "HEAD", "POST"])
@may_change_accounts
def account_schedule(request: HttpRequest, pk: int) -> HttpResponse:
    """Show when an account would be synced next, and change its schedule when that was seen fit."""
    account = get_object_or_404(ExchangeAccount, pk=pk)
    now = timezone.now()
    sent = request.POST if request.method == "POST" else None
    form = ScheduleForm(sent, schedule=schedule_of(account))
    if form.is_bound and form.is_valid() and not asks_for_a_look(request):
        change_schedule(account, form.schedule(), now, by=request.user)
        messages.success(request, _("%(account)s has its new schedule.") % {"account": account})
        return redirect(account)
    words = {
        "account": account,
        "form": form,
        "runs": next_runs(account, form, now),
        "zone": zone_of(form),
    }
    return render(request, "portfolios/account_schedule.html", words)


def asks_for_a_look(request: HttpRequest) -> bool:
    """Whether the form was sent to see the next runs only."""
    return "look" in request.POST


def next_runs(account: ExchangeAccount, form: ScheduleForm, now: datetime) -> list[datetime]:
    """List the next runs by what was entered, by what is stored before that; none while something is wrong."""
    if form.is_bound and not form.is_valid():
        return []
    schedule = form.schedule() if form.is_bound else schedule_of(account)
    planned = account.next_sync_at or now
    return upcoming(schedule, planned, now, RUNS_SHOWN)


def zone_of(form: ScheduleForm) -> str:
    """Name the time zone by whose clocks the runs are told as well as by UTC; empty for none."""
    schedule = form.schedule() if form.is_bound and form.is_valid() else form.before
    return schedule.time_zone if schedule.cron else ""
