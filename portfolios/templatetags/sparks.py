from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from portfolios.selectors.occurrence_bars import Bars

register = template.Library()

_WIDTH, _GAP, _HEIGHT = 6, 2, 24
# A slot in which nothing happened is a line, so that the bars around it can be placed.
_LEAST = 1
_LEAST_SEEN = 4


@register.simple_tag
def spark(bars: Bars) -> SafeString:
    """Draw the counts of a span as bars, the newest at the right."""
    width = len(bars.counts) * (_WIDTH + _GAP) - _GAP
    most = max(bars.counts, default=0)
    drawn = (_bar(count, most, i) for i, count in enumerate(bars.counts))
    words = spark_words(bars)
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>",
        width,
        _HEIGHT,
        width,
        _HEIGHT,
        words,
        words,
        format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', drawn),
    )


@register.filter
def spark_words(bars: Bars) -> str:
    """Say what the bars show: how often in all, and in the fullest slot."""
    words = ngettext(
        "%(span)s: %(count)s time",
        "%(span)s: %(count)s times, at most %(most)s in one bar",
        sum(bars.counts),
    )
    most = max(bars.counts, default=0)
    return words % {"span": bars.word, "count": sum(bars.counts), "most": most}


def _bar(count: int, most: int, i: int) -> tuple[str, int, int, int, int]:
    height = max(_LEAST_SEEN, count * _HEIGHT // most) if count else _LEAST
    return "some" if count else "none", i * (_WIDTH + _GAP), _HEIGHT - height, _WIDTH, height
