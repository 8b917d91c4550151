"""Typed reads of a JSON document that name the path of what is wrong."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from portfolios.amounts import amount as exact_amount
from portfolios.amounts import plain
from portfolios.models.account import LONGEST_SECONDS

REQUIRED: Any = object()

_MOST_SHOWN: Final = 60
_LARGEST_WHOLE: Final = LONGEST_SECONDS
# Control characters, invisible ones that reorder text, halves of characters, line and paragraph separators: a NUL is
# refused by PostgreSQL, the rest makes two names look like one.
_NOT_WRITING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class BookError(Exception):
    """A book that cannot be imported; the message begins with the path of the bad value. Nothing was imported.

    Parameters
    ----------
    values : str or int
        What is put into the message's placeholders.
    """

    def __init__(self, path: str, message: str, **values: str | int) -> None:
        super().__init__(f"{path}: {message % values if values else message}")


@dataclass(frozen=True, slots=True)
class _Fraction:
    """A JSON number that is no whole one, by its digits: as a float it would be another number."""

    digits: str

    def __repr__(self) -> str:
        return self.digits


def read_document(data: bytes) -> Any:
    """Parse the JSON text of a book.

    Raises
    ------
    BookError
        If it is no JSON in UTF-8, or says one thing twice.
    """
    try:
        # A byte order mark is what some editors put before a text.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise BookError(
            "$", _("is not UTF-8: byte %(number)d cannot be read"), number=e.start
        ) from None
    try:
        return json.loads(
            text,
            parse_float=_Fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as e:
        raise BookError("$", _("is no JSON: %(reason)s"), reason=str(e)) from None
    except RecursionError:
        raise BookError("$", _("is nested too deeply")) from None
    except ValueError:  # Python's own limit on the digits of a whole number
        raise BookError("$", _("holds a number that is too long")) from None


def _refuse_constant(word: str) -> NoReturn:
    raise BookError("$", _("holds %(word)s, which is no JSON"), word=word)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BookError("$", _("an object has the field %(name)s twice"), name=shown(twice))
    return values


def shown(value: Any) -> str:
    """Quote a value for a message: on one line, and no more of it than tells which one it is."""
    if isinstance(value, dict):
        return _("an object")
    if isinstance(value, list):
        return _("a list")
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


@dataclass(frozen=True, slots=True)
class Node:
    """One object of the document and its path; null is the same as absent."""

    path: str
    values: Mapping[str, Any]
    read: set[str] = field(default_factory=set)

    def names(self, name: str) -> bool:
        return self.values.get(name) is not None

    def value(self, name: str, default: Any = REQUIRED) -> Any:
        self.read.add(name)
        found = self.values.get(name)
        if found is None:
            if default is REQUIRED:
                raise self.fail(name, _("is missing"))
            return default
        return found

    def fail(self, name: str, message: str, **values: str | int) -> BookError:
        return BookError(f"{self.path}.{name}", message, **values)

    def text(self, name: str, default: Any = REQUIRED, *, limit: int = 128) -> str:
        found = self.value(name, default)
        if not isinstance(found, str):
            raise self.fail(name, _("expected text, was %(value)s"), value=shown(found))
        found = found.strip()
        if default is REQUIRED and not found:
            raise self.fail(name, _("is empty"))
        if len(found) > limit:
            raise self.fail(
                name,
                _("expected at most %(limit)d characters, were %(count)d"),
                limit=limit,
                count=len(found),
            )
        if not is_writing(found):
            raise self.fail(name, _("expected printable text, was %(value)s"), value=shown(found))
        return found

    def amount(self, name: str, default: Any = REQUIRED) -> Decimal | None:
        found = self.value(name, default)
        if found is None:
            return None
        if not isinstance(found, str):
            raise self.fail(
                name,
                _('expected an amount as text, such as "0.5", was %(value)s'),
                value=shown(found),
            )
        try:
            return exact_amount(found)
        except ValueError as e:
            raise self.fail(name, str(e)) from None

    def not_negative(self, name: str, default: Any = REQUIRED) -> Decimal | None:
        found = self.amount(name, default)
        if found is not None and found < 0:
            raise self.fail(
                name, _("expected an amount of at least 0, was %(value)s"), value=plain(found)
            )
        return found

    def flag(self, name: str) -> bool:
        found = self.value(name, default=False)
        if not isinstance(found, bool):
            raise self.fail(name, _("expected true or false, was %(value)s"), value=shown(found))
        return found

    def whole(self, name: str, default: int | None, *, at_least: int) -> int | None:
        found = self.value(name, default)
        if found is None:
            return None
        is_whole = isinstance(found, int) and not isinstance(found, bool)
        if not is_whole or not at_least <= found <= _LARGEST_WHOLE:
            raise self.fail(
                name,
                _("expected a whole number from %(least)d to %(most)d, was %(value)s"),
                least=at_least,
                most=_LARGEST_WHOLE,
                value=shown(found),
            )
        return int(found)

    def one_of(self, name: str, allowed: Iterable[str], default: Any = REQUIRED) -> str:
        found = self.text(name, default)
        words = [str(word) for word in allowed]
        if found not in words:
            raise self.fail(
                name,
                _("expected one of %(words)s, was %(value)s"),
                words=", ".join(words),
                value=shown(found),
            )
        return found

    def time(self, name: str) -> datetime | None:
        """Read a time; one without an offset is UTC."""
        found = self.text(name, "")
        if not found:
            return None
        try:
            parsed = parse_datetime(found)
            if parsed is not None:
                aware = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
                return aware.astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a day or an hour that does not exist, or one that UTC does not reach
        raise self.fail(
            name,
            _("expected a time such as 2026-11-22T08:00:00Z, was %(value)s"),
            value=shown(found),
        )

    def rows(self, name: str) -> list[Node]:
        found = self.value(name, [])
        if not isinstance(found, list):
            raise self.fail(name, _("expected a list, was %(value)s"), value=shown(found))
        return [node_at(f"{self.path}.{name}[{index}]", row) for index, row in enumerate(found)]

    def refuse_unknown(self) -> None:
        for name in self.values:
            if name not in self.read:
                spelled = name if name.isidentifier() and len(name) <= _MOST_SHOWN else shown(name)
                raise self.fail(spelled, _("is no field of a book"))


def is_writing(text: str) -> bool:
    return not any(unicodedata.category(character) in _NOT_WRITING for character in text)


def node_at(path: str, values: Any) -> Node:
    if not isinstance(values, dict):
        raise BookError(path, _("expected an object, was %(value)s"), value=shown(values))
    return Node(path, values)
