"""One request to Kraken as it is read and verified; what it pages through; and its refusals.

Sources: "Kraken Spot REST API: Authentication, Rate Limits, Errors".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from providers.sandbox.books import ApiKey, Permission
from providers.sandbox.kraken_payloads import unixtime

PAGE: Final = 50
_NONCE: Final = re.compile(r"[0-9]{1,20}")
_UNIXTIME: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,18})?")


class ApiError(Exception):
    """A refusal in Kraken's form: a text, which comes with HTTP status 200."""

    def response(self) -> web.Response:
        return web.json_response({"error": [str(self)]})


def invalid_arguments() -> ApiError:
    return ApiError("EGeneral:Invalid arguments")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a list, under the id and at the time by which it can be asked for."""

    id: str
    at: datetime
    row: Any


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Parameters
    ----------
    now : datetime
        By the exchange's clock.
    body : str
        To the letter: the signature covers it.
    age : timedelta
        How long ago the account is shown as it was.
    """

    params: Mapping[str, str]
    now: datetime
    path: str
    body: str
    key: str = ""
    signature: str = ""
    age: timedelta = timedelta(0)

    def text(self, name: str) -> str:
        value = self.params.get(name, "")
        if not value:
            raise invalid_arguments()
        return value

    def names(self, name: str, most: int) -> list[str]:
        """Read a list that is separated by commas; nobody may ask for more than `most` at once."""
        names = self.text(name).split(",")
        if len(names) > most:
            raise invalid_arguments()
        return names

    def flag(self, name: str) -> bool:
        return self.params.get(name, "").lower() == "true"

    def accepts(self, name: str, values: Iterable[str]) -> bool:
        """Whether the list `name` names one of `values`, or is not given."""
        wanted = self.params.get(name, "all").split(",")
        return wanted == ["all"] or not set(wanted).isdisjoint(values)

    def window(self, entries: Sequence[Entry]) -> list[Entry]:
        """Find what is later than `start` and not later than `end`, the latest first."""
        start, end = self._moment("start", entries), self._moment("end", entries)
        found = [
            entry
            for entry in entries
            if (start is None or unixtime(entry.at) > start)
            and (end is None or unixtime(entry.at) <= end)
        ]
        return sorted(found, key=lambda entry: entry.at, reverse=True)

    def page(self, entries: Sequence[Entry]) -> tuple[dict[str, Any], int]:
        """Take the page at offset `ofs` of what was asked for; tell how much there is in all."""
        offset = self.params.get("ofs", "0")
        if not re.fullmatch(r"[0-9]{1,9}", offset):
            raise invalid_arguments()
        found = self.window(entries)
        shown = found[int(offset) : int(offset) + PAGE]
        return {entry.id: entry.row for entry in shown}, len(found)

    def _moment(self, name: str, entries: Sequence[Entry]) -> Decimal | None:
        """Read a Unix time; the id of an entry stands for the time of that entry."""
        if name not in self.params:
            return None
        value = self.params[name]
        if _UNIXTIME.fullmatch(value):
            return Decimal(value)
        named = [unixtime(entry.at) for entry in entries if entry.id == value]
        if not named:
            raise invalid_arguments()
        return named[0]


def verify(call: Call, api_key: ApiKey, last_nonce: int) -> int:
    """Accept the call of a key and tell its nonce, or say why not.

    Raises
    ------
    ApiError
        If the signature is wrong, or the nonce is not above `last_nonce`.
    """
    if not api_key.enabled:
        raise ApiError("EAPI:Invalid key")
    nonce = call.params.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise ApiError("EAPI:Invalid nonce")
    if not hmac.compare_digest(signature(call.path, nonce, call.body, api_key), call.signature):
        raise ApiError("EAPI:Invalid signature")
    if int(nonce) <= last_nonce:
        raise ApiError("EAPI:Invalid nonce")
    return int(nonce)


def signature(path: str, nonce: str, body: str, api_key: ApiKey) -> str:
    digest = hashlib.sha256((nonce + body).encode()).digest()
    signed = hmac.new(api_key.secret.encode(), path.encode() + digest, hashlib.sha512)
    return base64.b64encode(signed.digest()).decode()


def check_permission(api_key: ApiKey, permission: Permission | None) -> None:
    if permission is not None and permission not in api_key.permissions:
        raise ApiError("EGeneral:Permission denied")


def params_of(query: str, body: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body))
