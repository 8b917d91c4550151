"""What the books say, without what a run that was repeated may differ in: row numbers, and the times of runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set
from decimal import Decimal

from django.db.models import Model

from portfolios.amounts import exact_sum, plain
from portfolios.models import (
    AssetBalance,
    Discrepancy,
    DiscrepancyEvent,
    ExchangeAccount,
    Fill,
    Flow,
    Incident,
    JudgedContent,
    JudgedSnapshot,
    LedgerEntry,
    LegContent,
    Order,
    OrderVersion,
    Portfolio,
    PortfolioSnapshot,
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
    Quarantine,
    AssetBalance,
    Discrepancy,
)
# Row numbers, also those in keys; when something was written, and how often it was seen.
LEFT_OUT = frozenset(
    {
        *("id", "key", "run", "state", "times_seen"),
        *("booked_at", "created_at", "joined_at", "observed_at", "newest_at", "last_counted_at"),
        *("first_seen", "last_seen", "opened_at", "resolved_at", "stale_since"),
        *("initialized_at", "replaced_at", "told_at"),
    }
)
# With how far a run says that it is, which nobody but a page reads.
TIMES_OF_RUNS = frozenset(
    {
        *("stage", "progress_done", "progress_total", "uuid"),
        *("baseline_at", "baseline_booked_at", "baseline_settled_at", "verified_at"),
        *(
            "full_read_at",
            "seldom_read_at",
            "moved_at",
            "next_sync_at",
            "at",
            "taken_at",
            "confirmed_at",
        ),
        *("window_low", "window_high", "seen_at", "settled_at"),
        *("lease_expires_at", "queued_at", "started_at", "finished_at", "covered_until"),
        *("applying_at", "judging_at", "disturbed_at"),
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


# Another look is one more, and no other fact.
LOOKS = ("fills_wanted", "missing_since", "strikes", "last_strike_at")
# Of these a killed run leaves more or less, and a healed one more than one that was not killed.
OF_RUNS: tuple[type[Model], ...] = (
    ExchangeAccount,
    ReadCursor,
    SyncRun,
    StoredLeg,
    LegContent,
    JudgedSnapshot,
    JudgedContent,
    PortfolioSnapshot,
    DiscrepancyEvent,
    Incident,
)


def books(kept: Iterable[type[Model]] = KEPT, *, without: Iterable[str] = ()) -> Books:
    """List the rows of each model, in an order of their own, without the fields named."""
    left_out = LEFT_OUT | set(without)
    return {model.__name__: _rows(model, left_out) for model in kept}


def everything_left() -> Books:
    """Tell all of the books, and how far the last run came."""
    return books() | books(OF_RUNS, without=TIMES_OF_RUNS)


def covered() -> dict[str, str]:
    """Tell how far each list was read, in a form that sorts as time does."""
    rows = ReadCursor.objects.values_list("kind", "subject", "covered_until")
    return {f"{kind} {subject}": until.isoformat() for kind, subject, until in rows}


def _rows(model: type[Model], left_out: Set[str]) -> list[list[str]]:
    names = [field.name for field in model._meta.concrete_fields if field.name not in left_out]
    rows = model._default_manager.values_list(*(NAMES.get(name, name) for name in names))
    return sorted(
        [f"{name}={value}" for name, value in zip(names, row, strict=True)] for row in rows
    )


def amounts(without: Iterable[str] = LOOKS) -> Books:
    """Tell what does not depend on when the books learnt of it, as the cost of what is sold does."""
    facts = books((Order, Fill, Flow), without=without)
    sums: defaultdict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
    rows = LedgerEntry.objects.values_list(
        "portfolio__name", "asset", "order__external_id", "amount"
    )
    for owner, asset, order, amount in rows:
        sums[str(owner), asset, str(order)].append(amount)
    totals = {key: plain(exact_sum(values)) for key, values in sums.items()}
    positions = Position.objects.values_list("portfolio__name", "asset", "amount", "reserved")
    return facts | {
        "ledger": sorted([*key, total] for key, total in totals.items() if total != "0"),
        "positions": sorted(
            [str(owner), asset, plain(amount), plain(reserved)]
            for owner, asset, amount, reserved in positions
            if amount or reserved
        ),
    }
