"""The legs of one account's snapshot, in the order in which they may be compared."""

from __future__ import annotations

from functools import partial

from providers.account_reads import AccountReads
from providers.balance_changes import have_changed
from providers.base import OnProgress
from providers.connection import Connection
from providers.fact_legs import FactLegs
from providers.legs import LegRecorder
from providers.order_legs import OrderLegs
from providers.reports import (
    BalanceReport,
    Depth,
    Leg,
    LegKind,
    SnapshotRequest,
)
from providers.symbol_choice import symbols_to_read


class SnapshotReader:
    """Reads orders, what became of those that left, then balances, then what happened since the last look.

    Balances come after orders: so they are at least as new as every order that is compared with them. Fills and flows
    come after balances: so they hold everything that the balances show.

    Attributes
    ----------
    depth : Depth
        How much is read: a cheap read becomes a full one when it sees something move.
    """

    def __init__(
        self, connection: Connection, request: SnapshotRequest, on_progress: OnProgress
    ) -> None:
        self.depth = request.depth
        self._connection = connection
        self._request = request
        self._reads = AccountReads(connection)
        self._recorder = LegRecorder(connection, request, on_progress)
        self._facts = FactLegs(connection, request, self._recorder)
        held = (row.asset for row in request.last_balances)
        symbols = symbols_to_read(connection, request, held)
        self._orders = OrderLegs(connection, request, self._recorder, symbols)

    async def read(self) -> tuple[Leg, ...]:
        orders = self._orders
        await orders.read_open()
        self._deepen_if(orders.has_moved)
        await self._read_triggers(also_if=orders.knows_a_trigger)
        await orders.read_left()
        await orders.read_fills()
        await orders.search_denied()
        await orders.read_fills()
        balances = await self._read_balances()
        self._deepen_if(have_changed(self._request.last_balances, balances))
        # Not before, as it is only now that they are known to be wanted.
        await self._read_triggers()
        if self.depth is Depth.FULL and self._request.facts_since is not None:
            await self._read_facts(balances)
        return tuple(self._recorder.legs)

    def _deepen_if(self, has_moved: bool) -> None:
        # At the first look everything is news, and no facts are wanted yet.
        if has_moved and self._request.facts_since is not None:
            self.depth = Depth.FULL

    async def _read_triggers(self, *, also_if: bool = False) -> None:
        orders = self._orders
        is_wanted = also_if or self.depth is Depth.FULL
        if is_wanted and orders.has_triggers_apart and not orders.has_read_triggers:
            await orders.read_triggers()

    async def _read_balances(self) -> list[BalanceReport]:
        """Read every wallet; one that cannot be read is told as at the last look, so that it shows no movement."""
        balances: list[BalanceReport] = []
        wallets = self._request.wallets
        for done, wallet in enumerate(wallets, start=1):
            reading = await self._recorder.record(
                LegKind.BALANCES, wallet, partial(self._reads.balances, wallet)
            )
            rows = self._request.last_balances if reading is None else reading.rows
            balances += (x for x in rows if isinstance(x, BalanceReport) and x.wallet == wallet)
            self._recorder.progress(LegKind.BALANCES, done, len(wallets))
        return balances

    async def _read_facts(self, balances: list[BalanceReport]) -> None:
        held = (row.asset for row in balances)
        symbols = symbols_to_read(self._connection, self._request, held)
        await self._orders.read_unknown(await self._facts.read_fills(symbols))
        await self._facts.read_flows()
