"""Every market of the pinned ccxt, read from generated data: nobody has to load ccxt to know them.

`catalogue.json` is made by `ccxt_client.generate_catalogue`; a test fails when it is stale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from providers.errors import MarketUnknown

CATALOGUE_FILE: Final = Path(__file__).with_name("catalogue.json")

# ccxt's names of the reads that PosSync may use.
CAPABILITIES: Final = (
    "fetchBalance",
    "fetchOpenOrders",
    "fetchOrder",
    "fetchOrders",
    "fetchClosedOrders",
    "fetchCanceledOrders",
    "fetchCanceledAndClosedOrders",
    "fetchMyTrades",
    "fetchOrderTrades",
    "fetchTime",
    "fetchDeposits",
    "fetchWithdrawals",
    "fetchLedger",
)


@dataclass(frozen=True, slots=True)
class Market:
    """What ccxt knows of an exchange.

    Parameters
    ----------
    id : str
        ccxt's id, lower case.
    required_credentials : tuple of str
        Names of `providers.credentials.CREDENTIAL_NAMES` without which an account cannot be read.
    has_sandbox : bool
        Whether the exchange runs a test site.
    capabilities : Mapping
        Each of `CAPABILITIES` to whether the market has it.
    open_orders_limit, ended_orders_limit, fills_limit : int or None
        Rows of a page at most; None if ccxt knows none.
    open_orders_need_symbol, fills_need_symbol : bool
        Whether open orders, or fills of the account, are listed for one symbol at a time only.
    has_trigger_orders_apart : bool
        Whether conditional orders are no part of the open orders, but a list of their own.
    reads_trigger_order : bool
        Whether a single order can be asked for among those.
    ended_orders_seconds, canceled_orders_seconds, fills_seconds : int or None
        How long ago an order may have ended, been cancelled without a fill, or a fill have been made, to be still
        told; None if ccxt knows no limit.
    ended_orders_window_seconds, fills_window_seconds : int or None
        Length of time that one read may ask for; None if ccxt knows no limit.
    takes_until : frozenset of str
        Those of `CAPABILITIES` that ccxt can bound at the end of a time as well.
    non_get_reads : frozenset of str
        The requests other than GET that only read, such as ``private POST OpenOrders``.
    """

    id: str
    name: str
    required_credentials: tuple[str, ...]
    has_sandbox: bool
    capabilities: Mapping[str, bool]
    open_orders_limit: int | None
    ended_orders_limit: int | None
    fills_limit: int | None
    open_orders_need_symbol: bool
    fills_need_symbol: bool
    has_trigger_orders_apart: bool
    reads_trigger_order: bool
    ended_orders_seconds: int | None
    canceled_orders_seconds: int | None
    fills_seconds: int | None
    ended_orders_window_seconds: int | None
    fills_window_seconds: int | None
    takes_until: frozenset[str]
    non_get_reads: frozenset[str]


def market(market_id: str) -> Market:
    """Find a market by its ccxt id, in upper or lower case.

    Raises
    ------
    MarketUnknown
        If the pinned ccxt has none of that id.
    """
    try:
        return _markets()[market_id.lower()]
    except KeyError:
        raise MarketUnknown(f"No ccxt exchange for market id {market_id}") from None


def markets() -> tuple[Market, ...]:
    """All markets, sorted by id."""
    return tuple(_markets().values())


def is_market(market_id: str) -> bool:
    return market_id.lower() in _markets()


def catalogue_text(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the catalogue as JSON with one market a line, so that an upgrade shows as lines."""
    lines = [f"{json.dumps(key)}: {json.dumps(rows[key])}" for key in sorted(rows)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def catalogue_rows() -> dict[str, dict[str, Any]]:
    """Read the catalogue as it is stored."""
    rows: dict[str, dict[str, Any]] = json.loads(CATALOGUE_FILE.read_text(encoding="utf-8"))
    return rows


@cache
def _markets() -> Mapping[str, Market]:
    rows = catalogue_rows()
    return MappingProxyType({key: _market(key, row) for key, row in rows.items()})


def _market(key: str, row: Mapping[str, Any]) -> Market:
    has = row["has"]
    return Market(
        id=key,
        name=row["name"],
        required_credentials=tuple(row["required_credentials"]),
        has_sandbox=row["sandbox"],
        capabilities=MappingProxyType({name: name in has for name in CAPABILITIES}),
        open_orders_limit=row["open_orders_limit"],
        ended_orders_limit=row["ended_orders_limit"],
        fills_limit=row["fills_limit"],
        open_orders_need_symbol=row["open_orders_need_symbol"],
        fills_need_symbol=row["fills_need_symbol"],
        has_trigger_orders_apart=row["trigger_orders_apart"],
        reads_trigger_order=row["reads_trigger_order"],
        ended_orders_seconds=row["ended_orders_seconds"],
        canceled_orders_seconds=row["canceled_orders_seconds"],
        fills_seconds=row["fills_seconds"],
        ended_orders_window_seconds=row["ended_orders_window_seconds"],
        fills_window_seconds=row["fills_window_seconds"],
        takes_until=frozenset(row["takes_until"]),
        non_get_reads=frozenset(row["non_get_reads"]),
    )
