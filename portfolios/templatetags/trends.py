"""A difference over time, drawn on the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portfolios.amounts import difference, plain, ratio_of
from portfolios.models import DiscrepancyEvent
from portfolios.selectors.discrepancy_trend import Point, Trend

register = template.Library()

_WIDTH, _HEIGHT, _MARGIN = 640, 140, 10
_ZERO = Decimal(0)
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where times and amounts lie in the drawing; zero is always in it."""

    since: datetime
    until: datetime
    low: Decimal
    high: Decimal

    def x(self, at: datetime) -> int:
        whole = (self.until - self.since) // _TICK
        return _MARGIN + (at - self.since) // _TICK * (_WIDTH - 2 * _MARGIN) // max(whole, 1)

    def y(self, amount: Decimal) -> int:
        room = _HEIGHT - 2 * _MARGIN
        span = difference(self.high, self.low)
        if not span:
            return _HEIGHT // 2
        return _MARGIN + int(ratio_of(Decimal(room), difference(self.high, amount), span))


@register.simple_tag
def trend_chart(trend: Trend) -> SafeString:
    """Draw the points as steps with a dot for each, and a line for each turn of the state."""
    points = trend.points
    frame = _frame(points)
    return format_html(
        '<svg class="trend" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}</svg>',
        _WIDTH,
        _HEIGHT,
        trend_words(trend),
        format_html('<path class="zero" d="M0 {y}H{width}"/>', y=frame.y(_ZERO), width=_WIDTH),
        format_html_join(
            "",
            '<path class="turn" d="M{} 0V{}"><title>{}</title></path>',
            _turns(frame, trend.turns),
        ),
        format_html('<path class="line" d="{}"/>', _steps(frame, points)),
        format_html_join(
            "", '<circle cx="{}" cy="{}" r="3"><title>{}</title></circle>', _dots(frame, points)
        ),
    )


@register.filter
def trend_words(trend: Trend) -> str:
    """Say what the drawing shows."""
    amounts = [point.amount for point in trend.points]
    return _(
        "The difference from %(since)s to %(until)s: between %(low)s and %(high)s, %(last)s at last"
    ) % {
        "since": _written(trend.points[0].at),
        "until": _written(trend.points[-1].at),
        "low": plain(min(amounts)),
        "high": plain(max(amounts)),
        "last": plain(amounts[-1]),
    }


def _frame(points: Sequence[Point]) -> _Frame:
    amounts = [_ZERO, *(point.amount for point in points)]
    return _Frame(points[0].at, points[-1].at, min(amounts), max(amounts))


def _steps(frame: _Frame, points: Sequence[Point]) -> str:
    first, *others = points
    begin = f"M{frame.x(first.at)} {frame.y(first.amount)}"
    return begin + "".join(f"H{frame.x(each.at)}V{frame.y(each.amount)}" for each in others)


def _dots(frame: _Frame, points: Sequence[Point]) -> list[tuple[int, int, str]]:
    return [
        (frame.x(each.at), frame.y(each.amount), f"{_written(each.at)}: {plain(each.amount)}")
        for each in points
    ]


def _turns(frame: _Frame, turns: Sequence[DiscrepancyEvent]) -> list[tuple[int, int, str]]:
    return [
        (
            frame.x(min(turn.at, frame.until)),
            _HEIGHT,
            f"{_written(turn.at)}: {turn.get_after_display()}",
        )
        for turn in turns
    ]


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
