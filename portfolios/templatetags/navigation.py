from __future__ import annotations

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def nav_link(context: RequestContext, page: str, word: str, *, also: str = "") -> SafeString:
    """Link to a page and mark it where it, or a page named in `also` or a part of one, is the one shown."""
    here = _shown_page(context).partition("_")[0] in (page, *also.split())
    return _link(reverse(page), word, here=here)


@register.simple_tag(takes_context=True)
def section_link(context: RequestContext, page: str, pk: int, word: str) -> SafeString:
    """Link to one of the pages about the same thing, and mark the one shown."""
    return _link(reverse(page, args=[pk]), word, here=_shown_page(context) == page)


def _shown_page(context: RequestContext) -> str:
    match = context.request.resolver_match
    return match.view_name if match is not None else ""


def _link(url: str, word: str, *, here: bool) -> SafeString:
    current = format_html(' aria-current="{}"', "page") if here else ""
    return format_html('<a href="{}"{}>{}</a>', url, current, word)
