"""Compares what the installed ccxt can do with what our tables assume. Pure: ccxt's side comes from `ccxt_client`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from providers import catalogue
from providers.market_options import (
    ACCOUNT_MODES,
    BALANCE_PARAMS,
    CLOSED_ARE_ALL_ENDED,
    ENDED_ORDERS_OF_ACCOUNT,
    FILLS_NEED_SYMBOL,
    FILLS_OF_ACCOUNT,
    FILLS_OF_ALL_SYMBOLS,
    FILLS_OF_ORDER_PARAM,
    OPEN_ORDERS_NEED_SYMBOL,
    ORDERS_FROM_ID,
    TRIGGER_LISTS,
    UNTIL_OF_ENDED_ORDERS_IS_WRONG,
    market_options,
)
from providers.paging import fills_paging, open_orders_paging
from providers.read_requests import NON_GET_READS

Rows = Mapping[str, Mapping[str, Any]]

# Where ccxt's flag `symbolRequired` was found to be wrong, by making the call: these answer for the whole account,
SYMBOL_FLAG_TOO_STRICT: Final = frozenset(
    {
        *("bitvavo", "btcturk", "coinmate", "deribit", "hyperliquid", "kucoin"),
        *("kucoinfutures", "mexc"),
    }
)
# and these do not.
SYMBOL_FLAG_MISSING: Final = frozenset(
    {"bitbank", "bittrade", "bydfi", "coinbaseinternational", "lighter", "zebpay"}
)

# The same of fills.
FILLS_FLAG_TOO_STRICT: Final = frozenset(
    {
        *("aster", "btcmarkets", "btcturk", "deepcoin", "deribit", "hyperliquid", "kucoin"),
        "kucoinfutures",
    }
)
FILLS_FLAG_MISSING: Final = frozenset({"btse"})

# Page lengths that are the exchanges' and not ccxt's: what ccxt said when they were looked up.
PAGE_LIMITS_REVIEWED: Final[Mapping[tuple[str, str], int | None]] = {
    ("coinbase", "open_orders_limit"): None,
    ("coinbase", "fills_limit"): 3000,
    ("kucoin", "fills_limit"): None,
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What ccxt can do at one market.

    Parameters
    ----------
    row : Mapping
        What the catalogue would say of it.
    words : frozenset of str
        Every quoted name in the source of its class: an option that is not among them has no effect.
    requests : frozenset of str
        All of its requests, such as ``private POST OpenOrders``.
    claims_symbol_required : bool
        ccxt's own flag for open orders.
    claims_fills_symbol_required : bool
        The same for fills.
    """

    row: Mapping[str, Any]
    words: frozenset[str]
    requests: frozenset[str]
    claims_symbol_required: bool
    claims_fills_symbol_required: bool


def differences(abilities: Mapping[str, Abilities], rows: Rows | None = None) -> list[str]:
    """Tell each difference in a line.

    Parameters
    ----------
    rows : Mapping or None
        The catalogue to compare with; None for the stored one.
    """
    stored = catalogue.catalogue_rows() if rows is None else rows
    known = (
        _market_differences(market, abilities[market], stored)
        for market in sorted(abilities.keys() & stored.keys())
    )
    return [*_id_differences(abilities, stored), *chain.from_iterable(known)]


def _id_differences(abilities: Mapping[str, Abilities], stored: Rows) -> Iterator[str]:
    for market in sorted(abilities.keys() - stored.keys()):
        yield f"{market}: ccxt has it, the catalogue does not"
    for market in sorted(stored.keys() - abilities.keys()):
        yield f"{market}: the catalogue has it, ccxt does not"
    for table, markets in _tables().items():
        for market in sorted(markets - abilities.keys()):
            yield f"{market}: {table} names it, ccxt does not have it"


def _tables() -> dict[str, frozenset[str]]:
    return {
        "ACCOUNT_MODES": frozenset(ACCOUNT_MODES),
        "BALANCE_PARAMS": frozenset(BALANCE_PARAMS),
        "CLOSED_ARE_ALL_ENDED": CLOSED_ARE_ALL_ENDED,
        "ENDED_ORDERS_OF_ACCOUNT": ENDED_ORDERS_OF_ACCOUNT,
        "FILLS_FLAG_MISSING": FILLS_FLAG_MISSING,
        "FILLS_FLAG_TOO_STRICT": FILLS_FLAG_TOO_STRICT,
        "FILLS_NEED_SYMBOL": FILLS_NEED_SYMBOL,
        "FILLS_OF_ACCOUNT": FILLS_OF_ACCOUNT,
        "FILLS_OF_ALL_SYMBOLS": FILLS_OF_ALL_SYMBOLS,
        "FILLS_OF_ORDER_PARAM": frozenset(FILLS_OF_ORDER_PARAM),
        "NON_GET_READS": frozenset(NON_GET_READS),
        "OPEN_ORDERS_NEED_SYMBOL": OPEN_ORDERS_NEED_SYMBOL,
        "ORDERS_FROM_ID": frozenset(ORDERS_FROM_ID),
        "PAGE_LIMITS_REVIEWED": frozenset(market for market, _ in PAGE_LIMITS_REVIEWED),
        "SYMBOL_FLAG_MISSING": SYMBOL_FLAG_MISSING,
        "SYMBOL_FLAG_TOO_STRICT": SYMBOL_FLAG_TOO_STRICT,
        "TRIGGER_LISTS": frozenset(TRIGGER_LISTS),
        "UNTIL_OF_ENDED_ORDERS_IS_WRONG": UNTIL_OF_ENDED_ORDERS_IS_WRONG,
    }


def _market_differences(market: str, ability: Abilities, stored: Rows) -> Iterator[str]:
    yield from _row_differences(market, ability.row, stored[market])
    yield from _symbol_differences(market, ability)
    yield from _page_differences(market, ability)
    for name in sorted(_option_names(market) - ability.words):
        yield f"{market}: ccxt does not know the option {name} that it is given"
    for request in sorted(set(NON_GET_READS.get(market, ())) - ability.requests):
        yield f"{market}: ccxt has no request {request}, which is allowed as a read"


def _row_differences(
    market: str, row: Mapping[str, Any], stored: Mapping[str, Any]
) -> Iterator[str]:
    for field in sorted(row.keys() | stored.keys()):
        now, then = row.get(field), stored.get(field)
        if now != then:
            yield f"{market}: {field} is {now} in ccxt, {then} in the catalogue"


def _symbol_differences(market: str, ability: Abilities) -> Iterator[str]:
    for what, claimed, needs, too_strict, missing in (
        (
            "open orders",
            ability.claims_symbol_required,
            OPEN_ORDERS_NEED_SYMBOL,
            SYMBOL_FLAG_TOO_STRICT,
            SYMBOL_FLAG_MISSING,
        ),
        (
            "fills",
            ability.claims_fills_symbol_required,
            FILLS_NEED_SYMBOL,
            FILLS_FLAG_TOO_STRICT,
            FILLS_FLAG_MISSING,
        ),
    ):
        if claimed != (market in (needs | too_strict) - missing):
            claim = "require" if claimed else "do not require"
            yield (
                f"{market}: {what} {claim} a symbol, says ccxt, and said otherwise when it was "
                "reviewed"
            )


def _page_differences(market: str, ability: Abilities) -> Iterator[str]:
    facts = catalogue.market(market)
    lengths = {
        "open_orders_limit": open_orders_paging(facts).limit,
        "fills_limit": fills_paging(facts).limit,
    }
    for field, length in lengths.items():
        expected = PAGE_LIMITS_REVIEWED.get((market, field), length)
        if ability.row[field] != expected:
            yield (
                f"{market}: {field} is {ability.row[field]} in ccxt, {expected} is what paging "
                "was made for"
            )


def _option_names(market: str) -> set[str]:
    """Name the options that the market is given and others are not."""
    own = {
        name: value
        for name, value in market_options(market).items()
        if name not in market_options("")
    }
    inner = (value for value in own.values() if isinstance(value, dict))
    return {*own, *chain.from_iterable(inner), *ACCOUNT_MODES.get(market, ())}
