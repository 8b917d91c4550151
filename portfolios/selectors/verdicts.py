from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portfolios.amounts import amount
from portfolios.models import JudgedSnapshot
from portfolios.services.judged_contents import recomputed


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """What was said of one asset of one wallet.

    Parameters
    ----------
    effects : tuple of Decimal
        What was booked about the time of the read, so that it may or may not have shown in it.
    """

    wallet: str
    asset: str
    verdict: str
    reason: str
    expected: Decimal | None
    total: Decimal | None
    residual: Decimal | None
    low: Decimal | None
    high: Decimal | None
    tolerance: Decimal | None
    effects: tuple[Decimal, ...]

    @property
    def is_wide(self) -> bool:
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class VerdictsPage:
    """The verdicts on what one run read.

    Parameters
    ----------
    is_reproduced : bool
        Whether legs, ledger and effects of then, judged again, give the same bytes.
    """

    snapshot: JudgedSnapshot
    rows: list[PastVerdict]
    is_reproduced: bool


def verdicts_page(snapshot: JudgedSnapshot) -> VerdictsPage:
    rows, stored = past_verdicts(snapshot), _stored(snapshot)
    return VerdictsPage(snapshot, rows, is_reproduced=recomputed(snapshot) == stored)


def past_verdicts(snapshot: JudgedSnapshot) -> list[PastVerdict]:
    return [
        _past_verdict(wallet, asset, row)
        for wallet, assets in _stored(snapshot).items()
        for asset, row in assets.items()
    ]


def _stored(snapshot: JudgedSnapshot) -> dict[str, dict[str, Any]]:
    return snapshot.content.rows if snapshot.content else {}


def _past_verdict(wallet: str, asset: str, row: dict[str, Any]) -> PastVerdict:
    numbers = ("expected", "total", "residual", "low", "high", "tolerance")
    return PastVerdict(
        wallet=wallet,
        asset=asset,
        verdict=row["verdict"],
        reason=row["reason"],
        effects=tuple(amount(effect[1]) for effect in row.get("effects", ())),
        **{name: None if row[name] is None else amount(row[name]) for name in numbers},
    )
