"""The secrets of one account, in a type that does not let them out by accident."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

# Every name that ccxt's `requiredCredentials` knows, in the order in which a form asks for them.
CREDENTIAL_NAMES: Final = (
    "apiKey",
    "secret",
    "password",
    "uid",
    "accountId",
    "login",
    "twofa",
    "token",
    "walletAddress",
    "privateKey",
)
HIDDEN: Final = "***"


class Secret:
    """A string that shows itself only to `reveal`.

    It prints as ``***``, cannot be pickled, copied, iterated or serialised, and compares in constant time, so that
    a traceback with local variables, a log line or a task argument never carries it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value.strip()

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("A secret cannot be pickled or copied.")


class Credentials(Mapping[str, Secret]):
    """Secrets by ccxt's names (`CREDENTIAL_NAMES`); empty ones are left out.

    Raises
    ------
    ValueError
        If a name is not one of `CREDENTIAL_NAMES`.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Mapping[str, Secret | str] | None = None) -> None:
        known: dict[str, Secret] = {}
        for name, value in (secrets or {}).items():
            if name not in CREDENTIAL_NAMES:
                raise ValueError(f"Expected one of {', '.join(CREDENTIAL_NAMES)}, was {name!r}.")
            secret = value if isinstance(value, Secret) else Secret(value)
            if secret:
                known[name] = secret
        self._secrets = known

    def __getitem__(self, name: str) -> Secret:
        return self._secrets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(self._secrets)})"
