"""What the report leaves out, as plain values: facts, decisions, history, reads. Amounts and times as in the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from portfolios.amounts import plain
from portfolios.models import (
    Decision,
    Discrepancy,
    DiscrepancyEvent,
    ExchangeAccount,
    Fill,
    Flow,
    Incident,
    LedgerEntry,
    Occurrence,
    PortfolioSnapshot,
    Position,
    StoredLeg,
)
from portfolios.selectors.coverage import Coverage
from portfolios.selectors.ownership import Ownership
from portfolios.selectors.portfolio_history import valued
from portfolios.selectors.report import (
    Row,
    discrepancy_row,
    incident_row,
    position_row,
    time_text,
)
from portfolios.selectors.standings import Standing
from portfolios.selectors.verdicts import PastVerdict
from portfolios.services.schedules import schedule_of, upcoming
from providers.reports import LegStatus

NEXT_RUNS: Final = 5


def text_of(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def standing_rows(found: Sequence[Standing]) -> Iterator[Row]:
    """Tell how accounts stand; their times, which a standing leaves out, are read here."""
    rows = ExchangeAccount.objects.filter(pk__in=[standing.pk for standing in found]).order_by()
    times = {pk: moments for pk, *moments in rows.values_list("pk", "verified_at", "next_sync_at")}
    for standing in found:
        verified_at, next_sync_at = times.get(standing.pk, (None, None))
        yield {
            "label": standing.label,
            "market": standing.market,
            "health": standing.health.value,
            "state": standing.state.value,
            "differences": standing.differences,
            "failures": standing.failures,
            "verified_at": time_text(verified_at),
            "next_sync_at": time_text(next_sync_at),
        }


def schedule_row(account: ExchangeAccount, now: datetime) -> Row:
    """Tell when an account is synced; one that is paused is not at all."""
    planned = account.next_sync_at or now
    times = [] if account.paused else upcoming(schedule_of(account), planned, now, NEXT_RUNS)
    return {
        "account": account.label,
        "paused": account.paused,
        "interval_seconds": account.interval_seconds,
        "cron": account.cron or None,
        "time_zone": account.time_zone,
        "next_runs": [time_text(moment) for moment in times],
    }


def fill_row(fill: Fill) -> Row:
    return {
        "account": fill.account.label,
        "portfolio": fill.order.portfolio.name if fill.order and fill.order.portfolio else None,
        "external_id": fill.external_id,
        "order": fill.order_external_id or None,
        "symbol": fill.symbol,
        "side": fill.side,
        "price": plain(fill.price),
        "amount": plain(fill.amount),
        "cost": plain(fill.cost),
        "fees": fill.fees,
        "executed_at": time_text(fill.executed_at),
    }


def flow_row(flow: Flow) -> Row:
    return {
        "account": flow.account.label,
        "kind": flow.kind,
        "external_id": flow.external_id,
        "wallet": flow.wallet,
        "asset": flow.asset,
        "amount": plain(flow.amount),
        "fees": flow.fees,
        "status": flow.status or None,
        "occurred_at": time_text(flow.occurred_at),
        "settled_at": time_text(flow.settled_at),
    }


def entry_row(entry: LedgerEntry) -> Row:
    return {
        "account": entry.account.label,
        "portfolio": entry.portfolio.name if entry.portfolio else None,
        "asset": entry.asset,
        "amount": plain(entry.amount),
        "cost": plain(entry.cost),
        "gain": plain(entry.gain),
        "cause": entry.cause,
        "order": (entry.order.external_id or entry.order.client_order_id) if entry.order else None,
        "fill": entry.fill.external_id if entry.fill else None,
        "flow": entry.flow.external_id if entry.flow else None,
        "run": entry.run_id,
        "booked_at": time_text(entry.booked_at),
    }


def owned_position_row(position: Position) -> Row:
    owner = position.portfolio.name if position.portfolio else None
    return {"account": position.account.label, "portfolio": owner} | position_row(position)


def share_rows(account: ExchangeAccount, owned: Iterable[Ownership]) -> Iterator[Row]:
    """Give one row for each part of an asset; the part of nobody has no portfolio."""
    for one in owned:
        for share in one.shares:
            yield {
                "account": account.label,
                "asset": one.asset,
                "portfolio": share.portfolio.name if share.portfolio else None,
                "amount": plain(share.amount),
                "reserved": plain(share.reserved),
                "total": plain(one.total),
            }


def snapshot_row(snapshot: PortfolioSnapshot) -> Row:
    portfolio = snapshot.portfolio
    return {
        "id": snapshot.pk,
        "portfolio": portfolio.name,
        "taken_at": time_text(snapshot.taken_at),
        "confirmed_at": time_text(snapshot.confirmed_at),
        "unallocated": text_of(snapshot.unallocated),
        "pending": text_of(snapshot.pending),
        "net_size": text_of(snapshot.net_size),
        "value_at_cost": text_of(valued(snapshot, portfolio.trading_symbol).value),
        "positions": snapshot.positions,
    }


def numbered_discrepancy_row(discrepancy: Discrepancy) -> Row:
    return {"id": discrepancy.pk} | discrepancy_row(discrepancy)


def event_row(event: DiscrepancyEvent) -> Row:
    """Give one turn of a discrepancy; either a run saw it, or somebody decided it, or neither."""
    return {
        "episode": event.episode,
        "before": event.before or None,
        "after": event.after,
        "difference": text_of(event.difference),
        "reason": event.reason or None,
        "run": event.run_id,
        "decision": event.decision_id,
        "by": event.decision.actor_name or None if event.decision else None,
        "at": time_text(event.at),
    }


def decision_row(decision: Decision) -> Row:
    return {
        "id": decision.pk,
        "account": decision.account.label,
        "kind": decision.kind,
        "subject": decision.subject,
        "reason": decision.reason or None,
        "by": decision.actor_name or None,
        "reverses": decision.reverses_id,
        "at": time_text(decision.at),
        "changes": decision.changes,
    }


def numbered_incident_row(incident: Incident) -> Row:
    return {"id": incident.pk} | incident_row(incident)


def occurrence_row(occurrence: Occurrence) -> Row:
    return {
        "id": occurrence.pk,
        "run": occurrence.run_id,
        "subject": occurrence.subject or None,
        "message": occurrence.message,
        "trace": occurrence.trace or None,
        "occurred_at": time_text(occurrence.occurred_at),
    }


def leg_row(leg: StoredLeg) -> Row:
    is_read = leg.status == LegStatus.OBSERVED
    return {
        "kind": leg.kind,
        "subject": leg.subject or None,
        "status": leg.status,
        "complete": leg.complete,
        "why_incomplete": leg.why_incomplete or None,
        "error": leg.error_message or None,
        "rows": leg.row_count if is_read else None,
        "pages": leg.pages,
        "requested_at": time_text(leg.requested_at),
        "responded_at": time_text(leg.responded_at),
    }


def coverage_rows(account: ExchangeAccount, coverage: Coverage) -> Iterator[Row]:
    """Put what was not read, what is not believed yet and how far the lists were read under one another."""
    parts: Mapping[str, Iterable[Any]] = {
        "hole": coverage.holes,
        "quarantine": coverage.quarantines,
        "cursor": coverage.cursors,
    }
    for what, found in parts.items():
        for one in found:
            yield {"account": account.label, "what": what} | _coverage_row(one)


def _coverage_row(one: Any) -> Row:
    why = getattr(one, "why_incomplete", "") or getattr(one, "error_message", "")
    return {
        "kind": one.kind,
        "subject": one.subject or None,
        "status": getattr(one, "status", None),
        "why": why or None,
        "times_seen": getattr(one, "times_seen", None),
        "last_seen": time_text(getattr(one, "last_counted_at", None)),
        "covered_until": time_text(getattr(one, "covered_until", None)),
    }


def verdict_row(said: PastVerdict) -> Row:
    return {
        "wallet": said.wallet,
        "asset": said.asset,
        "verdict": said.verdict,
        "reason": said.reason or None,
        "expected": text_of(said.expected),
        "total": text_of(said.total),
        "residual": text_of(said.residual),
        "residual_low": text_of(said.low),
        "residual_high": text_of(said.high),
        "tolerance": text_of(said.tolerance),
        "effects": [plain(effect) for effect in said.effects],
    }
