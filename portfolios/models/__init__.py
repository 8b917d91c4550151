from __future__ import annotations

from portfolios.models.account import ExchangeAccount, MarketCredential
from portfolios.models.discrepancy import Discrepancy
from portfolios.models.flow import Flow, Quarantine, ReadCursor
from portfolios.models.incident import Incident, Occurrence
from portfolios.models.ledger import AssetBalance, LedgerEntry
from portfolios.models.order import ClaimRule, Fill, Order, OrderVersion
from portfolios.models.portfolio import Portfolio, Position
from portfolios.models.sync import LegContent, StoredLeg, SyncRun, WorkerBeat

__all__ = [
    "AssetBalance",
    "ClaimRule",
    "Discrepancy",
    "ExchangeAccount",
    "Fill",
    "Flow",
    "Incident",
    "LedgerEntry",
    "LegContent",
    "MarketCredential",
    "Occurrence",
    "Order",
    "OrderVersion",
    "Portfolio",
    "Position",
    "Quarantine",
    "ReadCursor",
    "StoredLeg",
    "SyncRun",
    "WorkerBeat",
]
