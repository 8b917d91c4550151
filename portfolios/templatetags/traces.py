"""Stack traces in pages: our own frames in sight, those of libraries folded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from django import template

from providers.redaction import OUR_PACKAGES

register = template.Library()

_FRAME: Final = re.compile(r'^  File "', re.M)
_OURS: Final = tuple(f'  File "{package}/' for package in OUR_PACKAGES)


@dataclass(frozen=True, slots=True)
class TracePart:
    """Lines of a trace that follow each other; `frames` counts those of libraries, 0 for what is in sight."""

    text: str
    frames: int


@register.filter
def trace_parts(trace: str) -> list[TracePart]:
    lines = _with_owner(trace.splitlines())
    return [
        _part([line for _ours, line in found], is_ours=is_ours)
        for is_ours, found in groupby(lines, key=lambda pair: pair[0])
    ]


def _with_owner(lines: list[str]) -> list[tuple[bool, str]]:
    """Tell of each line whether it is in sight: a frame goes on as long as its lines are indented."""
    told, is_ours = [], True
    for line in lines:
        if line.startswith('  File "'):
            is_ours = line.startswith(_OURS)
        elif not line.startswith("    "):
            is_ours = True
        told.append((is_ours, line))
    return told


def _part(lines: list[str], *, is_ours: bool) -> TracePart:
    text = "\n".join(lines)
    return TracePart(text, 0 if is_ours else len(_FRAME.findall(text)))
