"""What an API key may do, where the exchange tells it. Only reads: each request is a GET or on `NON_GET_READS`.

Sources: the exchanges' own pages "API key permission" (Binance), "Get account configuration" (OKX), "Get API key
information" (Bybit), "Get API key info" (Kraken, KuCoin), "Get API key permissions" (Coinbase), "Key permissions"
(Bitfinex).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from providers.errors import OperationalException, UnexpectedReport
from providers.reports import KeyRights


@dataclass(frozen=True, slots=True)
class KeyQuestion:
    """How a market is asked about a key.

    Parameters
    ----------
    method : str
        ccxt's name of the request.
    rights : Callable
        Reads the answer; raises LookupError, TypeError, ValueError or AttributeError if it is another one.
    """

    method: str
    rights: Callable[[Any], KeyRights]


async def read_key_rights(
    market_id: str, read: Callable[[str], Awaitable[Any]]
) -> KeyRights | None:
    """Ask by `read`, which calls one of ccxt's requests, what the key may do; None where that is not told.

    A key that may read need not be allowed to ask this, so a refusal says nothing about the key.
    """
    question = QUESTIONS.get(market_id)
    if question is None:
        return None
    try:
        answer = await read(question.method)
        return question.rights(answer)
    except (OperationalException, LookupError, TypeError, ValueError, AttributeError):
        return None


def tells_key_rights(market_id: str) -> bool:
    return market_id in QUESTIONS


def _binance(answer: Any) -> KeyRights:
    _require_flags(answer, ("enableReading", "enableWithdrawals", "enableSpotAndMarginTrading"))
    return KeyRights(
        reads=answer["enableReading"],
        trades=_any_of(
            answer,
            "enableSpotAndMarginTrading",
            "enableMargin",
            "enableFutures",
            "enableVanillaOptions",
            "enableFixApiTrade",
            "enablePortfolioMarginTrading",
        ),
        withdraws=_any_of(
            answer, "enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer"
        ),
        is_bound=answer.get("ipRestrict"),
    )


def _okx(answer: Any) -> KeyRights:
    [row] = answer["data"]
    granted = set(row["perm"].split(","))
    return KeyRights(
        reads="read_only" in granted,
        trades="trade" in granted,
        withdraws="withdraw" in granted,
        is_bound=bool(row["ip"]),
    )


def _bybit(answer: Any) -> KeyRights:
    row = answer["result"]
    may_write = int(row["readOnly"]) == 0
    granted = {name for name, rights in row["permissions"].items() if rights}
    return KeyRights(
        reads=True,
        trades=may_write and bool(granted - {"Wallet"}),
        withdraws=may_write and "Wallet" in granted,
        is_bound=bool(row["ips"]) and "*" not in row["ips"],
    )


def _kraken(answer: Any) -> KeyRights:
    row = answer["result"]
    granted = set(row["permissions"])
    return KeyRights(
        reads="query-funds" in granted,
        trades=not granted.isdisjoint({"modify-trades", "close-trades"}),
        withdraws="withdraw-funds" in granted,
        is_bound=bool(row["ipAllowlist"]),
    )


def _kucoin(answer: Any) -> KeyRights:
    row = answer["data"]
    granted = {name.strip() for name in row["permission"].split(",")}
    return KeyRights(
        reads="General" in granted,
        trades=not granted.isdisjoint({"Spot", "Margin", "Futures", "Trade", "Earn"}),
        withdraws=not granted.isdisjoint({"Withdrawal", "Transfer", "InnerTransfer"}),
        is_bound=bool(row.get("ipWhitelist")),
    )


def _coinbase(answer: Any) -> KeyRights:
    _require_flags(answer, ("can_view", "can_trade", "can_transfer"))
    return KeyRights(
        reads=answer["can_view"],
        trades=answer["can_trade"],
        withdraws=answer["can_transfer"],
        is_bound=None,
    )


def _bitfinex(answer: Any) -> KeyRights:
    if not isinstance(answer, list):
        raise UnexpectedReport("The rights of the key are told in another shape than documented.")
    may_read = {scope for scope, reads, _writes in answer if int(reads)}
    may_write = {scope for scope, _reads, writes in answer if int(writes)}
    return KeyRights(
        reads="wallets" in may_read,
        trades=not may_write.isdisjoint({"orders", "positions", "funding"}),
        withdraws=not may_write.isdisjoint({"withdraw", "ui_withdraw", "wallets", "bfxpay"}),
        is_bound=None,
    )


def _any_of(row: Mapping[str, Any], *names: str) -> bool:
    return any(row.get(name) is True for name in names)


def _require_flags(row: Any, names: tuple[str, ...]) -> None:
    if not all(isinstance(row[name], bool) for name in names):
        raise UnexpectedReport("The rights of the key are told in other words than documented.")


_OKX: Final = KeyQuestion("private_get_account_config", _okx)
_BYBIT: Final = KeyQuestion("private_get_v5_user_query_api", _bybit)
QUESTIONS: Final[Mapping[str, KeyQuestion]] = {
    "binance": KeyQuestion("sapi_get_account_apirestrictions", _binance),
    "bitfinex": KeyQuestion("private_post_auth_r_permissions", _bitfinex),
    "bybit": _BYBIT,
    "bybiteu": _BYBIT,
    "bybitid": _BYBIT,
    "coinbase": KeyQuestion("v3_private_get_brokerage_key_permissions", _coinbase),
    "kraken": KeyQuestion("private_post_getapikeyinfo", _kraken),
    "kucoin": KeyQuestion("private_get_user_api_key", _kucoin),
    "myokx": _OKX,
    "okx": _OKX,
    "okxus": _OKX,
}
