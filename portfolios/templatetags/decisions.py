"""What can be decided about what a page shows, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from portfolios.forms import DecisionForm
from portfolios.models import Decision, Discrepancy, ExchangeAccount, Flow
from portfolios.selectors.decisions import (
    Offer,
    Value,
    account_offers,
    decision_subjects,
    discrepancy_offers,
    may_decide,
)
from portfolios.selectors.decisions import newest_decisions as newest
from portfolios.services.decisions import why_not
from portfolios.services.decisions.flows import left_of_flow
from portfolios.templatetags.amounts import amount
from portfolios.templatetags.times import exactly

register = template.Library()
_NEWEST = 10


@dataclass(frozen=True, slots=True)
class Button:
    """A link to the page that shows what a decision would change, and makes it."""

    word: object
    url: str


@register.inclusion_tag("portfolios/_decisions.html", takes_context=True)
def account_decisions(context: RequestContext, account: ExchangeAccount) -> dict[str, Any]:
    """Show the newest decisions on an account, and what can be decided about it."""
    may_book = may_decide(context.request.user, Decision.Kind.ADJUST)
    offers = account_offers(account) if may_book else []
    rows = newest(account.decisions.all(), context.request.user, _NEWEST)
    return _shown(context, account, offers) | {"rows": rows}


@register.inclusion_tag("portfolios/_decisions.html", takes_context=True)
def discrepancy_decisions(context: RequestContext, discrepancy: Discrepancy) -> dict[str, Any]:
    """Show the decisions about a discrepancy, and what can be decided about it."""
    account = discrepancy.account
    decisions = account.decisions.filter(events__discrepancy=discrepancy).distinct()
    rows = newest(decisions, context.request.user, _NEWEST)
    return _shown(context, account, discrepancy_offers(discrepancy)) | {"rows": rows}


def _shown(
    context: RequestContext, account: ExchangeAccount, offers: list[Offer]
) -> dict[str, Any]:
    here = context.request.get_full_path()
    buttons = [
        Button(offer.word, decision_url(account, offer.kind, next=here, **offer.given))
        for offer in offers
        if may_decide(context.request.user, offer.kind)
    ]
    why = why_not(account, is_bookless=True)
    return {"buttons": [] if why else buttons, "why_not": why, "account": account, "next": here}


@register.inclusion_tag("portfolios/_decision_subject.html")
def decision_subject(form: DecisionForm) -> dict[str, Any]:
    """Show the rows that a decision names and nobody enters."""
    named = {field.name: str(field.value()) for field in form.hidden_fields()}
    rows = decision_subjects(form.account, named)
    flow = rows.get("flow")
    return rows | {"left": left_of_flow(flow) if isinstance(flow, Flow) else {}}


@register.filter
def shown(value: Value) -> object:
    """Show one side of a change: an amount to its last digit, a time in full, a word as it is."""
    if isinstance(value, Decimal):
        return amount(value)
    return exactly(value) if isinstance(value, datetime) else value


@register.filter
def or_back_to(target: str, account: ExchangeAccount) -> str:
    """Link to the page that a decision was begun on, if it is one of ours."""
    is_ours = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return target if is_ours else account.get_absolute_url()


@register.filter
def ours_or(target: str, page: str) -> str:
    """Link to the page that was left, if it is one of ours, else to `page`."""
    is_ours = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return target if is_ours else reverse(page)


@register.simple_tag
def decision_url(account: ExchangeAccount, kind: str, **given: Any) -> str:
    return f"{reverse('decision', args=[account.pk, kind])}?{urlencode(given)}"
