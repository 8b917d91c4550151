"""What the answer to a read of balances does not tell, although ccxt goes on as if it did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from providers.corrections.rows import find_in, text
from providers.mapping import Raw

# Of these parts each has to be told, or their sum is not; ccxt takes a missing one for zero.
_BALANCE_SUMS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "bitget": {"used": ("frozen", "locked")},
    "bybit": {"used": ("locked",)},
    "luno": {"used": ("reserved", "unconfirmed"), "total": ("balance", "unconfirmed")},
    "phemex": {"used": ("lockedTradingBalanceEv", "lockedWithdrawEv")},
}
_ASSET_NAMES: Final = ("coin", "asset", "currency", "ccy", "instrument_name", "symbol")
_ACCOUNT_NAMES: Final = ("type", "accountType")

_AMOUNT_NAMES: Final = frozenset(
    {
        *("available", "available_balance", "balance", "balanceEv", "coin", "eq", "free"),
        *("position_balances", "quantity", "total", "walletBalance"),
    }
)

_NAMES_KNOWN: Final = frozenset(
    {
        *("binance", "bingx", "bitfinex", "bitget", "bithumb", "bitstamp", "bitvavo", "bybit"),
        *("coinbase", "cryptocom", "gate", "gemini", "hitbtc", "htx", "hyperliquid", "kucoin"),
        *("luno", "mexc", "okx", "phemex", "poloniex", "upbit"),
    }
)


def untold_balances(family: Sequence[str], answer: Any) -> Iterator[tuple[str, str]]:
    """Name the sums of which the exchange told only some parts: its id of the asset, and `used` or `total`."""
    sums = find_in(_BALANCE_SUMS, family) or {}
    rows = list(_balance_rows(answer)) if sums else []
    for row in rows:
        asset = _name(row)
        lacking = [told for told, parts in sums.items() if _lacks(row, parts) or not asset]
        # What has no name may be a part of any.
        for other in [asset] if asset else {_name(row) for row in rows} - {""}:
            yield from ((other, told) for told in lacking)


def has_nameless_balance(family: Sequence[str], answer: Any) -> bool:
    """Whether an amount lacks the name of its asset or account, so that ccxt leaves it out silently.

    Told of the markets only whose names are known; of any other it is False.
    """
    return not _NAMES_KNOWN.isdisjoint(family) and _has_nameless(answer)


def _has_nameless(answer: Any) -> bool:
    if isinstance(answer, list):
        return _has_nameless_row(answer) or any(_has_nameless(row) for row in answer)
    if not isinstance(answer, Mapping):
        return False
    is_amount_of_none = "value" in answer and not answer.get("currency")
    return is_amount_of_none or any(_has_nameless(value) for value in answer.values())


def _has_nameless_row(rows: Sequence[Any]) -> bool:
    # Those of bitfinex are lists that start with account and asset.
    if any(isinstance(row, list) and None in row[:2] for row in rows):
        return True
    amounts = [row for row in rows if isinstance(row, Mapping) and _AMOUNT_NAMES & row.keys()]
    accounts = {name for row in amounts for name in _ACCOUNT_NAMES if text(row, name) is not None}
    accounts |= {"accountType" for row in amounts if isinstance(row.get("coin"), list)}
    accounts |= {"type" for row in amounts if "available_balance" in row}
    return any(not _name(row) or _lacks(row, accounts) for row in amounts)


def _name(row: Raw) -> str:
    return next((str(row[name]) for name in _ASSET_NAMES if row.get(name)), "")


def _lacks(row: Raw, parts: Iterable[str]) -> bool:
    return any(text(row, part) is None for part in parts)


def _balance_rows(answer: Any) -> Iterable[Raw]:
    """Find the rows of assets: the objects without further ones in them."""
    inner = answer.values() if isinstance(answer, Mapping) else answer
    deeper = [value for value in inner if isinstance(value, list | Mapping)]
    if isinstance(answer, Mapping) and not deeper:
        yield answer
    for value in deeper:
        yield from _balance_rows(value)
