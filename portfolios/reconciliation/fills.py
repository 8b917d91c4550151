"""Whether two tellings of one execution agree, and what the later one adds."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from portfolios.amounts import difference, plain
from portfolios.reconciliation.execution import fees_by_asset
from providers.reports import FeeReport, FillReport

ZERO = Decimal(0)


def fill_conflict(stored: FillReport, told: FillReport) -> str:
    """Name the first fact in which `told` contradicts `stored`, both of one id; empty if there is none.

    A fee or an order that only one of them tells is no contradiction, nor is the time: endpoints tell it to the second
    or to the millisecond.
    """
    facts = (
        ("symbol", stored.symbol, told.symbol),
        ("side", stored.side.value, told.side.value),
        ("amount", plain(stored.amount), plain(told.amount)),
        ("price", plain(stored.price), plain(told.price)),
        ("cost", plain(stored.cost), plain(told.cost)),
        ("fee", _shown(stored.fees), _shown(told.fees)),
        ("order", stored.order_external_id, told.order_external_id),
    )
    for name, was, now in facts:
        if was and now and was != now:
            return f"{name} {was} is told as {now}"
    return ""


def late_fees(stored: FillReport, told: FillReport) -> tuple[FeeReport, ...]:
    """Give the fees that `told` adds to a fill stored without any; empty if it adds none."""
    return () if stored.fees else told.fees


def overfill(amount: Decimal, filled: Decimal) -> Decimal:
    """Tell how many base units are filled beyond what was ordered, >= 0."""
    return max(difference(filled, amount), ZERO)


def _shown(fees: Iterable[FeeReport]) -> str:
    """Write fees the same in whatever parts and order they are told."""
    sums = sorted(fees_by_asset(fees).items())
    return ", ".join(f"{plain(amount)} {asset}" for asset, amount in sums)
