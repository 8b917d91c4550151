from __future__ import annotations

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def nav_link(context: RequestContext, page: str, word: str, *, also: str = "") -> SafeString:
    """Link to a page and mark it where it, or a page named in `also`, is the one shown."""
    match = context.request.resolver_match
    here = match is not None and match.view_name in (page, *also.split())
    return format_html(
        '<a href="{}"{}>{}</a>',
        reverse(page),
        format_html(' aria-current="{}"', "page") if here else "",
        word,
    )
