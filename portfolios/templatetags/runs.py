from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portfolios.selectors.progress import Step

register = template.Library()

_WIDTH, _HEIGHT = 1000, 10
# What took no time is still seen.
_LEAST = 4


@register.simple_tag
def stage_bar(step: Step, begin: datetime, end: datetime) -> SafeString:
    """Draw one stage where it lies between `begin` and `end`; the numbers beside it say the same."""
    if step.began_at is None:
        return SafeString("")
    whole = max(end - begin, timedelta(microseconds=1))
    left = _place(step.began_at - begin, whole)
    right = _place((step.ended_at or end) - begin, whole)
    left = min(left, _WIDTH - _LEAST)
    return format_html(
        '<svg class="stage-bar" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="4" width="{}" height="2"/>'
        '<rect class="bar-{}" x="{}" y="0" width="{}" height="{}"/></svg>',
        _WIDTH,
        _HEIGHT,
        _WIDTH,
        step.state,
        left,
        max(right - left, _LEAST),
        _HEIGHT,
    )


@register.filter
def after(moment: datetime | None, begin: datetime) -> timedelta | None:
    """Return how long after `begin` a moment is, never less than nothing."""
    return None if moment is None else max(moment - begin, timedelta(0))


def _place(offset: timedelta, whole: timedelta) -> int:
    return min(max(_WIDTH * offset // whole, 0), _WIDTH)
