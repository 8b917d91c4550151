"""The contract of whoever reads portfolios from a market."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from providers.credentials import Credentials
from providers.errors import OperationalException, OrderUnknown
from providers.redaction import leg_error
from providers.reports import (
    BalanceReport,
    ConnectionReport,
    KnownOrder,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    Progress,
    Row,
    Snapshot,
    SnapshotRequest,
)

OnProgress = Callable[[Progress], None]


class PortfolioProvider(ABC):
    """Reads one account of a market; never writes there.

    A provider needs only the three abstract methods. `fetch_snapshot` is built from them, and a provider that can
    read an account in fewer requests overrides it.

    Parameters
    ----------
    priority : int
        The lowest number wins where several providers support a market.
    """

    def __init__(self, priority: int = 1) -> None:
        self.priority = priority

    def __repr__(self) -> str:
        return f"{type(self).__name__}(priority={self.priority})"

    @abstractmethod
    def supports_market(self, market: str) -> bool:
        """Whether this provider serves `market`, a ccxt id in lower case."""

    @abstractmethod
    def get_position(
        self, account: SnapshotRequest, asset: str, credentials: Credentials
    ) -> BalanceReport | None:
        """Read what the account holds of `asset`; None if it is not there, never an exception for that.

        Raises
        ------
        OperationalException
            If the exchange could not be read.
        """

    @abstractmethod
    def get_order(
        self, account: SnapshotRequest, order: KnownOrder, credentials: Credentials
    ) -> OrderReport | None:
        """Read the order as the exchange tells it; None if it is not there, never an exception for that.

        Raises
        ------
        OperationalException
            If the exchange could not be read.
        """

    async def fetch_snapshot(self, request: SnapshotRequest, on_progress: OnProgress) -> Snapshot:
        """Read the whole account; what fails is a leg that says so, never an exception."""
        legs: list[Leg] = []
        # Such a provider is asked by the exchange's id.
        orders = [order for order in request.known_orders if order.external_id and order.is_open]
        for done, order in enumerate(orders, start=1):
            leg = await asyncio.to_thread(self._order_leg, request, order)
            legs += [leg, *_unsupported_fills(leg)]
            on_progress(Progress(request.account, LegKind.ORDER, done, len(orders)))
        # Last, so that they are at least as new as every order that is compared with them.
        legs.append(await asyncio.to_thread(self._positions_leg, request))
        return Snapshot(request=request, legs=tuple(legs), http_requests=sum(x.pages for x in legs))

    async def test_connection(self, request: SnapshotRequest) -> ConnectionReport:
        """Read balances once and report what was learned; places and stores nothing."""
        leg = await asyncio.to_thread(self._positions_leg, request)
        return ConnectionReport(assets=len(leg.rows), http_requests=leg.pages, error=leg.error)

    async def close(self) -> None:  # noqa: B027 - most have nothing open
        """Release what was opened in the running event loop."""

    def _positions_leg(self, request: SnapshotRequest) -> Leg:
        def read() -> tuple[Row, ...]:
            return tuple(self._position(request, asset) for asset in request.assets)

        # Such a provider cannot be asked what else there is: the assets of the books are its whole world.
        return read_leg(LegKind.BALANCES, request.wallets[0], read)

    def _position(self, request: SnapshotRequest, asset: str) -> BalanceReport:
        zero = Decimal(0)
        held = self.get_position(request, asset, request.credentials)
        return held or BalanceReport(asset, free=zero, used=zero, total=zero)

    def _order_leg(self, request: SnapshotRequest, order: KnownOrder) -> Leg:
        def read() -> tuple[Row, ...]:
            report = self.get_order(request, order, request.credentials)
            if report is None:
                raise OrderUnknown(
                    f"External order not found for order {order.external_id} "
                    f"at market {request.market}. It stays as it is in the books."
                )
            return (report,)

        return read_leg(LegKind.ORDER, order.external_id, read)


def _unsupported_fills(order: Leg) -> list[Leg]:
    """Say of an order that was read that its fills cannot be had, so that nobody goes on asking for them."""
    if order.status is not LegStatus.OBSERVED:
        return []
    return [
        Leg(
            kind=LegKind.FILLS,
            subject=order.subject,
            status=LegStatus.UNSUPPORTED,
            requested_at=order.responded_at,
            responded_at=order.responded_at,
            why_incomplete="this provider tells no fills",
        )
    ]


def read_leg(kind: LegKind, subject: str, read: Callable[[], tuple[Row, ...]]) -> Leg:
    requested_at = datetime.now(UTC)
    try:
        rows = read()
    except Exception as e:  # a user's own provider may raise anything
        return Leg(
            kind=kind,
            subject=subject,
            status=LegStatus.FAILED,
            requested_at=requested_at,
            responded_at=datetime.now(UTC),
            error=leg_error(e),
            pages=1 if isinstance(e, OperationalException) else 0,
        )
    return Leg(
        kind=kind,
        subject=subject,
        status=LegStatus.OBSERVED,
        rows=rows,
        complete=True,
        requested_at=requested_at,
        responded_at=datetime.now(UTC),
        pages=1,
    )
