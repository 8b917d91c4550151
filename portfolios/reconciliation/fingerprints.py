"""What a person dismissed or acknowledged, so that a later look can tell whether it still is that."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from portfolios.amounts import plain


@dataclass(frozen=True, slots=True)
class Extent:
    """Between which amounts a difference lies; both are the same where it is exact, and None where it has none."""

    low: Decimal | None
    high: Decimal | None

    def meets(self, other: Extent) -> bool:
        """Whether both can be the same difference."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return (self.low, self.high) == (other.low, other.high)
        return self.low <= other.high and other.low <= self.high

    def exceeds(self, limit: Decimal | None) -> bool:
        """Whether it is beyond doubt larger than `limit`, or on the other side; without a limit never."""
        if limit is None or self.low is None or self.high is None:
            return False
        if limit < 0:
            return self.high < limit or self.low > 0
        return self.low > limit or self.high < 0


def fingerprint(code: str, extent: Extent) -> str:
    """Name a difference: "BALANCE_SHORT -3..-2", at most 200 characters; without amounts the code alone."""
    if extent.low is None or extent.high is None:
        return code
    return f"{code} {plain(extent.low)}..{plain(extent.high)}"


def is_same(text: str, code: str, extent: Extent) -> bool:
    """Whether `text`, made by `fingerprint`, can name this difference too. Empty names none."""
    named, _, amounts = text.partition(" ")
    return named == code and _extent(amounts).meets(extent)


def _extent(amounts: str) -> Extent:
    if not amounts:
        return Extent(None, None)
    low, _, high = amounts.partition("..")
    return Extent(Decimal(low), Decimal(high))
