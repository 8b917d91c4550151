"""Reads accounts of every market that the pinned ccxt knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from providers import catalogue
from providers.account_reads import AccountReads
from providers.base import OnProgress, PortfolioProvider
from providers.budgets import Pacing
from providers.catalogue import Market
from providers.connection import Connection, Connector, Memory
from providers.credentials import Credentials
from providers.endpoints import allowed_endpoint
from providers.errors import CapabilityMissing, CredentialMissing, OrderUnknown
from providers.key_rights import read_key_rights
from providers.redaction import leg_error, secrets_in_use
from providers.reports import (
    BalanceReport,
    ConnectionReport,
    KnownOrder,
    OrderReport,
    Snapshot,
    SnapshotRequest,
)
from providers.resilience import Retry
from providers.snapshot_reader import SnapshotReader
from providers.symbols import Site

T = TypeVar("T")

# What a person calls a secret, and what the environment variable of it is named after.
_SECRET_NAMES: Final = {
    "apiKey": ("an api key", "API_KEY"),
    "secret": ("a secret key", "SECRET_KEY"),
    "password": ("a password (passphrase)", "PASSWORD"),
    "uid": ("a uid", "UID"),
    "accountId": ("an account id", "ACCOUNT_ID"),
    "login": ("a login", "LOGIN"),
    "twofa": ("a two-factor secret", "TWOFA"),
    "token": ("a token", "TOKEN"),
    "walletAddress": ("a wallet address", "WALLET_ADDRESS"),
    "privateKey": ("a private key", "PRIVATE_KEY"),
}


class CCXTPortfolioProvider(PortfolioProvider):
    """Reads accounts through ccxt.

    Parameters
    ----------
    cache_dir : Path or None
        Where symbols of markets are kept between processes; None keeps them in memory only.
    endpoint_allowlist : tuple of str
        Hosts that an account's endpoint may name.
    retry : Retry or None
        When a failed read is tried again; None for the usual.
    pacing : Pacing or None
        How requests keep within what the markets allow; None: within budgets of this process alone.
    """

    def __init__(
        self,
        priority: int = 3,
        *,
        cache_dir: Path | None = None,
        endpoint_allowlist: tuple[str, ...] = (),
        retry: Retry | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        super().__init__(priority)
        self._endpoint_allowlist = endpoint_allowlist
        self._retry = retry or Retry()
        self._pacing = pacing or Pacing()
        self._memory = Memory(cache_dir)
        # Sockets belong to one event loop.
        self._connectors: WeakKeyDictionary[asyncio.AbstractEventLoop, Connector] = (
            WeakKeyDictionary()
        )

    def supports_market(self, market: str) -> bool:
        return catalogue.is_market(market)

    def get_position(
        self, account: SnapshotRequest, asset: str, credentials: Credentials
    ) -> BalanceReport | None:
        async def read(reads: AccountReads) -> BalanceReport | None:
            rows = (await reads.balances(account.wallets[0])).rows
            held = (row for row in rows if isinstance(row, BalanceReport))
            return next((row for row in held if row.asset == asset), None)

        return self._read_now(account, credentials, read)

    def get_order(
        self, account: SnapshotRequest, order: KnownOrder, credentials: Credentials
    ) -> OrderReport | None:
        async def read(reads: AccountReads) -> OrderReport | None:
            try:
                return await reads.order(order)
            except OrderUnknown:
                return None

        return self._read_now(account, credentials, read)

    async def fetch_snapshot(self, request: SnapshotRequest, on_progress: OnProgress) -> Snapshot:
        with secrets_in_use(request.credentials):
            try:
                async with self._connection(request) as connection:
                    return await _snapshot(connection, request, on_progress)
            except Exception as e:  # what could not even be connected
                return Snapshot(request, error=leg_error(e))

    async def test_connection(self, request: SnapshotRequest) -> ConnectionReport:
        """Read the clock, the symbols, the balances and the rights of the key once; nothing is kept but symbols."""
        with secrets_in_use(request.credentials):
            try:
                async with self._connection(request) as connection:
                    return await _connection_report(connection, request)
            except Exception as e:  # what could not even be connected
                return ConnectionReport(error=leg_error(e))

    async def close(self) -> None:
        connector = self._connectors.pop(asyncio.get_running_loop(), None)
        if connector is not None:
            await connector.close()

    @asynccontextmanager
    async def _connection(self, request: SnapshotRequest) -> AsyncIterator[Connection]:
        """Check everything that can be checked without a request, then open.

        Raises
        ------
        NeedsPerson
            If the market, a credential, the sandbox or the endpoint is not to be had.
        """
        market = catalogue.market(request.market)
        _check_credentials(market, request.credentials)
        _check_sandbox(market, request)
        endpoint = request.endpoint and allowed_endpoint(request.endpoint, self._endpoint_allowlist)
        loop = asyncio.get_running_loop()
        if loop not in self._connectors:
            self._connectors[loop] = Connector(self._memory, self._retry, self._pacing)
        connection = self._connectors[loop].connect(
            Site(market, request.sandbox, endpoint), request
        )
        try:
            yield connection
        finally:
            await connection.close()

    def _read_now(
        self,
        account: SnapshotRequest,
        credentials: Credentials,
        read: Callable[[AccountReads], Awaitable[T]],
    ) -> T:
        request = replace(account, credentials=credentials)

        async def main() -> T:
            try:
                async with self._connection(request) as connection:
                    await connection.learn_symbols()
                    return await read(AccountReads(connection))
            finally:
                await self.close()

        with secrets_in_use(credentials):
            return asyncio.run(main())


async def _snapshot(
    connection: Connection, request: SnapshotRequest, on_progress: OnProgress
) -> Snapshot:
    try:
        await connection.learn_symbols()
        await connection.learns_new_symbols(order.symbol for order in request.known_orders)
    except Exception as e:  # without symbols no leg can be read
        spent = connection.requests
        return Snapshot(
            request,
            depth=request.depth,
            http_requests=spent,
            symbol_requests=spent,
            waited_seconds=connection.waited_seconds,
            error=leg_error(e),
        )
    symbol_requests = connection.requests
    reader = SnapshotReader(connection, request, on_progress)
    legs = await reader.read()
    return Snapshot(
        request,
        legs,
        reader.depth,
        http_requests=connection.requests,
        symbol_requests=symbol_requests,
        waited_seconds=connection.waited_seconds,
    )


async def _connection_report(connection: Connection, request: SnapshotRequest) -> ConnectionReport:
    offset: float | None = None
    assets = 0
    rights = error = None
    try:
        await connection.learn_symbols()
        if connection.market.capabilities["fetchTime"]:
            offset = await connection.read_clock()
        assets = len((await AccountReads(connection).balances(request.wallets[0])).rows)
        rights = await read_key_rights(connection.market.id, connection.read)
    except Exception as e:  # told by the report
        error = leg_error(e)
    return ConnectionReport(
        clock_offset=offset,
        assets=assets,
        http_requests=connection.requests,
        capabilities=dict(connection.market.capabilities),
        rights=rights,
        error=error,
    )


def _check_credentials(market: Market, credentials: Credentials) -> None:
    for name in market.required_credentials:
        if name not in credentials:
            what, variable = _SECRET_NAMES[name]
            raise CredentialMissing(
                f"Market credential for market {market.id} requires {what}, either as an argument "
                f"or as an environment variable named as {market.id.upper()}_{variable}"
            )


def _check_sandbox(market: Market, request: SnapshotRequest) -> None:
    if request.sandbox and not market.has_sandbox:
        raise CapabilityMissing(
            f"Exchange {market.id} does not advertise a sandbox/testnet endpoint; switch the "
            "sandbox off for this account, or use another market."
        )
