"""The operator's choices, read from environment variables: what means nothing ends the start with one sentence."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_YES: Final = frozenset({"1", "true", "yes", "on", "y", "t"})
_NO: Final = frozenset({"0", "false", "no", "off", "n", "f"})
_DATABASES: Final = ("sqlite", "postgres", "postgresql")


class Environment(environ.Env):  # type: ignore[misc]  # django-environ is untyped
    """As django-environ's, but that every choice is one of those there are; an empty one is none.

    All raise `ImproperlyConfigured`, which names the variable and says what is expected.
    """

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        """Read a whole number from `least` to `most`."""
        told = self._told(name, str(default))
        try:
            value = int(told)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise _refused(name, told, f"a whole number from {least} to {most}")
        return value

    def one_of(self, name: str, default: str, choices: Collection[str]) -> str:
        """Read one of `choices`, in letters of any case."""
        told = self._told(name, default)
        for choice in choices:
            if choice.lower() == told.lower():
                return choice
        raise _refused(name, told, " or ".join(choices))

    def flag(self, name: str, *, default: bool) -> bool:
        told = self._told(name, "1" if default else "0").lower()
        if told not in _YES | _NO:
            raise _refused(name, told, "1 or 0")
        return told in _YES

    def database(self, name: str) -> dict[str, Any] | None:
        """Read the URL of a database; None if there is none. No message repeats it, as it may hold a password."""
        told = self._told(name, "")
        if not told:
            return None
        if told.partition("://")[0] not in _DATABASES:
            raise ImproperlyConfigured(
                f"{name} names no database: expected postgres://user:password@host:5432/name or sqlite:////a/file. "
                "It is not repeated here, as it may hold a password."
            )
        try:
            urlsplit(told).port  # noqa: B018 - reading it refuses what is no number
            found: dict[str, Any] = self.db_url_config(told)
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} has a host or a port that is none. A password in it must be percent-encoded."
            ) from None
        if not found.get("NAME"):
            raise ImproperlyConfigured(f"{name} does not name a database behind the host.")
        return found

    def _told(self, name: str, default: str) -> str:
        told: str = self.str(name, "").strip()
        return told or default


def _refused(name: str, told: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f'{name} is "{told[:40]}"; expected {expected}.')
