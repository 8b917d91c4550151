from __future__ import annotations

from portfolios.models.account import ExchangeAccount, MarketCredential
from portfolios.models.audit import AuditEvent
from portfolios.models.balance import AssetBalance, AssetRule, JudgedContent, JudgedSnapshot
from portfolios.models.decision import Decision
from portfolios.models.discrepancy import Discrepancy, DiscrepancyEvent
from portfolios.models.flow import Flow, Quarantine, ReadCursor
from portfolios.models.incident import Incident, Occurrence
from portfolios.models.ledger import LedgerEntry
from portfolios.models.order import ClaimRule, Fill, Order, OrderVersion
from portfolios.models.portfolio import Portfolio, PortfolioSnapshot, Position
from portfolios.models.resilience import CircuitBreaker, RateBudget
from portfolios.models.sign_in import SignInAttempt
from portfolios.models.sync import HostClock, LegContent, StoredLeg, SyncRun, WorkerBeat
from portfolios.models.token import ApiToken

__all__ = [
    "ApiToken",
    "AssetBalance",
    "AssetRule",
    "AuditEvent",
    "CircuitBreaker",
    "ClaimRule",
    "Decision",
    "Discrepancy",
    "DiscrepancyEvent",
    "ExchangeAccount",
    "Fill",
    "Flow",
    "HostClock",
    "Incident",
    "JudgedContent",
    "JudgedSnapshot",
    "LedgerEntry",
    "LegContent",
    "MarketCredential",
    "Occurrence",
    "Order",
    "OrderVersion",
    "Portfolio",
    "PortfolioSnapshot",
    "Position",
    "Quarantine",
    "RateBudget",
    "ReadCursor",
    "SignInAttempt",
    "StoredLeg",
    "SyncRun",
    "WorkerBeat",
]
