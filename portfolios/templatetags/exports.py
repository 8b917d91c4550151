from __future__ import annotations

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount
from portfolios.selectors.exports import EXPORTS, MERGED

register = template.Library()


@register.simple_tag
def export_links(names: str, account: ExchangeAccount | None = None) -> SafeString:
    """Link to the exports of the lists `names`, of `account` alone if it is given."""
    links = format_html_join(" · ", "{}", ((_links(name, account),) for name in names.split()))
    return format_html('<p class="exports muted">{} {}</p>', _("Export:"), links)


def _links(name: str, account: ExchangeAccount | None) -> SafeString:
    query = f"?account={account.pk}" if account else ""
    return format_html(
        '<span class="nowrap">{} <a href="{}{query}" download>CSV</a> <a href="{}{query}" download>JSON</a></span>',
        (EXPORTS.get(name) or MERGED[name]).word,
        reverse("export_csv", args=[name]),
        reverse("export_json", args=[name]),
        query=query,
    )
