"""The symbols and assets of each site (ccxt's "markets"): read once without a key, shared by all."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from providers.catalogue import Market
from providers.ccxt_client import (
    CCXT_VERSION,
    HardenedExchange,
    Pace,
    make_exchange,
    translated_errors,
)
from providers.credentials import Credentials
from providers.file_cache import FileCache
from providers.resilience import Retry
from providers.transport import AccountSession, Transport

SYMBOLS_MAX_AGE: Final = 24 * 3600.0
LOAD_SECONDS: Final = 60.0
_REQUEST_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Site:
    """Where symbols are the same for every account."""

    market: Market
    sandbox: bool
    endpoint: str

    @property
    def key(self) -> str:
        place = hashlib.sha256(f"{CCXT_VERSION} {self.sandbox} {self.endpoint}".encode())
        return f"{self.market.id}-{place.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Symbols:
    """What a site lists, in an exchange that does nothing but hold it.

    Parameters
    ----------
    options : Mapping
        What ccxt noted in its options while it read them.
    loaded_at : float
        Seconds since 1970.
    """

    holder: HardenedExchange
    options: Mapping[str, Any]
    loaded_at: float

    @property
    def age(self) -> float:
        return time.time() - self.loaded_at

    def give_to(self, exchange: HardenedExchange) -> None:
        exchange.set_markets_from_exchange(self.holder)
        exchange.options.update(self.options)


class SymbolStore:
    """Symbols that were read, in memory and in `folder`; safe to share between threads."""

    def __init__(self, folder: Path | None) -> None:
        self._files = FileCache(folder)
        self._known: dict[str, Symbols] = {}

    def find(self, site: Site, max_age: float = SYMBOLS_MAX_AGE) -> Symbols | None:
        known = self._known.get(site.key)
        if known is None or known.age > max_age:
            known = self._from_file(site, max_age)
        if known is not None:
            self._known[site.key] = known
        return known

    def keep(self, site: Site, symbols: Symbols) -> None:
        self._known[site.key] = symbols
        content = {
            "loaded_at": symbols.loaded_at,
            "markets": list(symbols.holder.markets.values()),
            "currencies": symbols.holder.currencies,
            "options": symbols.options,
        }
        self._files.save(_file_name(site), content)

    def _from_file(self, site: Site, max_age: float) -> Symbols | None:
        content = self._files.load(_file_name(site), max_age)
        if content is None:
            return None
        holder = make_exchange(site.market, None, Credentials(), sandbox=site.sandbox)
        try:
            holder.options.update(content["options"])
            with translated_errors(site.market.id):
                holder.set_markets(content["markets"], content["currencies"])
            return Symbols(holder, dict(content["options"]), float(content["loaded_at"]))
        except Exception:
            # A damaged file is no file: the exchange is asked again.
            return None


class SymbolLoader:
    """Reads symbols in one event loop; who wants those of one site at the same time shares a read."""

    def __init__(self, store: SymbolStore, transport: Transport, retry: Retry) -> None:
        self._store = store
        self._transport = transport
        self._retry = retry
        self._loads: dict[str, asyncio.Task[Symbols]] = {}

    async def symbols(
        self,
        site: Site,
        session: AccountSession,
        max_age: float = SYMBOLS_MAX_AGE,
        pace: Pace | None = None,
    ) -> Symbols:
        """Find or read the symbols of `site`; reading counts as requests of `session`.

        Raises
        ------
        OperationalException
            If they cannot be read without a key.
        """
        found = self._store.find(site, max_age)
        if found is not None:
            return found
        load = self._loads.get(site.key)
        if load is None:
            load = asyncio.create_task(self._load(site, session, pace))
            self._loads[site.key] = load
            load.add_done_callback(lambda done: self._forget(site, done))
        # Shielded: others may wait for it when this one has to go.
        return await asyncio.shield(load)

    async def close(self) -> None:
        loads = list(self._loads.values())
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    def _forget(self, site: Site, done: asyncio.Task[Symbols]) -> None:
        self._loads.pop(site.key, None)
        if not done.cancelled():
            done.exception()  # asked for, so that asyncio does not complain if nobody waits any more

    async def _load(self, site: Site, counted: AccountSession, pace: Pace | None) -> Symbols:
        session = self._transport.session(site.endpoint, request_seconds=_REQUEST_SECONDS)
        session.counts_for(counted)
        exchange = make_exchange(site.market, session, Credentials(), sandbox=site.sandbox)
        if pace is not None:
            exchange.keep_pace(pace)
        options = deepcopy(exchange.options)
        ends_at = asyncio.get_running_loop().time() + LOAD_SECONDS

        async def read() -> None:
            with translated_errors(site.market.id):
                await exchange.load_markets(reload=True)

        try:
            await self._retry.call(
                read, remaining=lambda: ends_at - asyncio.get_running_loop().time()
            )
        finally:
            await exchange.close()
        learned = {
            name: value for name, value in exchange.options.items() if options.get(name) != value
        }
        symbols = Symbols(exchange, learned, time.time())
        self._store.keep(site, symbols)
        return symbols


def _file_name(site: Site) -> str:
    return f"symbols-{site.key}.json.z"
