"""Whether the books agree with the exchange on one asset."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from portfolios.amounts import difference
from providers.reports import BalanceReport

ZERO = Decimal(0)
NEW_ASSET = "new asset"
VANISHED = "vanished"
UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`residual` = total - expected, in units of the asset; None where it could not be judged, with the reason."""

    total: Decimal | None
    expected: Decimal
    residual: Decimal | None
    reason: str = ""

    @property
    def agrees(self) -> bool:
        return self.residual == 0


def judgement(expected: Decimal, reported: BalanceReport | None) -> Judgement:
    """Compare what the books expect with what a complete read reports; an asset it does not list is none held."""
    total = ZERO if reported is None else reported.total
    if total is None:
        return Judgement(None, expected, None, reason="total not reported")
    return Judgement(total, expected, difference(total, expected))


def balance_cause(judged: Judgement, *, known_before: bool) -> str:
    """Name the kind of difference, as far as the two numbers tell.

    Parameters
    ----------
    known_before : bool
        Whether the asset has agreed at an earlier look.
    """
    if not known_before and not judged.expected:
        return NEW_ASSET
    if judged.expected > 0 and not judged.total:
        return VANISHED
    return UNEXPLAINED
