"""Reads that are too strange to be believed at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from portfolios.amounts import exact_sum

ZERO = Decimal(0)
_NOTHING: Final[Mapping[str, Decimal]] = MappingProxyType({})
_MANY: Final = 3
# The first look and two further ones that say the same.
_PROOF: Final = 3


def implausible_balances(
    before: Mapping[str, Decimal],
    told: Mapping[str, Decimal],
    explained: Mapping[str, Decimal] = _NOTHING,
) -> str:
    """Say why a complete read of balances is not to be believed; empty if it is.

    All assets gone at once, or at least three that are at least half of them, unless every one of these has left by
    what is booked.

    Parameters
    ----------
    before, told : Mapping of str to Decimal
        Totals by asset; an asset that is missing is none held.
    explained : Mapping of str to Decimal
        Signed changes since `before` that the exchange's own records explain.
    """
    held = [asset for asset, total in before.items() if total]
    gone = [asset for asset in held if not told.get(asset, ZERO)]
    is_most = len(gone) >= _MANY and 2 * len(gone) >= len(held)
    if not gone or not (is_most or len(gone) == len(held)):
        return ""
    if all(exact_sum((before[asset], explained.get(asset, ZERO))) == 0 for asset in gone):
        return ""
    return f"{len(gone)} of {len(held)} assets are gone at once: {', '.join(sorted(gone))}"


def implausible_orders(known_open: int, listed: int) -> str:
    """Say why a list of open orders is not to be believed: it is empty where the books hold three or more."""
    if listed or known_open < _MANY:
        return ""
    return f"no order is listed, {known_open} were open"


def confirmation(
    times_seen: int, digest_equal: bool, since_last: timedelta, grace: timedelta
) -> tuple[int, bool]:
    """Count one more implausible look, and tell whether it is to be believed now.

    Parameters
    ----------
    times_seen : int
        Looks counted so far, the first one included.
    digest_equal : bool
        Whether this look says what those said; otherwise it is the first of its own.
    since_last : timedelta
        Since the last look that was counted; one earlier than `grace` after it is not.
    """
    if not digest_equal:
        return 1, False
    if since_last >= grace:
        times_seen += 1
    return times_seen, times_seen >= _PROOF
