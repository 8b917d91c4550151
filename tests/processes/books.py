"""What the books say, without what a run that was repeated may differ in: row numbers, and the times of runs."""

from __future__ import annotations

from django.db.models import Model

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Fill,
    Flow,
    Incident,
    LedgerEntry,
    LegContent,
    Order,
    OrderVersion,
    Portfolio,
    Position,
    Quarantine,
    ReadCursor,
    StoredLeg,
    SyncRun,
)

Books = dict[str, list[list[str]]]
KEPT: tuple[type[Model], ...] = (
    Portfolio,
    Order,
    OrderVersion,
    Fill,
    Flow,
    LedgerEntry,
    Position,
    ReadCursor,
    Quarantine,
    AssetBalance,
    Discrepancy,
)
# Row numbers, and when something was written; the keys of discrepancies and of the ledger hold row numbers.
LEFT_OUT = frozenset(
    {
        *("id", "key", "run", "times_seen"),
        *("booked_at", "created_at", "joined_at", "observed_at", "first_seen", "last_seen"),
        *("opened_at", "resolved_at", "initialized_at", "covered_until", "last_counted_at"),
    }
)
TIMES_OF_RUNS = frozenset(
    {
        *("uuid", "baseline_at", "verified_at", "full_read_at", "moved_at", "next_sync_at"),
        *("lease_expires_at", "queued_at", "started_at", "finished_at"),
        *("requested_at", "responded_at", "since", "until", "clock_offset"),
    }
)
NAMES = {
    "account": "account__label",
    "portfolio": "portfolio__name",
    "order": "order__external_id",
    "fill": "fill__external_id",
    "flow": "flow__external_id",
}


# Of these a killed run leaves more or less, and a healed one more than one that was not killed.
OF_RUNS: tuple[type[Model], ...] = (ExchangeAccount, SyncRun, StoredLeg, LegContent, Incident)


def books() -> Books:
    return {model.__name__: _rows(model) for model in KEPT}


def everything_left() -> Books:
    """The books, and what tells the next run how far the last one came."""
    return books() | {model.__name__: _rows(model) for model in OF_RUNS}


def covered() -> list[str]:
    """How far each list was read, in a form that sorts as time does."""
    cursors = ReadCursor.objects.order_by("account", "kind", "subject")
    return [until.isoformat() for until in cursors.values_list("covered_until", flat=True)]


def _rows(model: type[Model]) -> list[list[str]]:
    fields = (field.name for field in model._meta.concrete_fields)
    names = [name for name in fields if name not in LEFT_OUT and name not in TIMES_OF_RUNS]
    rows = model._default_manager.values_list(*(NAMES.get(name, name) for name in names))
    return sorted(
        [f"{name}={value}" for name, value in zip(names, row, strict=True)] for row in rows
    )
