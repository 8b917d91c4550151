from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path("portfolios/static/portfolios/tokens.css").read_text()
# Of WCAG 2.2 for text of any size.
ENOUGH = 4.5
GROUNDS = ("ground", "surface", "raised", "quiet-ground")
PAIRS = (
    *((text, ground) for text in ("text", "muted", "link") for ground in GROUNDS),
    *((tone, ground) for tone in ("good", "warn", "bad", "info") for ground in GROUNDS[:3]),
    *((tone, f"{tone}-ground") for tone in ("good", "warn", "bad", "info")),
    ("on-primary", "primary"),
)


def colours(theme: int) -> dict[str, str]:
    """Read the colours of the light (0) or the dark theme (1)."""
    found = re.findall(r"--([a-z-]+): (?:light-dark\((#\w+), (#\w+)\)|(#\w+));", TOKENS)
    return {name: (one or both[theme]) for name, *both, one in found}


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_every_ground_it_may_stand_on(theme: int) -> None:
    of_theme = colours(theme)

    weak = {
        (text, ground): round(contrast(of_theme[text], of_theme[ground]), 2)
        for text, ground in PAIRS
        if contrast(of_theme[text], of_theme[ground]) < ENOUGH
    }

    assert weak == {}
