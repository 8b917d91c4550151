from __future__ import annotations

from portfolios.models.account import ExchangeAccount, MarketCredential
from portfolios.models.discrepancy import Discrepancy
from portfolios.models.incident import Incident, Occurrence
from portfolios.models.ledger import AssetBalance, LedgerEntry
from portfolios.models.order import Fill, Order
from portfolios.models.portfolio import Portfolio, Position
from portfolios.models.sync import LegContent, StoredLeg, SyncRun, WorkerBeat

__all__ = [
    "AssetBalance",
    "Discrepancy",
    "ExchangeAccount",
    "Fill",
    "Incident",
    "LedgerEntry",
    "LegContent",
    "MarketCredential",
    "Occurrence",
    "Order",
    "Portfolio",
    "Position",
    "StoredLeg",
    "SyncRun",
    "WorkerBeat",
]
