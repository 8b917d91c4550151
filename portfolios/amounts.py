"""Exact arithmetic and the one written form of amounts.

Nothing here trusts the thread's decimal context: ccxt changes its rounding and traps, and Python's
default of 28 digits rounds sums.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Hashable, Iterable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Final, TypeVar

Key = TypeVar("Key", bound=Hashable)

# A cost is the product of two amounts of 36 digits with 18 decimals.
MAX_DIGITS: Final = 72
MAX_DECIMALS: Final = 36

# Enough for the product of any two amounts and for the sum of more of them than fit on a disk.
_PRECISION: Final = 160
_MAX_TEXT: Final = 200
_LAST_DECIMAL: Final = Decimal("1e-18")
# Copied by whoever opens it: to make one takes longer than most of what is reckoned in it.
_EXACT: Final = decimal.Context(
    prec=_PRECISION,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=decimal.MIN_EMIN,
    Emax=decimal.MAX_EMAX,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[
        decimal.Inexact,
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
        decimal.FloatOperation,
    ],
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def exact() -> AbstractContextManager[decimal.Context]:
    """Open a decimal context in which what would round raises.

    Raises
    ------
    decimal.Inexact
        If a result needs more than 160 digits, such as that of most divisions.
    decimal.FloatOperation
        If a float is mixed in.
    """
    return decimal.localcontext(_EXACT)


def amount(value: str | int | Decimal) -> Decimal:
    """Read an amount exactly.

    Raises
    ------
    TypeError
        If `value` is a float, which has lost digits already, or anything else that is no amount.
    ValueError
        If `value` is no finite number, or longer than `MAX_DIGITS` with `MAX_DECIMALS`.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise TypeError(
            f"Expected an amount as text, int or Decimal, was a {type(value).__name__}."
        )
    if isinstance(value, str):
        value = value.strip()
        if len(value) > _MAX_TEXT or not _NUMBER.fullmatch(value):
            raise ValueError(f"Expected a number, was {value[:_MAX_TEXT]!r}.")
    with exact():
        number = Decimal(value)
    text = _fitting(number)
    if text is None:
        raise ValueError(
            f"Expected a number of at most {MAX_DIGITS} digits, {MAX_DECIMALS} of them decimals, "
            f"was {str(number)[:_MAX_TEXT]}."
        )
    return Decimal(text)


def _fitting(number: Decimal) -> str | None:
    """Write `number` plainly; None if it has too many digits."""
    if number and not -MAX_DECIMALS <= number.adjusted() < MAX_DIGITS:
        return None
    text = plain(number)
    whole, _, decimals = text.partition(".")
    digits = len(whole.lstrip("-0")) + len(decimals)
    return text if len(decimals) <= MAX_DECIMALS and digits <= MAX_DIGITS else None


def plain(value: Decimal) -> str:
    """Write `value` without exponent, trailing zeros and the sign of zero: one text a number.

    Raises
    ------
    ValueError
        If `value` is NaN or infinite.
    """
    if not value.is_finite():
        raise ValueError(f"Expected a finite number, was {value}.")
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    with exact():
        return sum(values, Decimal(0))


def sums_by(pairs: Iterable[tuple[Key, Decimal]]) -> dict[Key, Decimal]:
    """Sum the amounts of each key exactly, holding no more than the sums."""
    sums: dict[Key, Decimal] = {}
    with exact():
        for key, number in pairs:
            sums[key] = sums.get(key, Decimal(0)) + number
    return sums


def difference(left: Decimal, right: Decimal) -> Decimal:
    """Subtract `right` from `left` exactly."""
    with exact():
        return left - right


def exact_mul(a: Decimal, b: Decimal) -> Decimal:
    with exact():
        return a * b


def ratio_of(value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Give the share of `value` that `part` is of `whole`, rounded half-even to 18 decimals.

    All of `whole` takes exactly `value`. 18 decimals, not 36: the result may be multiplied again.
    """
    if part == whole:
        return value
    with exact() as context:
        context.traps[decimal.Inexact] = False
        quotient = value * part / whole
        return quotient.quantize(_LAST_DECIMAL)
