"""What is stored in English, in the words of its reader.

Syncs store why something differs, was not read or was not proved: in English, since no reader is there, and with the
numbers in it. Here these sentences are known again and said in the reader's language. What is not known, such as an
exchange's own words, is shown as it is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from django.conf import settings
from django.utils.translation import get_language, gettext, pgettext

from portfolios.models.choices import Verdict
from portfolios.selectors.told_sentences import SENTENCES
from providers.reports import LegKind, OrderStatus

# Between sentences, between reasons, between a thing and what is wrong with it, between things.
_WRONG: Final = re.compile("[:;] ")
# A name or a number does not reach from one part into the next.
_NAMED: Final = "(?:(?![:;] ).)+?"
_JOINTS: Final = tuple(
    (re.compile(joint), text)
    for joint, text in ((r"(?<=\.) (?=[A-Z])", " "), ("; ", "; "), (": ", ": "), (", ", ", "))
)
_KINDS: Final = frozenset(kind.value for kind in LegKind)
_STATES: Final = frozenset(state.value for state in OrderStatus)
_NAME: Final = re.compile(r"%\((\w+)\)s")
# Of these the values are words of ours: a kind, a side, a state. All others are names and numbers.
_ARE_WORDS: Final = ("kind", "side", "other_side", "status", "what")


def told(text: str) -> str:
    """Say a stored text in the language of the page, as far as its sentences are known."""
    if not text or get_language() == settings.LANGUAGE_CODE:
        return text
    return _sentence(text) or _thing(text) or _joined(text) or text


def _sentence(text: str) -> str | None:
    known = gettext(text)
    if known != text:
        return known
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(text):
            values = {name: _value(name, value) for name, value in found.groupdict().items()}
            return gettext(sentence) % values
    return None


def _thing(text: str) -> str | None:
    """Say a state of an order, a read by its kind and subject, or an asset by its name and verdict."""
    if text in _STATES:
        return _word(text)
    first, _space, rest = text.partition(" ")
    if first in _KINDS and not _WRONG.search(text):
        return f"{_word(first)} {rest}".strip()
    if rest in _verdicts():
        return f"{first} {gettext(rest)}"
    return None


def _joined(text: str) -> str | None:
    """Say what is joined of several parts, if at least one of them is known."""
    for joint, between in _JOINTS:
        parts = joint.split(text)
        said = [_sentence(part) or _thing(part) or part for part in parts]
        if len(parts) > 1 and said != parts:
            return between.join(a if a != b else told(b) for a, b in zip(said, parts, strict=True))
    return None


def _value(name: str, value: str) -> str:
    if name not in _ARE_WORDS:
        return value
    word = _word(value)
    return told(value) if word == value else word


def _word(value: str) -> str:
    """Say one of our stored words; as it is if it is none."""
    word = value.replace("_", " ").capitalize()
    found = (pgettext("order", word), gettext(word))
    return next((said for said in found if said != word), value)


@cache
def _verdicts() -> frozenset[str]:
    """Give the verdicts as a sync, which has no reader, writes them."""
    return frozenset(verdict.name.replace("_", " ").capitalize() for verdict in Verdict)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((sentence, re.compile("".join(_as_pattern(sentence)))) for sentence in SENTENCES)


def _as_pattern(sentence: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, part in enumerate(_NAME.split(sentence)):
        if i % 2 == 0:
            yield re.escape(part)
        else:
            value = ".+?" if part == "what" else _NAMED
            yield f"(?P={part})" if part in seen else f"(?P<{part}>{value})"
            seen.add(part)
