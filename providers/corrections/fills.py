"""Corrections of fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from providers.corrections.rows import (
    Changes,
    Correction,
    find_in,
    luno_fees,
    magnitude,
    negated,
    only_fee,
    text,
)
from providers.mapping import Raw, exact


def corrected_fill(family: Sequence[str], raw: Raw, told: Raw) -> Changes:
    correct = find_in(_FILLS, family)
    return {**told, **correct(raw, told)} if correct else dict(told)


def _binance_fill(raw: Raw, told: Raw) -> Changes:
    # ccxt takes whatever is not said to be a purchase for a sale.
    if "isBuyer" not in raw:
        return {}
    sides = {"True": "buy", "False": "sell"}
    return {"side": sides.get(str(raw["isBuyer"]))}


def _bitget_fill(raw: Raw, told: Raw) -> Changes:
    # Without deduction a charge has a minus; what is deducted from another coin is a charge with either sign.
    detail = raw.get("feeDetail")
    if not isinstance(detail, Mapping):
        return {}
    amount = exact(text(detail, "totalFee"))
    signed = {"yes": magnitude(amount), "no": negated(amount)}
    return only_fee(text(detail, "feeCoin"), signed.get(str(detail.get("deduction"))))


def _bybit_fill(raw: Raw, told: Raw) -> Changes:
    # ccxt takes the order's amount and price for those that a fill does not tell.
    return {"amount": text(raw, "execQty"), "price": text(raw, "execPrice")}


def _btcturk_fill(raw: Raw, told: Raw) -> Changes:
    # ccxt looks for the symbol where public trades have it.
    base, quote = text(raw, "numeratorSymbol"), text(raw, "denominatorSymbol")
    return {"symbol": f"{base}/{quote}"} if base and quote else {}


def _coinbase_fill(raw: Raw, told: Raw) -> Changes:
    # ccxt divides the size, and then multiplies with a price that it got by dividing again.
    if raw.get("size_in_quote") is not True:
        return {}
    return {"price": text(raw, "price"), "cost": text(raw, "size")}


def _bit2c_fill(raw: Raw, told: Raw) -> Changes:
    # What changes hands has the sign of its movement.
    return {"amount": magnitude(exact(told.get("amount"))), "cost": None}


def _coincheck_fill(raw: Raw, told: Raw) -> Changes:
    # As at bit2c; and what changes hands of the quote has the fee in it.
    return _bit2c_fill(raw, told) if "funds" in raw else {}


def _gate_fill(raw: Raw, told: Raw) -> Changes:
    # Without a side ccxt takes a fill for a purchase.
    return {"side": text(raw, "side")}


def _hyperliquid_fill(raw: Raw, told: Raw) -> Changes:
    # The fee includes the builder's; ccxt adds it once more.
    return only_fee(text(raw, "feeToken"), text(raw, "fee"))


def _kucoin_fill(raw: Raw, told: Raw) -> Changes:
    # ccxt guesses the asset of the fee from the side.
    return {} if text(raw, "feeCurrency") else only_fee(None, None)


def _luno_fill(raw: Raw, told: Raw) -> Changes:
    # The side of public trades, which ccxt falls back to, is the taker's.
    sides = {"BID": "buy", "BUY": "buy", "ASK": "sell", "SELL": "sell"}
    return {**luno_fees(raw, told), "side": sides.get(str(raw.get("type")))}


_FILLS: Final[Mapping[str, Correction]] = {
    "binance": _binance_fill,
    "bit2c": _bit2c_fill,
    "bitget": _bitget_fill,
    "btcturk": _btcturk_fill,
    "bybit": _bybit_fill,
    "coinbase": _coinbase_fill,
    "coincheck": _coincheck_fill,
    "gate": _gate_fill,
    "hyperliquid": _hyperliquid_fill,
    "kucoin": _kucoin_fill,
    "luno": _luno_fill,
}
