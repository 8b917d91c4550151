"""What an answer must hold before anybody may call it empty.

ccxt turns an answer that lacks its documented keys into an empty account without an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from providers.errors import UnexpectedReport


@dataclass(frozen=True, slots=True)
class Shape:
    """What `where` in the answer to a request must be.

    Parameters
    ----------
    request : str
        Pattern of the whole ``<api> <path>``.
    where : str
        Keys from the top down, joined by dots; empty for the answer itself.
    kinds : tuple of type
        What has to stand there.
    """

    request: str
    where: str
    kinds: tuple[type, ...]


_LIST = (list,)
_DICT = (dict,)
_EITHER = (dict, list)
_ID = (str, int)

_SHAPES: Final[Mapping[str, Sequence[Shape]]] = {
    "binance": (
        Shape(r"private account", "balances", _LIST),
        Shape(r"private (openOrders|allOrders|myTrades)", "", _LIST),
        Shape(r"private order", "orderId", _ID),
        Shape(r"sapi capital/(deposit/hisrec|withdraw/history)", "", _LIST),
        Shape(r"public exchangeInfo", "symbols", _LIST),
    ),
    "kraken": (
        Shape(r".*", "result", _EITHER),
        Shape(r"private OpenOrders", "result.open", _DICT),
        Shape(r"private ClosedOrders", "result.closed", _DICT),
        Shape(r"private TradesHistory", "result.trades", _DICT),
        Shape(r"private Ledgers", "result.ledger", _DICT),
    ),
    "okx": (Shape(r".*", "data", _LIST),),
    "bybit": (
        Shape(r".*", "result", _DICT),
        Shape(
            r".* v5/(order/(realtime|history)|execution/list|account/(wallet-balance|transaction-log))",
            "result.list",
            _LIST,
        ),
    ),
    "coinbase": (
        Shape(r".*private brokerage/accounts", "accounts", _LIST),
        Shape(r".*private brokerage/orders/historical/batch", "orders", _LIST),
        Shape(r".*private brokerage/orders/historical/fills", "fills", _LIST),
        Shape(r".*private brokerage/orders/historical/\{order_id\}", "order", _DICT),
        Shape(r"v2\.private accounts/\{account_id\}/transactions", "data", _LIST),
    ),
    "kucoin": (
        Shape(r"private .*", "data", _EITHER),
        Shape(r"private (orders|fills|stop-order|accounts/ledgers)", "data.items", _LIST),
        Shape(r"private (accounts|hf/accounts/ledgers)", "data", _LIST),
    ),
    "gate": (
        Shape(
            r"private\.spot (accounts|open_orders|orders|price_orders|my_trades|account_book)",
            "",
            _LIST,
        ),
        Shape(r"private\.spot orders/\{order_id\}", "id", _ID),
        Shape(r"private\.unified accounts", "balances", _DICT),
    ),
    "bitget": (
        Shape(r".*", "data", _EITHER),
        Shape(
            r"private\.spot v2/spot/(account/(assets|bills)"
            r"|trade/(unfilled-orders|history-orders|fills|orderInfo))",
            "data",
            _LIST,
        ),
    ),
    "bitstamp": (
        Shape(r"private (account_balances/|open_orders/all/|user_transactions/.*)", "", _LIST),
        Shape(r"private order_status/", "status", (str,)),
    ),
    "bitvavo": (
        Shape(r"private (balance|ordersOpen|orders|trades)", "", _LIST),
        Shape(r"private order", "orderId", _ID),
        Shape(r"private account/history", "items", _LIST),
    ),
    "htx": (Shape(r"spot\.private v1/query/deposit-withdraw", "data", _LIST),),
    "mexc": (Shape(r"spot\.private capital/(deposit/hisrec|withdraw/history)", "", _LIST),),
}

# A list is the whole documented answer here, so that an empty one is an account without assets.
BARE_LIST_OF_BALANCES: Final = frozenset({"bitget", "bitstamp", "bitvavo", "gate"})


def check_shape(market: str, request: str, answer: Any) -> None:
    """Refuse an answer that is not what the exchange documents for ``<api> <path>``.

    Raises
    ------
    UnexpectedReport
        If `answer` is an empty object, or lacks what has to be there.
    """
    if answer == {}:
        raise UnexpectedReport(f"The answer of {market} to {_path(request)} is an empty object.")
    for shape in _SHAPES.get(market, ()):
        if re.fullmatch(shape.request, request):
            _check(market, request, shape, answer)


def _check(market: str, request: str, shape: Shape, answer: Any) -> None:
    found = answer
    for key in shape.where.split(".") if shape.where else ():
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, shape.kinds) or isinstance(found, bool):
        expected = " or ".join(kind.__name__ for kind in shape.kinds)
        where = f"at {shape.where}" if shape.where else "at the top"
        raise UnexpectedReport(
            f"The answer of {market} to {_path(request)} is not what is documented: "
            f"expected {expected} {where}, was {type(found).__name__}."
        )


def _path(request: str) -> str:
    return request.rpartition(" ")[2]
