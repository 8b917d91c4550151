"""One account's line to its exchange: retried, bounded in time, with symbols and clock at hand."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from providers.budgets import (
    Block,
    Budgets,
    Pacer,
    Pacing,
    budget_name,
    has_rate_limit,
    place_name,
)
from providers.ccxt_client import HardenedExchange, make_exchange, translated_errors
from providers.errors import (
    BudgetSpent,
    CapabilityMissing,
    ClockSkewed,
    CredentialsRejected,
    ExchangeTimeout,
    ExchangeUnavailable,
    NotServed,
    PermissionMissing,
    SlowDown,
)
from providers.file_cache import FileCache
from providers.mapping import base_and_quote
from providers.market_options import ACCOUNT_MODES
from providers.reports import SnapshotRequest
from providers.resilience import Retry
from providers.symbols import SYMBOLS_MAX_AGE, Site, SymbolLoader, SymbolStore
from providers.transport import AccountSession, Transport

# An unknown symbol may be a new one; each is not worth more than one read of all in this time.
_NEW_SYMBOLS_SECONDS: Final = 600.0
# An account may be changed to another mode; until then that is noticed it is read wrongly.
_MODES_MAX_AGE: Final = 3600.0
# Seconds, for an exchange that asks for fewer requests and does not say for how long.
_UNTOLD_PAUSE: Final = 10.0

# ccxt falls back to a guess when it cannot find out what kind of account it reads.
_NEVER_SWALLOWED: Final = (ExchangeUnavailable, ExchangeTimeout, NotServed, SlowDown)
# Some markets tell their symbols only to who has a key.
_NEEDS_KEY: Final = (CapabilityMissing, CredentialsRejected, PermissionMissing)


class Memory:
    """What is worth keeping from one snapshot to the next; shared by all accounts of a process."""

    def __init__(self, folder: Path | None) -> None:
        self.symbols = SymbolStore(folder)
        self.files = FileCache(folder)
        self.clock_offsets: dict[str, float] = {}
        # What this process has taken of rate budgets and not yet spent.
        self.blocks: dict[tuple[str, ...], Block] = {}
        # When a site's symbols were last read for a name that they do not have: site and name to seconds since 1970.
        self.looked_for: dict[tuple[str, str], float] = {}


class Connection:
    """Reads one account through ccxt.

    Attributes
    ----------
    account : str
        Label of the account.
    ends_at : float
        When the last answer has to be there, on the event loop's clock; moves while a rate budget is waited for.
    waited_seconds : float
        Time in which at least one request waited for a rate budget.
    clock_offset : float or None
        Seconds that the exchange's clock is ahead of ours, if that was measured.
    """

    def __init__(
        self,
        site: Site,
        exchange: HardenedExchange,
        session: AccountSession,
        connector: Connector,
        request: SnapshotRequest,
    ) -> None:
        self.market = site.market
        self.account = request.account
        self.ends_at = asyncio.get_running_loop().time() + request.deadline
        self.clock_offset: float | None = None
        self._site = site
        self._exchange = exchange
        self._session = session
        self._connector = connector
        self._has_measured_clock = False
        self._symbols_from = 0.0
        self.waited_seconds = 0.0
        self._patience = request.patience
        self._timeouts: set[asyncio.Timeout] = set()
        self._waiting_until = 0.0
        self._budgets = connector.budgets(site, request.key_name)
        if self._budgets is not None:
            exchange.keep_pace(self._pace)

    @property
    def requests(self) -> int:
        return self._session.requests

    @property
    def clock_ahead(self) -> float:
        """Seconds that the exchange's clock is ahead of ours, as its last answer says."""
        return self._session.clock_offset

    def exchange_now(self) -> datetime:
        """Tell the time by the exchange's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_ahead)

    def symbols_among(self, assets: Collection[str]) -> list[str]:
        """Name the market's spot symbols of which both assets are among `assets`, sorted."""
        wanted = set(assets)
        spot = (symbol for symbol in self._exchange.markets or () if ":" not in symbol)
        return sorted(symbol for symbol in spot if wanted.issuperset(base_and_quote(symbol)))

    def require(self, capability: str, functionality: str) -> None:
        """Refuse what the market cannot be asked.

        Raises
        ------
        CapabilityMissing
            If ccxt has no `capability` there.
        """
        if not self.market.capabilities[capability]:
            raise CapabilityMissing(
                f"Market service {self.market.id} does not support functionality {functionality}"
            )

    def remaining(self) -> float:
        return self.ends_at - asyncio.get_running_loop().time()

    async def read(self, method: str, *args: Any) -> Any:
        """Call one of ccxt's reads.

        Raises
        ------
        OperationalException
            If it cannot be read; ExchangeTimeout also if the deadline comes first.
        """
        if self.remaining() <= 0:
            raise _too_late(self.market.id)
        async with self._in_time():
            return await self._connector.retry.call(
                lambda: self._attempt(method, *args), remaining=self.remaining
            )

    async def learn_symbols(self, max_age: float = SYMBOLS_MAX_AGE) -> None:
        """Know the market's symbols, without a key if the exchange tells them so."""
        try:
            async with self._in_time():
                loader = self._connector.loader
                pace = self._pace if self._budgets is not None else None
                symbols = await loader.symbols(self._site, self._session, max_age, pace)
                symbols.give_to(self._exchange)
                self._symbols_from = symbols.loaded_at
        except _NEEDS_KEY:
            await self.read("load_markets")

    async def learns_new_symbols(self, symbols: Iterable[str | None]) -> bool:
        """Read the market's symbols again if one of `symbols` is unknown and was not looked for of late."""
        unknown = {symbol for symbol in symbols if symbol} - self._exchange.markets.keys()
        memory, now = self._connector.memory, time.time()
        since = now - _NEW_SYMBOLS_SECONDS
        is_news = any(memory.looked_for.get((self._site.key, x), 0) < since for x in unknown)
        if not is_news or memory.symbols.find(self._site) is None:
            return False
        # Another account may have read them since: those are as good. A second, as a file is younger than its symbols.
        await self.learn_symbols(now - self._symbols_from - 1)
        looked_for = {key: at for key, at in memory.looked_for.items() if at >= since}
        missed = unknown - self._exchange.markets.keys()
        memory.looked_for = looked_for | {(self._site.key, x): now for x in missed}
        return True

    async def read_clock(self) -> float:
        """`measure_clock` with retries and deadline."""
        async with self._in_time():
            return await self._connector.retry.call(self.measure_clock, remaining=self.remaining)

    async def measure_clock(self) -> float:
        """Learn how many seconds the exchange's clock is ahead of ours, and sign by it."""
        self._has_measured_clock = True
        with translated_errors(self.market.id):
            await self._exchange.load_time_difference()
            offset = -float(self._exchange.options["timeDifference"]) / 1000
        self.clock_offset = self._connector.memory.clock_offsets[self._site.key] = offset
        return offset

    def use_clock_offset(self, offset: float) -> None:
        self.clock_offset = offset
        self._exchange.options["timeDifference"] = round(-offset * 1000)

    async def close(self) -> None:
        self._connector.remember_modes(self._site, self.account, self._exchange)
        self._exchange.last_request_headers = None
        await self._exchange.close()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Bound what is read inside by `ends_at`, wherever that moves meanwhile."""
        try:
            async with asyncio.timeout_at(self.ends_at) as timeout:
                self._timeouts.add(timeout)
                try:
                    yield
                finally:
                    self._timeouts.discard(timeout)
        except TimeoutError:
            raise _too_late(self.market.id) from None

    async def _pace(self, seconds: float, private: bool) -> None:
        """Wait until the budgets allow a request that uses up `seconds` of them.

        Raises
        ------
        BudgetSpent
            If that takes longer than this snapshot may wait.
        """
        budgets = self._budgets
        if budgets is None:
            return
        names = budgets.of(private=private)
        now = asyncio.get_running_loop().time()
        longest = self._patience - self.waited_seconds + max(0.0, self._waiting_until - now)
        wait = await self._connector.pacer.wait(names, seconds, budgets.burst, longest)
        if wait > 0:
            self._allow_for(wait)
            await asyncio.sleep(wait)

    def _allow_for(self, wait: float) -> None:
        """Put the deadline off by the time in which nobody could have read."""
        now = asyncio.get_running_loop().time()
        more = now + wait - max(now, self._waiting_until)
        if self.waited_seconds + more > self._patience:
            raise BudgetSpent(
                f"{self.market.id}: what this address or key may ask is used up for another {wait:.0f} seconds, by "
                "this and other accounts. Nothing was sent. Lengthen their intervals if that goes on."
            )
        if more > 0:
            self._waiting_until = now + wait
            self.waited_seconds += more
            self.ends_at += more
            for timeout in self._timeouts:
                timeout.reschedule(self.ends_at)

    async def _attempt(self, method: str, *args: Any) -> Any:
        try:
            return await self._read_once(method, *args)
        except SlowDown as e:
            if self._budgets is not None and not isinstance(e, BudgetSpent):
                pause = _UNTOLD_PAUSE if e.retry_after is None else e.retry_after
                await self._connector.pacer.hold(self._budgets.refused, pause)
            raise
        except ClockSkewed:
            if self._has_measured_clock or not self.market.capabilities["fetchTime"]:
                raise
        await self.measure_clock()
        return await self._read_once(method, *args)

    async def _read_once(self, method: str, *args: Any) -> Any:
        failed = self._exchange.failed_requests
        failed.clear()
        with translated_errors(self.market.id):
            answer = await getattr(self._exchange, method)(*args)
        swallowed = next((e for e in failed if isinstance(e, _NEVER_SWALLOWED)), None)
        if swallowed is not None:
            for mode in ACCOUNT_MODES.get(self.market.id, ()):
                self._exchange.options[mode] = None
            raise swallowed
        return answer


class Connector:
    """Opens connections in one event loop."""

    def __init__(self, memory: Memory, retry: Retry, pacing: Pacing) -> None:
        self.memory = memory
        self.retry = retry
        self.pacer = Pacer(pacing.store, memory.blocks)
        self._pacing = pacing
        self._transport = Transport()
        self.loader = SymbolLoader(memory.symbols, self._transport, retry)

    def connect(self, site: Site, request: SnapshotRequest) -> Connection:
        session = self._transport.session(site.endpoint)
        exchange = make_exchange(site.market, session, request.credentials, sandbox=site.sandbox)
        exchange.options.update(self._modes(site, request.account))
        connection = Connection(site, exchange, session, self, request)
        offset = self.memory.clock_offsets.get(site.key)
        if offset is not None:
            connection.use_clock_offset(offset)
        return connection

    def budgets(self, site: Site, key_name: str) -> Budgets | None:
        """Name the budgets of an account; None if nobody counts what is asked there."""
        if not (self._pacing.everywhere or has_rate_limit(site.endpoint)):
            return None
        place = place_name(site.market.id, site.endpoint, sandbox=site.sandbox)
        return Budgets(site.market.id, budget_name(place, self._pacing.egress), key_name)

    def remember_modes(self, site: Site, account: str, exchange: HardenedExchange) -> None:
        names = ACCOUNT_MODES.get(site.market.id, ())
        modes = {name: exchange.options.get(name) for name in names}
        if names and None not in modes.values() and modes != self._modes(site, account):
            self.memory.files.save(_modes_file(site, account), modes)

    async def close(self) -> None:
        await self.loader.close()
        await self._transport.close()

    def _modes(self, site: Site, account: str) -> dict[str, Any]:
        if site.market.id not in ACCOUNT_MODES:
            return {}
        return self.memory.files.load(_modes_file(site, account), _MODES_MAX_AGE) or {}


def _modes_file(site: Site, account: str) -> str:
    # A label may hold what no file name can, and be longer.
    label = hashlib.sha256(account.encode()).hexdigest()[:16]
    return f"mode-{site.key}-{label}.json.z"


def _too_late(market_id: str) -> ExchangeTimeout:
    return ExchangeTimeout(f"{market_id} did not answer before this sync had to end.")
