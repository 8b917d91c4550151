"""What ccxt's rows of movements leave out or get wrong: words, signs, fees, wallets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from providers.corrections.rows import negated, text
from providers.errors import UnexpectedReport
from providers.mapping import EXACT, UNREADABLE, Raw, exact
from providers.reports import FlowSource

# Their ledgers tell the whole change of a balance, whatever of it is a fee. Of the others kraken and
# bitstamp document that the fee comes on top; bitvavo's list of withdrawals shows it.
CHANGE_CONTAINS_FEE: Final = frozenset({"bitget", "bybit", "coinbase", "gate", "kucoin", "okx"})

# What bitstamp tells of a transaction besides how much of which asset.
_NO_ASSETS_OF_BITSTAMP: Final = frozenset(
    {"fee", "price", "datetime", "type", "status", "id", "order_id", "self_trade"}
)


def movement_word(raw: Raw) -> str:
    """Tell the exchange's own word for the kind of a ledger's row, with the narrower word behind a slash."""
    names = ("bizType", "businessType", "type")
    word = next((told for name in names if (told := text(raw, name))), "")
    narrower = text(raw, "subtype") or text(raw, "subType")
    return f"{word}/{narrower}" if word and narrower else word


def is_of_spot_wallet(market: str, raw: Raw) -> bool:
    """Whether the row moved the wallet that trades: some lists tell of every wallet."""
    if market == "binance":
        return text(raw, "walletType") != "1"  # the funding wallet
    if market == "kucoin":
        wallet = (text(raw, "accountType") or "").upper()
        return wallet in ("", "TRADE", "TRADE_HF", "SPOT", "UNIFIED")
    return True


def movement_row(market: str, source: FlowSource, raw: Any) -> Raw:
    """Tell a raw row in ccxt's names where ccxt itself cannot."""
    told = {"id": "", "currency": None, "timestamp": None, "status": None, "info": raw}
    try:
        return {**told, **_ROWS[market, source](raw)}
    except Exception as e:  # one row that cannot be read must not cost the others
        return {**told, UNREADABLE: f"{type(e).__name__} in its parser"}


def signed_change(market: str, raw: Raw, told: Raw) -> Decimal | None:
    """Tell what a row of a ledger adds to the balance, or None if it does not say."""
    if market in _CHANGES:
        return exact(_CHANGES[market](raw))
    amount, direction = exact(told.get("amount")), told.get("direction")
    if amount is None or direction not in ("in", "out"):
        return None
    return amount if direction == "in" else EXACT.minus(amount)


def ledger_fee(market: str, raw: Raw, told: Raw) -> Raw | None:
    """Tell the fee of a ledger's row, positive where it was charged."""
    fee = told.get("fee")
    if market == "coinbase":
        # What the sender paid to the network is told to the receiver, too.
        return fee if isinstance(fee, Mapping) and _is_sent_in(raw, fee) else None
    return fee if isinstance(fee, Mapping) else None


def _is_sent_in(raw: Raw, fee: Raw) -> bool:
    amount = raw.get("amount")
    if not isinstance(amount, Mapping) or not str(amount.get("amount")).startswith("-"):
        return False
    return amount.get("currency") == fee.get("currency")


def _okx_row(raw: Raw) -> Raw:
    # ccxt would ask for the bills of spot instruments, which are those of trades.
    asset = text(raw, "ccy")
    return {
        "id": text(raw, "billId") or "",
        "currency": {"AE": "AET"}.get(asset or "", asset),  # as ccxt names it in balances
        "timestamp": text(raw, "ts"),
        "fee": {"currency": asset, "cost": negated(text(raw, "fee"))},
    }


def _bitstamp_row(raw: Raw) -> Raw:
    # ccxt looks for a whole number, and so finds no asset of which less than one was moved.
    found = [name for name in raw if name not in _NO_ASSETS_OF_BITSTAMP and "_" not in name]
    moved = [name for name in found if exact(raw[name])]
    if len(moved) != 1:
        raise UnexpectedReport(f"expected one asset, was {len(moved)}")
    asset = moved[0].upper()
    return {
        "id": text(raw, "id") or "",
        "currency": asset,
        "amount": raw[moved[0]],
        "datetime": text(raw, "datetime"),
        "fee": {"currency": asset, "cost": text(raw, "fee")},
    }


def _bitstamp_change(raw: Raw) -> Any:
    return _bitstamp_row(raw)["amount"]


def _bitvavo_change(raw: Raw) -> Any:
    received, sent = exact(text(raw, "receivedAmount")), exact(text(raw, "sentAmount"))
    if received and sent:
        raise UnexpectedReport("expected one amount, was one sent and one received")
    return received if sent is None or received else EXACT.minus(sent)


def _coinbase_change(raw: Raw) -> Any:
    amount = raw.get("amount")
    return text(amount, "amount") if isinstance(amount, Mapping) else None


def _binance_reward(raw: Raw) -> Raw:
    return {
        "id": text(raw, "id") or "",
        "currency": _binance_asset(raw),
        "timestamp": text(raw, "divTime"),
        "amount": text(raw, "amount"),
        "direction": {"1": "in", None: "in"}.get(text(raw, "direction")),
        "type": text(raw, "enInfo"),
    }


def _binance_transfer(raw: Raw) -> Raw:
    way, status = text(raw, "type") or "", text(raw, "status") or ""
    directions = (way.startswith("MAIN_") and "out", way.endswith("_MAIN") and "in")
    return {
        "id": text(raw, "tranId") or "",
        "currency": _binance_asset(raw),
        "timestamp": text(raw, "timestamp"),
        "amount": text(raw, "amount"),
        "direction": next(filter(None, directions), None),
        "status": "ok" if status == "CONFIRMED" else status or "unknown",
        "type": way,
    }


def _binance_asset(raw: Raw) -> str | None:
    asset = text(raw, "asset")
    return {"YOYO": "YOYOW"}.get(asset or "", asset)  # as ccxt names it in balances


_ROWS: Final[Mapping[tuple[str, FlowSource], Callable[[Raw], Raw]]] = {
    ("binance", FlowSource.REWARDS): _binance_reward,
    ("binance", FlowSource.TRANSFERS): _binance_transfer,
    ("bitstamp", FlowSource.LEDGER): _bitstamp_row,
    ("okx", FlowSource.LEDGER): _okx_row,
}

_CHANGES: Final[Mapping[str, Callable[[Raw], Any]]] = {
    "bitget": lambda raw: text(raw, "size") or text(raw, "amount"),
    "bitstamp": _bitstamp_change,
    "bitvavo": _bitvavo_change,
    # ccxt has no amount where the balance is left out.
    "bybit": lambda raw: text(raw, "change") or text(raw, "amount"),
    "coinbase": _coinbase_change,
    "gate": lambda raw: text(raw, "change"),
    "kraken": lambda raw: text(raw, "amount"),
    "okx": lambda raw: text(raw, "balChg"),
}
