"""What a decision must have booked, read from nothing but what the person gave."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from portfolios.amounts import sums_by
from portfolios.models import Decision, LedgerEntry

Kind = Decision.Kind
# These always book something by themselves.
BOOKING: Final = (Kind.ASSIGN_FLOW, Kind.ADJUST, Kind.REBASELINE, Kind.ACCEPT_OPENING)
Cause = LedgerEntry.Cause
# What no fact can cause, but a person's decision alone.
DECIDED: Final = (Cause.ASSIGNMENT, Cause.ADJUSTMENT, Cause.REBASELINE)
_Effect = tuple[tuple[int | None, str], Decimal]


def booked_by(decision: Decision) -> dict[tuple[int | None, str], Decimal]:
    """Sum by owner and asset what `decision` must have booked; a reversal books the opposite of what it reverses."""
    if decision.kind == Kind.REVERSE and decision.reverses is not None:
        done = booked_by(decision.reverses)
        return {key: amount.copy_negate() for key, amount in done.items()}
    return sums_by(_effects(decision))


def _effects(decision: Decision) -> Iterator[_Effect]:
    given = decision.given
    if decision.kind == Kind.ADJUST:
        yield (given["portfolio"], given["asset"]), Decimal(given["amount"])
    elif decision.kind == Kind.REBASELINE:
        for asset, amount in given["residuals"].items():
            yield (None, asset), Decimal(amount)
    elif decision.kind == Kind.ASSIGN_FLOW:
        for share in given["shares"]:
            yield from _moved(share["portfolio"], share["asset"], share["amount"])
    elif decision.kind == Kind.ACCEPT_OPENING:
        moved = _moved(given["portfolio"], given["asset"], given["amount"])
        yield from moved if _had_baseline(decision) else moved[:1]


def _had_baseline(decision: Decision) -> bool:
    """Whether the unassigned part held by then what the portfolio was opened with."""
    last = decision.account.baseline_last_entry
    return last is not None and not decision.ledger_entries.filter(pk__lte=last).exists()


def _moved(owner: int, asset: str, amount: str) -> list[_Effect]:
    number = Decimal(amount)
    return [((owner, asset), number), ((None, asset), number.copy_negate())]
