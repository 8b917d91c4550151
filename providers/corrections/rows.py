"""What corrections are made of: raw rows, exact sums, fees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any, Final

from providers.mapping import EXACT, Raw, base_and_quote, exact

Changes = dict[str, Any]
Correction = Callable[[Raw, Raw], Changes]
_AVERAGE: Final = Context(prec=400, rounding=ROUND_DOWN)
_AVERAGE_STEP: Final = Decimal("1e-18")


def find_in(table: Mapping[str, Any], family: Sequence[str]) -> Any:
    return next((table[market] for market in family if market in table), None)


def text(raw: Raw, name: str) -> str | None:
    value = raw.get(name)
    return None if value is None or value == "" else str(value)


def average_price(cost: Any, amount: Any) -> Decimal | None:
    spent, bought = exact(cost), exact(amount)
    if spent is None or not bought:
        return None
    return _AVERAGE.quantize(_AVERAGE.divide(spent, bought), _AVERAGE_STEP)


def difference(whole: Any, part: Any) -> Decimal | None:
    first, second = exact(whole), exact(part)
    return None if first is None or second is None else EXACT.subtract(first, second)


def total(rows: Iterable[Raw], name: str) -> Decimal | None:
    total = Decimal(0)
    for row in rows:
        value = exact(row.get(name))
        if value is None:
            return None
        total = EXACT.add(total, value)
    return total


def magnitude(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.copy_abs()


def negated(value: Any) -> Decimal | None:
    amount = exact(value)
    return None if amount is None else EXACT.minus(amount)


def only_fee(asset: str | None, amount: Any) -> Changes:
    """Replace all fees by one; without asset or amount there is none."""
    fees = [] if not asset or amount is None else [{"currency": asset, "cost": amount}]
    return {"fee": None, "fees": fees}


def luno_fees(raw: Raw, told: Raw) -> Changes:
    # ccxt looks at one of the two and forgets the other, whichever was charged.
    base, quote = base_and_quote(str(told.get("symbol")))
    fees = [
        {"currency": asset, "cost": text(raw, name)}
        for asset, name in ((base, "fee_base"), (quote, "fee_counter"))
    ]
    return {"fee": None, "fees": fees}
