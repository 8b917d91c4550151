"""ccxt's errors in our words: its classes, and what its classes get wrong.

Needs no ccxt: its classes are known by name, as they are in what it documents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from providers.errors import (
    AccountSuspended,
    CapabilityMissing,
    ClockSkewed,
    CredentialsRejected,
    ExchangeInMaintenance,
    ExchangeTimeout,
    ExchangeUnavailable,
    NonceRejected,
    NotServed,
    OperationalException,
    OrderUnknown,
    OursToFix,
    PermissionMissing,
    RateLimited,
    RegionBlocked,
    SlowDown,
    TemporarilyBanned,
    UnexpectedReport,
)
from providers.redaction import one_line

_CLASSES: Final[Mapping[str, type[OperationalException]]] = {
    "AccountNotEnabled": PermissionMissing,
    "AccountSuspended": AccountSuspended,
    "ArgumentsRequired": CapabilityMissing,
    "AuthenticationError": CredentialsRejected,
    "BadRequest": OursToFix,
    "BadResponse": UnexpectedReport,
    "BadSymbol": CapabilityMissing,
    "DDoSProtection": RateLimited,
    "InvalidNonce": NonceRejected,
    "InvalidProxySettings": OursToFix,
    "NotSupported": CapabilityMissing,
    "NullResponse": UnexpectedReport,
    "OnMaintenance": ExchangeInMaintenance,
    "OperationFailed": ExchangeUnavailable,
    "OrderNotFound": OrderUnknown,
    "PermissionDenied": PermissionMissing,
    "RateLimitExceeded": RateLimited,
    "RequestTimeout": ExchangeTimeout,
    "RestrictedLocation": RegionBlocked,
}

_STATUSES: Final[Mapping[int, type[OperationalException]]] = {
    418: TemporarilyBanned,
    429: RateLimited,
    451: RegionBlocked,
}

# Where ccxt has a plain ExchangeError or a class that misleads: market (empty for all), what its
# text says, and what that means. Measured with ccxt's own classes.
_OVERLAY: Final[tuple[tuple[str, str, type[OperationalException]], ...]] = (
    ("", r"restricted location", RegionBlocked),
    ("kraken", r"EAPI:Invalid (signature|key)", CredentialsRejected),
    ("kraken", r"EAccount:Invalid permissions|EAPI:Feature disabled", PermissionMissing),
    ("kraken", r"EService:(Timeout|Deadline elapsed)", ExchangeUnavailable),
    ("kraken", r"EOrder:(Invalid|Unknown) order", OrderUnknown),
    ("okx", r'"50119"', CredentialsRejected),
    ("okx", r'"50120"', PermissionMissing),
    ("okx", r'"50102"', ClockSkewed),
    ("bybit", r'"retCode":\s*(10000|10016)\b', ExchangeUnavailable),
    ("bybit", r'"retCode":\s*10002\b', ClockSkewed),
    # ccxt calls it DDoSProtection once the same key has worked.
    ("binance", r'"code":\s*-2015\b', CredentialsRejected),
    ("binance", r'"code":\s*-1016\b', ExchangeUnavailable),
    ("binance", r'"code":\s*-1021\b', ClockSkewed),
    ("binance", r'"code":\s*-2026\b', OrderUnknown),  # archived
)
# What an exchange in trouble may say in the same breath as that it has no such order.
_TROUBLE: Final = re.compile(
    r"EService:|time[d\s-]*out|backend|internal|unavailable|try again|busy", re.I
)
_CLOCK: Final = re.compile(r"timestamp|recv_?window|clock|expired", re.I)
_URL: Final = re.compile(r"(https?://[^\s?#\"'<>]*)[^\s\"'<>]*")
# A maintenance page says nothing that its status does not.
_PAGE: Final = re.compile(r"\s*<(?:!doctype|html)\b.*", re.I | re.S)
_MAX_TEXT: Final = 400
# A ban that does not say how long it lasts; asking on would make it longer.
_BAN_SECONDS: Final = 600.0
_SERVER_ERROR: Final = 500
_NOT_FOUND: Final = 404


class ReplyFacts:
    """Status and headers of the last answer that belongs to an error; status 0 if there was none.

    Parameters
    ----------
    origin, endpoint : str
        Scheme and host that ccxt asked, and what took their place; empty if nothing did.
    """

    def __init__(self, origin: str = "", endpoint: str = "") -> None:
        self.origin = origin
        self.endpoint = endpoint
        self.status = 0
        self.headers: Mapping[str, str] = {}

    def record(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}

    def place(self, text: str) -> str:
        """Let `text`, which is ccxt's, name what was really asked."""
        return text.replace(self.origin, self.endpoint) if self.endpoint and self.origin else text

    @property
    def retry_after(self) -> float | None:
        """Seconds that the exchange asks to wait, from either form of ``Retry-After``."""
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text, re.ASCII):
            return float(text)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def translated(market: str, error: Exception, reply: ReplyFacts) -> OperationalException:
    """Tell what `error` of ccxt, or of one of its parsers, means to the reader of `market`."""
    names = [kind.__name__ for kind in type(error).__mro__]
    kind = type(error).__name__
    text = _URL.sub(r"\1", reply.place(str(error)))
    if "BaseError" not in names:
        message = f"{market}: the answer could not be read ({kind}: {text})"
        return UnexpectedReport(one_line(message, _MAX_TEXT), kind=kind)
    said = _PAGE.sub(" with an HTML page", text.removeprefix(market)).strip()
    message = one_line(f"{market}: {said or kind}", _MAX_TEXT)
    meaning = _meaning(market, names, text, reply.status)
    if issubclass(meaning, SlowDown):
        return meaning(message, kind=kind, retry_after=_retry_after(meaning, reply))
    return meaning(message, kind=kind)


def _retry_after(meaning: type[SlowDown], reply: ReplyFacts) -> float | None:
    if reply.retry_after is None and meaning is TemporarilyBanned:
        return _BAN_SECONDS
    return reply.retry_after


def _meaning(market: str, names: list[str], text: str, status: int) -> type[OperationalException]:
    meaning = _told_meaning(market, names, text, status)
    if meaning is OrderUnknown and (status >= _SERVER_ERROR or _is_of_trouble(text)):
        return ExchangeUnavailable  # an exchange in trouble finds nothing
    return meaning


def _is_of_trouble(text: str) -> bool:
    return _TROUBLE.search(_URL.sub("", text)) is not None


def _told_meaning(
    market: str, names: list[str], text: str, status: int
) -> type[OperationalException]:
    if status in _STATUSES:
        return _STATUSES[status]
    for where, pattern, meaning in _OVERLAY:
        if where in ("", market) and re.search(pattern, text):
            return meaning
    # ccxt's class for a 404 of which the exchange's own body says nothing.
    if status == _NOT_FOUND and names[0] == "ExchangeNotAvailable":
        return NotServed
    if "InvalidNonce" in names:
        return ClockSkewed if _CLOCK.search(text) else NonceRejected
    for name in names:
        if name in _CLASSES:
            return _CLASSES[name]
    return ExchangeUnavailable if status >= _SERVER_ERROR else UnexpectedReport
