from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.functional import Promise

from portfolios.amounts import sums_by
from portfolios.models import Decision, Discrepancy
from portfolios.selectors.decisions import SENTENCES
from portfolios.services.decisions.bulk import Selection
from portfolios.services.lapses import released_by_lapse

Kind = Decision.Kind
# What each makes of a row.
_AFTER = {
    Kind.ACKNOWLEDGE: Discrepancy.State.ACKNOWLEDGED,
    Kind.DISMISS: Discrepancy.State.DISMISSED,
    Kind.REOPEN: Discrepancy.State.OPEN,
    Kind.ACCEPT_LAPSE: Discrepancy.State.RESOLVED,
}


@dataclass(frozen=True, slots=True)
class AssetSum:
    asset: str
    rows: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ChosenRow:
    """One row before and after the decision.

    Parameters
    ----------
    asset, amount : str, Decimal or None
        What differs; of a lapse what is available again. None where the row has no amount.
    """

    row: Discrepancy
    after: str
    asset: str
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a decision on many rows would do.

    Parameters
    ----------
    sums : list of AssetSum
        Exactly what the rows with an amount come to, asset by asset.
    """

    rows: list[ChosenRow]
    sums: list[AssetSum]
    sentence: str | Promise
    is_lapse: bool

    @property
    def without_amount(self) -> int:
        return sum(row.amount is None for row in self.rows)


def chosen(selection: Selection) -> Chosen:
    rows = [_chosen_row(selection.kind, row) for row in selection.fitting]
    return Chosen(rows, _sums(rows), SENTENCES[selection.kind], selection.kind == Kind.ACCEPT_LAPSE)


def _chosen_row(kind: Decision.Kind, row: Discrepancy) -> ChosenRow:
    if kind == Kind.ACCEPT_LAPSE and row.order is not None:
        return ChosenRow(row, _AFTER[kind], *released_by_lapse(row.order))
    return ChosenRow(row, _AFTER[kind], row.asset, row.difference if row.asset else None)


def _sums(rows: Sequence[ChosenRow]) -> list[AssetSum]:
    amounts = [(row.asset, row.amount) for row in rows if row.amount is not None]
    counts = Counter(asset for asset, _amount in amounts)
    return [
        AssetSum(asset, counts[asset], total) for asset, total in sorted(sums_by(amounts).items())
    ]
