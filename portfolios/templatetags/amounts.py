"""Amounts in pages: every digit that is known, and no digit that is not."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from operator import attrgetter

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portfolios.amounts import plain

register = template.Library()

# The stylesheet has a width for each; longer fractions only lose their alignment.
MAX_ALIGNED_DECIMALS = 18
_UNGROUPED_DIGITS = 4


@register.filter
def amount(value: Decimal | None, places: int = 0) -> SafeString:
    """Show an amount exactly, its decimal point aligned with those of a column of `places` decimals."""
    return _not_reported() if value is None else _digits(plain(value), places)


@register.filter
def difference(value: Decimal | None, places: int = 0) -> SafeString:
    """Show an amount exactly, and its sign also where it is positive."""
    if value is None:
        return _not_reported()
    return _digits(f"+{plain(value)}" if value > 0 else plain(value), places)


@register.filter
def places(rows: Iterable[object], field: str) -> int:
    """Return how many decimals the longest `field` among `rows` has; it may be one of a part, such as `a.b`."""
    values = map(attrgetter(field), rows)
    written = (plain(value).partition(".")[2] for value in values if value is not None)
    return max((len(decimals) for decimals in written), default=0)


@register.filter
def every(rows: Iterable[object], field: str) -> list[object]:
    """Return the parts that the rows have in their `field`, all in one list."""
    return [part for row in rows for part in getattr(row, field)]


def _not_reported() -> SafeString:
    return format_html(
        '<span class="none" title="{}"><span aria-hidden="true">—</span>'
        '<span class="sr">{}</span></span>',
        _("not reported"),
        _("not reported"),
    )


def _digits(text: str, places: int) -> SafeString:
    whole, point, decimals = text.partition(".")
    return format_html(
        '<span class="amount"><span class="int">{}</span><span class="frac f{}">{}</span></span>',
        _grouped(whole),
        min(places, MAX_ALIGNED_DECIMALS),
        point + decimals,
    )


def _grouped(whole: str) -> SafeString:
    """Set thousands apart by a margin of the stylesheet: what is copied stays the bare number."""
    sign = whole[0] if whole[0] in "+-" else ""
    digits = whole[len(sign) :]
    if len(digits) <= _UNGROUPED_DIGITS:
        return format_html("{}", whole)
    head = len(digits) % 3 or 3
    groups = ((digits[i : i + 3],) for i in range(head, len(digits), 3))
    start = format_html("{}{}", sign, digits[:head])
    return start + format_html_join("", '<span class="g">{}</span>', groups)
