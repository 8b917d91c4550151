"""Two amounts side by side, the digits marked in which they differ."""

from __future__ import annotations

from decimal import Decimal

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.templatetags.amounts import amount

register = template.Library()
_GROUP = 3
_UNGROUPED_DIGITS = 4


@register.filter
def marked(value: Decimal | None, other: Decimal | None) -> SafeString:
    """Show an amount exactly, marked from the first digit on in which it is not `other`.

    It has as many decimals as the longer of the two. A reader that does not show marks is told the digits in words.
    """
    if value is None or other is None or value == other:
        return amount(value)
    mine, others = _alike(plain(value), plain(other))
    first = _first_difference(mine, others)
    return format_html(
        '<span class="amount">{}</span><span class="sr"> {}</span>',
        format_html_join("", "{}", ((part,) for part in _parts(mine, first))),
        _("(of it %(digits)s differs)") % {"digits": mine[first:]},
    )


def _alike(left: str, right: str) -> tuple[str, str]:
    """Write both with the same number of decimals."""
    decimals = max(len(text.partition(".")[2]) for text in (left, right))
    return _with_decimals(left, decimals), _with_decimals(right, decimals)


def _with_decimals(text: str, decimals: int) -> str:
    whole, _point, known = text.partition(".")
    return f"{whole}.{known.ljust(decimals, '0')}" if decimals else whole


def _first_difference(left: str, right: str) -> int:
    """Give the place from which they differ; all of it where their points do not stand below each other."""
    if len(left) != len(right):
        return 0
    return next(i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b)


def _parts(text: str, first: int) -> list[SafeString]:
    """Cut `text` into groups of thousands, set apart by the stylesheet, and mark what begins at `first`."""
    parts, begin = [], 0
    for end in (*_ends_of_groups(text), len(text)):
        if begin < end:
            part = _part(text[begin:end], max(first - begin, 0))
            is_inner = begin > 0 and end <= _whole(text)
            parts.append(format_html('<span class="g">{}</span>', part) if is_inner else part)
        begin = end
    return parts


def _whole(text: str) -> int:
    return len(text.partition(".")[0])


def _ends_of_groups(text: str) -> list[int]:
    whole = _whole(text)
    digits = whole - text.startswith("-")
    if digits <= _UNGROUPED_DIGITS:
        return [whole]
    return list(range(whole - (digits - 1) // _GROUP * _GROUP, whole + 1, _GROUP))


def _part(text: str, first: int) -> SafeString:
    if first >= len(text):
        return format_html("{}", text)
    return format_html("{}<mark>{}</mark>", text[:first], text[first:])
