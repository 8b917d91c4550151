"""One request to Binance as it is read and verified; and its refusals.

Sources: "Binance Spot API Docs: Request Security" and "Errors".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from providers.sandbox.binance_payloads import milliseconds
from providers.sandbox.books import ApiKey, Permission, decimal_of

DEFAULT_RECV_WINDOW: Final = 5_000
MAX_RECV_WINDOW: Final = 60_000
DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1_000
END_OF_TIME: Final = 10**15
KEY_FORMAT: Final = re.compile(r"[A-Za-z0-9_-]{8,128}")


class ApiError(Exception):
    """A refusal in Binance's form: an HTTP status, a code and a message."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def response(self) -> web.Response:
        return web.json_response({"code": self.code, "msg": self.message}, status=self.status)


def malformed(name: str) -> ApiError:
    return ApiError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def no_permission() -> ApiError:
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def order_not_named() -> ApiError:
    return ApiError(
        -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Parameters
    ----------
    now : datetime
        By the exchange's clock.
    signed : str
        What the signature has to cover: query and body to the letter, without the signature.
    age : timedelta
        How long ago the account is shown as it was.
    """

    params: Mapping[str, str]
    now: datetime
    key: str = ""
    signed: str = ""
    age: timedelta = timedelta(0)

    def text(self, name: str) -> str:
        value = self.params.get(name, "")
        if not value:
            raise malformed(name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.params.get(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,20}", value):
            raise ApiError(
                -1100,
                f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
            )
        return int(value)

    def number(self, name: str) -> Decimal:
        if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", self.text(name)):
            raise malformed(name)
        return decimal_of(self.text(name))

    def names(self, name: str) -> list[str]:
        """Read a JSON list of strings, as in ``["BTCUSDT","ETHUSDT"]``."""
        if not re.fullmatch(r'\["[A-Z0-9]+"(,"[A-Z0-9]+")*\]', self.text(name)):
            raise malformed(name)
        return re.findall(r"[A-Z0-9]+", self.text(name))

    @property
    def limit(self) -> int:
        return min(self.integer("limit") or DEFAULT_LIMIT, MAX_LIMIT)

    def window(self, longest: timedelta) -> tuple[int, int]:
        """First and last millisecond that is asked for."""
        start, end = self.integer("startTime"), self.integer("endTime")
        if start is not None and end is not None:
            if end < start:
                raise ApiError(-1023, "Start time is greater than end time.")
            if timedelta(milliseconds=end - start) > longest:
                hours = longest // timedelta(hours=1)
                raise ApiError(-1127, f"More than {hours} hours between startTime and endTime.")
        return start or 0, END_OF_TIME if end is None else end

    def latest_window(self, longest: timedelta) -> tuple[int, int]:
        """First and last millisecond that is asked for; the latest ones there may be, if nothing is said."""
        first, last = self.window(longest)
        is_open = "startTime" not in self.params and "endTime" not in self.params
        return (milliseconds(self.now - longest) if is_open else first), last


def call_of(query: str, body: str, key: str, now: datetime, age: timedelta) -> Call:
    params = dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body))
    return Call(params, now, key, _without_signature(query) + _without_signature(body), age)


def _without_signature(encoded: str) -> str:
    return "&".join(x for x in encoded.split("&") if not x.startswith("signature="))


def verify(call: Call, api_key: ApiKey, permission: Permission) -> None:
    """Accept the call, or say why not.

    Raises
    ------
    ApiError
        If the key is disabled or lacks `permission`, the time is off, or the signature is wrong.
    """
    if not api_key.enabled:
        raise no_permission()
    _check_timestamp(call)
    signature = hmac.new(api_key.secret.encode(), call.signed.encode(), hashlib.sha256)
    if not hmac.compare_digest(signature.hexdigest(), call.text("signature")):
        raise ApiError(-1022, "Signature for this request is not valid.")
    if permission not in api_key.permissions:
        raise no_permission()


def _check_timestamp(call: Call) -> None:
    timestamp = call.integer("timestamp")
    if timestamp is None:
        raise malformed("timestamp")
    window = call.integer("recvWindow") or DEFAULT_RECV_WINDOW
    if window > MAX_RECV_WINDOW:
        raise ApiError(-1131, "recvWindow must be less than 60000.")
    server_time = milliseconds(call.now)
    if timestamp >= server_time + 1_000:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if server_time - timestamp > window:
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")
