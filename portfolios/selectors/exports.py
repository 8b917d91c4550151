"""Every list whole, row by row: what the exports stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.amounts import plain
from portfolios.models import (
    AssetBalance,
    Decision,
    Discrepancy,
    ExchangeAccount,
    Fill,
    Flow,
    Incident,
    LedgerEntry,
    Order,
    Position,
    SyncRun,
)
from portfolios.selectors.audit import audit_rows
from portfolios.selectors.report import (
    Row,
    balance_row,
    discrepancy_row,
    incident_row,
    order_row,
    position_row,
    run_row,
    time_text,
)

_ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Export:
    """One list that can be exported.

    Parameters
    ----------
    rows : callable
        All rows of it, in the order in which they came.
    row : callable
        One of them as plain values.
    """

    word: str | Promise
    rows: Callable[[], QuerySet[Any]]
    row: Callable[[Any], Row]


@dataclass(frozen=True, slots=True)
class MergedExport:
    """A list that is merged from several tables.

    Parameters
    ----------
    merged : callable
        All rows as plain values, or those of an account.
    permission : str
        What somebody must be allowed who reads the list.
    """

    word: str | Promise
    merged: Callable[[ExchangeAccount | None], Iterator[Row]]
    permission: str


def exported(export: Export | MergedExport, account: ExchangeAccount | None) -> Iterator[Row]:
    """Read the rows of `account`, or of all, a few hundred at a time."""
    if isinstance(export, MergedExport):
        return export.merged(account)
    rows = export.rows().order_by("pk")
    if account is not None:
        rows = rows.filter(account=account)
    return map(export.row, rows.iterator(chunk_size=_ROWS_AT_ONCE))


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
    }


def _owned_position_row(position: Position) -> Row:
    owner = position.portfolio.name if position.portfolio else None
    return {"account": position.account.label, "portfolio": owner} | position_row(position)


EXPORTS: Final[Mapping[str, Export]] = {
    "balances": Export(
        _("Balances"), lambda: AssetBalance.objects.select_related("account"), balance_row
    ),
    "positions": Export(
        _("Positions"),
        lambda: Position.objects.select_related("account", "portfolio"),
        _owned_position_row,
    ),
    "orders": Export(
        _("Orders"), lambda: Order.objects.select_related("account", "portfolio"), order_row
    ),
    "fills": Export(
        _("Fills"), lambda: Fill.objects.select_related("account", "order__portfolio"), fill_row
    ),
    "flows": Export(_("Flows"), lambda: Flow.objects.select_related("account"), flow_row),
    "ledger": Export(
        _("Ledger"),
        lambda: LedgerEntry.objects.select_related("account", "portfolio", "order", "fill", "flow"),
        entry_row,
    ),
    "discrepancies": Export(
        _("Discrepancies"),
        lambda: Discrepancy.objects.select_related("account", "portfolio", "order"),
        discrepancy_row,
    ),
    "decisions": Export(
        _("Decisions"), lambda: Decision.objects.select_related("account"), decision_row
    ),
    "exceptions": Export(
        _("Exceptions"), lambda: Incident.objects.select_related("account"), incident_row
    ),
    "runs": Export(
        _("Runs"),
        lambda: SyncRun.objects.select_related("account").prefetch_related("legs"),
        run_row,
    ),
}
MERGED: Final[Mapping[str, MergedExport]] = {
    "audit": MergedExport(_("Audit"), audit_rows, "portfolios.view_auditevent"),
}


def find_export(name: str) -> Export | MergedExport | None:
    return EXPORTS.get(name) or MERGED.get(name)
