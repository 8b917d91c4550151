"""HTTP as ccxt may have it: no redirects, no cookies, no proxies, one deadline, a cap on the body."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final

import aiohttp
import certifi
import yarl

from providers.errors import ExchangeTimeout, ExchangeUnavailable, UnexpectedReport

REQUEST_SECONDS: Final = 15.0
# Decompressed: a few kilobytes of gzip may hold gigabytes.
MAX_BODY_BYTES: Final = 32 * 1024 * 1024

# Seconds. The header counts whole ones: a smaller difference may be none.
_SURE_CLOCK_OFFSET: Final = 2.0

_CHUNK_BYTES: Final = 64 * 1024
_MAX_CONNECTIONS: Final = 100


@cache
def _tls_context() -> ssl.SSLContext:
    """Make it once: reading the certificates takes longer than reading an account."""
    return ssl.create_default_context(cafile=certifi.where())


class Transport:
    """One connection pool for all accounts of an event loop."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_tls_context(), limit=_MAX_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    def session(
        self,
        endpoint: str = "",
        *,
        request_seconds: float = REQUEST_SECONDS,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> AccountSession:
        return AccountSession(
            self._session,
            endpoint,
            request_seconds=request_seconds,
            max_body_bytes=max_body_bytes,
        )

    async def close(self) -> None:
        await self._session.close()


class AccountSession:
    """What ccxt takes for an aiohttp session: the requests of one account, counted.

    Parameters
    ----------
    endpoint : str
        Takes the place of scheme and host of every request; empty for the exchange's own. ccxt keeps seeing
        the original URL, so that signatures and its tables of errors stay the exchange's.
    request_seconds : float
        For one request from the connection to the last byte.
    max_body_bytes : int
        For one decompressed body.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        *,
        request_seconds: float,
        max_body_bytes: int,
    ) -> None:
        self.requests = 0
        # Seconds that the exchange's clock is ahead of ours, by its last answer.
        self.clock_offset = 0.0
        self.headers: Mapping[str, str] = {}  # ccxt adds those of its session to its own
        self._payer: AccountSession | None = None
        self._session = session
        self._endpoint = yarl.URL(endpoint) if endpoint else None
        self._seconds = request_seconds
        self._max_bytes = max_body_bytes

    @property
    def endpoint(self) -> str:
        """Scheme and host that take the place of the exchange's; empty if none do."""
        return str(self._endpoint.origin()) if self._endpoint else ""

    def counts_for(self, payer: AccountSession) -> None:
        """Count the requests of this session for `payer`, too."""
        self._payer = payer

    def get(self, url: yarl.URL, **sent: Any) -> _Call:
        return _Call(self, "GET", url, sent)

    def post(self, url: yarl.URL, **sent: Any) -> _Call:
        return _Call(self, "POST", url, sent)

    async def fetch(
        self, method: str, url: yarl.URL, headers: Mapping[str, str], data: Any
    ) -> HttpReply:
        """Send one request and read the whole answer.

        Raises
        ------
        ExchangeTimeout
            If the last byte is not there within `request_seconds`.
        ExchangeUnavailable
            If the connection cannot be made or breaks.
        UnexpectedReport
            If the answer is a redirect or longer than `max_body_bytes`.
        """
        self._count()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._fetch(method, self._rerouted(url), headers, data)
        except TimeoutError:
            raise ExchangeTimeout(
                f"No whole answer to {method} {url.path} within {self._seconds:g} seconds."
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as e:
            # aiohttp quotes the signed URL, so its text goes no further.
            raise ExchangeUnavailable(
                f"The connection failed at {method} {url.path}: {type(e).__name__}.",
                kind=type(e).__name__,
            ) from None

    def _count(self) -> None:
        self.requests += 1
        if self._payer is not None:
            self._payer.requests += 1

    async def _fetch(
        self, method: str, url: yarl.URL, headers: Mapping[str, str], data: Any
    ) -> HttpReply:
        sent_at = datetime.now(UTC)
        async with self._session.request(
            method,
            url,
            data=data,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(),
        ) as response:
            if 300 <= response.status < 400:
                raise UnexpectedReport(
                    f"{method} {url.path} was answered with a redirect ({response.status}), "
                    "which is not followed."
                )
            self.clock_offset = clock_offset(
                response.headers.get("Date", ""), sent_at, datetime.now(UTC)
            )
            body = await self._body(response, f"{method} {url.path}")
            return HttpReply(response.status, response.reason or "", response.headers, body)

    async def _body(self, response: aiohttp.ClientResponse, request: str) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes:
                response.close()
                raise UnexpectedReport(
                    f"The answer to {request} is longer than {self._max_bytes} bytes."
                )
        return bytes(body)

    def _rerouted(self, url: yarl.URL) -> yarl.URL:
        if self._endpoint is None:
            return url
        return yarl.URL(f"{self._endpoint.origin()}{url.raw_path_qs}", encoded=True)


def clock_offset(date: str, sent_at: datetime, answered_at: datetime) -> float:
    """Tell how many seconds a server's clock is ahead of ours; 0 if that is too little to be sure.

    Parameters
    ----------
    date : str
        The answer's ``Date`` header; empty if it has none.
    """
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    told = told if told.tzinfo else told.replace(tzinfo=UTC)
    round_trip = answered_at - sent_at
    offset = (told - (sent_at + round_trip / 2)).total_seconds()
    unsure = _SURE_CLOCK_OFFSET + round_trip.total_seconds() / 2
    return 0.0 if abs(offset) < unsure else offset


class HttpReply:
    """A whole answer, in the shape in which ccxt reads one."""

    content = b""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self._body = body

    async def text(self, errors: str = "replace") -> str:
        return self._body.decode("utf-8", errors=errors)


class _Call:
    def __init__(
        self, session: AccountSession, method: str, url: yarl.URL, sent: Mapping[str, Any]
    ) -> None:
        self._session = session
        self._method = method
        self._url = url
        self._sent = sent

    async def __aenter__(self) -> HttpReply:
        headers, data = self._sent["headers"], self._sent.get("data")
        return await self._session.fetch(self._method, self._url, headers, data)

    async def __aexit__(self, *_: object) -> None:
        return None
