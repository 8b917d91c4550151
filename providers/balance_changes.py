"""Whether balances are other than at the last look; pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from providers.reports import BalanceReport

_ZERO: Final = Decimal(0)
_Amounts = tuple[Decimal | None, Decimal | None, Decimal | None]


def have_changed(before: Iterable[BalanceReport], now: Iterable[BalanceReport]) -> bool:
    """Compare free, used and total of every asset; one that is not told holds nothing."""
    then, told = _by_asset(before), _by_asset(now)
    nothing = (_ZERO, _ZERO, _ZERO)
    return any(
        _differ(then.get(key, nothing), told.get(key, nothing)) for key in then.keys() | told.keys()
    )


def _by_asset(rows: Iterable[BalanceReport]) -> dict[tuple[str, str], _Amounts]:
    return {(row.wallet, row.asset): (row.free, row.used, row.total) for row in rows}


def _differ(before: _Amounts, now: _Amounts) -> bool:
    """Compare what both tell: an amount that is unknown at one time shows no movement."""
    return any(
        old is not None and new is not None and old != new
        for old, new in zip(before, now, strict=True)
    )
