from __future__ import annotations

from collections.abc import Iterable

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from portfolios.selectors.listing import Option

register = template.Library()
_CHOSEN = SafeString(" selected")


@register.simple_tag
def options(choices: Iterable[Option], chosen: str) -> SafeString:
    """Write what a filter can be set to: one of them may name a thousand accounts, which a loop takes long for."""
    return format_html_join(
        "\n",
        '<option value="{}"{}>{}</option>',
        ((value, _CHOSEN if value == chosen else "", word) for value, word in choices),
    )
