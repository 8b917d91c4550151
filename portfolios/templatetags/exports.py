from __future__ import annotations

from typing import Final

from django import template
from django.db.models import Model
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portfolios.models import Discrepancy, ExchangeAccount, Incident, Portfolio, SyncRun
from portfolios.selectors.exports import EXPORTS

register = template.Library()
_OF: Final[dict[type[Model], str]] = {
    ExchangeAccount: "accounts",
    Portfolio: "portfolios",
    SyncRun: "runs",
    Incident: "exceptions",
    Discrepancy: "discrepancies",
}
# What the page needs and the list does not: a file has no pages.
_OF_THE_PAGE: Final = ("page", "chosen", "occurrence")


@register.simple_tag(takes_context=True)
def export_links(context: RequestContext, names: str, owner: Model | None = None) -> SafeString:
    """Link to the exports of the lists `names`, of `owner` if it is given, narrowed and sorted as the page is."""
    query = context.request.GET.copy()
    for name in _OF_THE_PAGE:
        query.pop(name, None)
    asked = f"?{query.urlencode()}" if query else ""
    links = format_html_join(" · ", "{}", ((_links(name, owner, asked),) for name in names.split()))
    return format_html('<p class="exports muted">{} {}</p>', _("Export:"), links)


def _links(name: str, owner: Model | None, asked: str) -> SafeString:
    of = _OF[type(owner)] if owner else ""
    csv, json = (_url(of, owner, name, form) + asked for form in ("csv", "json"))
    return format_html(
        '<span class="nowrap">{} <a href="{}" download>CSV</a> <a href="{}" download>JSON</a></span>',
        EXPORTS[of][name].word,
        csv,
        json,
    )


def _url(of: str, owner: Model | None, name: str, form: str) -> str:
    if owner is None:
        return reverse(f"export_{form}", args=[name])
    return reverse("export_of", args=[of, owner.pk, name, form])
