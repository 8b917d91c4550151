"""Corrections of orders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from providers.corrections.rows import (
    Changes,
    Correction,
    average_price,
    difference,
    find_in,
    luno_fees,
    negated,
    only_fee,
    text,
    total,
)
from providers.mapping import EXACT, Raw, base_and_quote, exact

# Words that ccxt translates into another state, or not at all: where they stand, and what they mean.
_STATUS_WORDS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "binance": ("status", {"PENDING_NEW": "open"}),
    "bingx": ("status", {"FAILED": "rejected"}),
    "bitvavo": ("status", {"expired": "expired", "rejected": "rejected"}),
    # Partly filled and then cancelled; ccxt calls it closed, which means filled.
    "bybit": ("orderStatus", {"PartiallyFilledCanceled": "canceled"}),
    "coinbase": (
        "status",
        {
            "EXPIRED": "expired",
            "FAILED": "rejected",
            "QUEUED": "open",
            "CANCEL_QUEUED": "open",
            "EDIT_QUEUED": "open",
        },
    ),
    "cryptocom": ("status", {"NEW": "open"}),
    # ccxt looks at `finish_as`, which has a word for every reason to cancel.
    "gate": ("status", {"open": "open", "closed": "closed", "cancelled": "canceled"}),
    "hitbtc": ("status", {"expired": "expired"}),
    # A conditional order that ended before its trigger; ccxt calls it closed.
    "phemex": ("ordStatus", {"Deactivated": "canceled"}),
    "poloniex": ("state", {"PENDING_CANCEL": "open", "FAILED": "rejected"}),
    "upbit": ("state", {"watch": "open"}),
}

# Where a market says which kind of order it is, if ccxt calls a stop limit order a limit order.
_TYPE_FIELDS: Final[Mapping[str, str]] = {
    "binance": "type",
    "coinbase": "order_type",
    "hyperliquid": "orderType",
    "whitebit": "type",
}

# Where a market says when an order was last changed, if ccxt calls that the time of its last trade.
_UPDATED_FIELDS: Final[Mapping[str, str]] = {
    "cryptocom": "update_time",
    "gate": "update_time_ms",
    "poloniex": "updateTime",
}

# Where a market says what is filled, if ccxt makes up for its absence: by zero, by the ids of fills or by what the
# status suggests.
_FILLED_FIELDS: Final[Mapping[str, str]] = {
    "binance": "executedQty",
    "bybit": "cumExecQty",
    "kraken": "vol_exec",
}

# Where a market says what changed hands, if ccxt multiplies with a rounded average instead, or takes what a market
# order may spend for what it has spent.
_COST_FIELDS: Final[Mapping[str, str]] = {
    "bithumb": "executed_funds",
    "coinbase": "filled_value",
    "cryptomus": "filledValue",
    "gate": "filled_total",
    "kraken": "cost",
    "poloniex": "filledAmount",
    "upbit": "executed_funds",
}


def corrected_order(family: Sequence[str], raw: Raw, told: Raw) -> Changes:
    """Correct what ccxt tells of an order.

    Parameters
    ----------
    family : sequence of str
        The market's id, then those of the markets whose class it inherits.
    """
    row = {**told, **_status(family, raw), **_type(family, raw), **_updated(family, raw)}
    row |= _cost(family, raw, row)
    row |= _filled(family, raw, row)
    correct = find_in(_ORDERS, family)
    return row | correct(raw, row) if correct else row


def sums_of_trades(trades: Sequence[Raw], reported: Raw) -> Changes:
    """Tell what an order does not but the fills within it do, if they tell it all.

    Parameters
    ----------
    reported : mapping
        What the order itself tells; empty where it is silent.
    """
    filled, cost = total(trades, "amount"), total(trades, "cost")
    told = {name: text(reported, name) for name in ("filled", "cost", "average", "amount")}
    changes: Changes = {}
    if told["filled"] is None:
        changes = {"filled": filled, "remaining": text(reported, "remaining")}
    elif filled != exact(told["filled"]):
        cost = None
    if told["cost"] is None:
        changes["cost"] = cost
        if told["average"] is None:
            changes["average"] = average_price(cost, filled)
    return changes


def _status(family: Sequence[str], raw: Raw) -> Changes:
    found: tuple[str, Mapping[str, str]] = find_in(_STATUS_WORDS, family) or ("", {})
    field, words = found
    status = words.get(text(raw, field) or "")
    return {"status": status} if status else {}


def _type(family: Sequence[str], raw: Raw) -> Changes:
    word = text(raw, find_in(_TYPE_FIELDS, family) or "") or ""
    return {"type": word} if word.lower().startswith("stop") else {}


def _updated(family: Sequence[str], raw: Raw) -> Changes:
    field = find_in(_UPDATED_FIELDS, family)
    return {"lastUpdateTimestamp": text(raw, field)} if field else {}


def _cost(family: Sequence[str], raw: Raw, told: Raw) -> Changes:
    field = find_in(_COST_FIELDS, family)
    return {"cost": text(raw, field)} if field else {}


def _filled(family: Sequence[str], raw: Raw, told: Raw) -> Changes:
    """Where the market does not tell what is filled, nothing that follows from it is known."""
    field = find_in(_FILLED_FIELDS, family)
    if not field or text(raw, field) is not None:
        return {}
    return dict.fromkeys(("filled", "remaining", "cost", "average"))


def _sized_in_quote(told: Raw) -> bool:
    """Whether an order's size may be what it may spend, where that holds for buying at the market."""
    kind = told.get("type")
    return told.get("side") != "sell" and (kind is None or kind == "market")


def _binance(raw: Raw, told: Raw) -> Changes:
    # -1 stands for "not known any more"; ccxt would divide by it.
    spent = exact(text(raw, "cummulativeQuoteQty"))
    return {"cost": None, "average": None} if spent is not None and spent < 0 else {}


def _bitfinex(raw: Raw, told: Raw) -> Changes:
    row = raw["result"]
    word = str(row[13] or "")
    changes: Changes = {"status": "canceled"} if word.endswith(" CANCELED") else {}
    if row[7] is None:
        # The side is the sign of the amount.
        changes["side"] = None
    # ccxt takes the time of the last change for the time of creation.
    return changes | {"timestamp": row[4], "datetime": None, "lastUpdateTimestamp": row[5]}


def _bitget(raw: Raw, told: Raw) -> Changes:
    changes: Changes = {}
    if _sized_in_quote(told):
        changes = {"amount": None, "remaining": None}
    if text(raw, "basePrice") is None and "price" not in raw:
        # The list of open orders tells the price as an average, and that by another name.
        changes |= {"price": None, "average": None}
    return changes | _bitget_fees(raw)


def _bitget_fees(raw: Raw) -> Changes:
    # JSON within JSON, which ccxt reads into floats.
    detail = raw.get("feeDetail")
    if not isinstance(detail, str) or not detail:
        return {}
    told_fees = json.loads(detail, parse_float=str).values()
    fees = [
        {"currency": fee["feeCoinCode"], "cost": negated(fee.get("totalFee"))}
        for fee in told_fees
        if isinstance(fee, Mapping) and fee.get("feeCoinCode")
    ]
    return {"fee": None, "fees": fees}


def _bithumb(raw: Raw, told: Raw) -> Changes:
    # ccxt calls the fee paid that is only reserved, and an order untouched that does not tell what remains.
    remaining, filled = text(raw, "remaining_volume"), text(raw, "executed_volume")
    quote = base_and_quote(str(told.get("symbol")))[1]
    return {
        **only_fee(quote, text(raw, "paid_fee")),
        "filled": filled,
        "remaining": remaining,
        "average": average_price(told.get("cost"), filled),
    }


def _bitstamp(raw: Raw, told: Raw) -> Changes:
    # Its `amount` is what is left; the single order tells that by another name, and what was filled by its fills.
    left = text(raw, "amount_remaining") or text(raw, "amount")
    if left is None or "id" not in raw:
        return {}
    whole = text(raw, "amount_at_create")
    if whole is not None:
        return {"amount": whole, "remaining": left, "filled": difference(whole, left)}
    filled = exact(told.get("filled")) if raw.get("transactions") else None
    if filled is None:
        return {"amount": None, "remaining": left, "filled": None}
    return {"amount": EXACT.add(exact(left) or Decimal(0), filled), "remaining": left}


def _bitvavo(raw: Raw, told: Raw) -> Changes:
    return {"clientOrderId": text(raw, "clientOrderId"), "lastUpdateTimestamp": raw.get("updated")}


def _bybit(raw: Raw, told: Raw) -> Changes:
    # What is left of an ended order is told as zero, so that ccxt would call all of it filled.
    is_base = raw.get("marketUnit") == "baseCoin" or not _sized_in_quote(told)
    amount = text(raw, "qty") if is_base else None
    remaining = difference(amount, told.get("filled"))
    fees = raw.get("cumFeeDetail")
    if not isinstance(fees, Mapping) or not fees:
        return {"amount": amount, "remaining": remaining}
    # ccxt tells the first coin only.
    listed = [{"currency": coin, "cost": cost} for coin, cost in fees.items()]
    return {"amount": amount, "remaining": remaining, "fee": None, "fees": listed}


def _bingx(raw: Raw, told: Raw) -> Changes:
    # ccxt guesses the asset of the fee from the side, also where there is no side.
    return {} if text(raw, "feeAsset") or told.get("side") else only_fee(None, None)


def _coinbase(raw: Raw, told: Raw) -> Changes:
    # ccxt looks for the asset of the fee in a symbol that it then does not find.
    return only_fee(base_and_quote(str(told.get("symbol")))[1], text(raw, "total_fees"))


def _cryptomus(raw: Raw, told: Raw) -> Changes:
    # ccxt reckons the average from what the whole order is worth, and tells the fee of the first part only.
    deal = raw.get("deal")
    told_deal: Raw = deal if isinstance(deal, Mapping) else {}
    average = text(told_deal, "averageFilledPrice")
    fees = [
        {"currency": text(part, "feeCurrency"), "cost": text(part, "fee")}
        for part in told_deal.get("transactions") or ()
        if isinstance(part, Mapping) and text(part, "feeCurrency")
    ]
    return {
        "average": average or average_price(told.get("cost"), told.get("filled")),
        "fee": None,
        "fees": fees,
    }


def _independentreserve(raw: Raw, told: Raw) -> Changes:
    # `Value` is what the whole order is worth, and the fee a guess of its rate and asset.
    is_whole = told.get("filled") is not None and told.get("filled") == told.get("amount")
    changes: Changes = {} if is_whole else {"cost": None}
    return changes | {"average": text(raw, "AvgPrice")} | only_fee(None, None)


def _gate(raw: Raw, told: Raw) -> Changes:
    # Every order without a client's id has the text of where it was made; those of clients start like this.
    client = text(raw, "text") or ""
    changes: Changes = {"clientOrderId": client if client.startswith("t-") else None}
    if "contract" in raw or "trigger" in raw:
        return changes
    filled = text(raw, "filled_amount")
    if filled is not None:
        changes["filled"] = filled
    if _sized_in_quote(told):
        # `amount` and `left` are in units of the quote; ccxt divides them by the average.
        changes |= {"amount": None, "remaining": None, "filled": filled}
    return changes


def _gemini(raw: Raw, told: Raw) -> Changes:
    # What says neither that it lives nor that it was cancelled, ccxt calls closed.
    is_told = raw.get("is_live") is not None and raw.get("is_cancelled") is not None
    return {} if is_told else {"status": None}


def _htx(raw: Raw, told: Raw) -> Changes:
    kind = (text(raw, "type") or "").partition("-")[2]
    if not kind:
        # ccxt guesses the asset of the fee from the side, which stands there too. The amount may be what is spent.
        return {"amount": None, "remaining": None} | only_fee(None, None)
    return {"type": kind} if kind.startswith("stop") else {}


def _kraken(raw: Raw, told: Raw) -> Changes:
    described = raw.get("descr")
    kind = text(described, "ordertype") if isinstance(described, Mapping) else None
    changes: Changes = {"type": kind} if (kind or "").startswith("stop") else {}
    # The user reference 0 stands for none; it would be the same client's id for every order.
    return changes | ({"clientOrderId": None} if told.get("clientOrderId") == "0" else {})


def _luno(raw: Raw, told: Raw) -> Changes:
    changes = luno_fees(raw, told) | {"lastUpdateTimestamp": raw.get("completed_timestamp")}
    amount, filled = exact(told.get("amount")), exact(told.get("filled"))
    if raw.get("state") != "COMPLETE" or amount is None or filled is None:
        return changes
    # It has one word for every end.
    return changes | {"status": "closed" if filled >= amount else "canceled"}


def _okx(raw: Raw, told: Raw) -> Changes:
    if "actualSz" in raw:
        return {}  # a trigger, which has no other id
    # ccxt prefers the id of the trigger that placed the order, which none of its fills has.
    changes: Changes = {"id": text(raw, "ordId")}
    if _sized_in_quote(told) and raw.get("tgtCcy") != "base_ccy":
        filled, average = exact(told.get("filled")), exact(text(raw, "avgPx"))
        spent = None if filled is None or average is None else EXACT.multiply(filled, average)
        changes |= {"cost": spent, "average": average, "amount": None, "remaining": None}
    return changes


def _kucoin(raw: Raw, told: Raw) -> Changes:
    # Of an order that is not active ccxt takes for filled what does not say whether it was cancelled.
    is_told = raw.get("cancelExist") is not None or told.get("status") != "closed"
    return {} if is_told else {"status": None}


def _phemex(raw: Raw, told: Raw) -> Changes:
    # ccxt takes the time of the last change for that of creation, and what may be spent for what was.
    nanoseconds = text(raw, "createTimeNs")
    changes: Changes = {"type": raw.get("ordType")}
    if nanoseconds is not None:
        changes |= {"timestamp": int(nanoseconds) // 1_000_000, "datetime": None}
    if text(raw, "cumQuoteValueEv") is None:
        changes |= {"cost": None, "average": None}
    return changes


def _upbit(raw: Raw, told: Raw) -> Changes:
    # A single order tells its fills instead.
    filled, trades = exact(told.get("filled")), told.get("trades") or ()
    cost = exact(told.get("cost"))
    if cost is None and filled is not None and filled == total(trades, "amount"):
        cost = total(trades, "cost")
    fee = only_fee(base_and_quote(str(told.get("symbol")))[1], text(raw, "paid_fee"))
    return {**fee, "cost": cost, "average": average_price(cost, filled)}


def _whitebit(raw: Raw, told: Raw) -> Changes:
    # ccxt looks at side and type to know whether the amount is what is spent.
    is_unsure = None in (told.get("side"), told.get("type")) and _sized_in_quote(told)
    return {"amount": None, "remaining": None} if is_unsure else {}


_ORDERS: Final[Mapping[str, Correction]] = {
    "binance": _binance,
    "bingx": _bingx,
    "bitfinex": _bitfinex,
    "bitget": _bitget,
    "bithumb": _bithumb,
    "bitstamp": _bitstamp,
    "bitvavo": _bitvavo,
    "bybit": _bybit,
    "coinbase": _coinbase,
    "cryptomus": _cryptomus,
    "gate": _gate,
    "gemini": _gemini,
    "htx": _htx,
    "independentreserve": _independentreserve,
    "kraken": _kraken,
    "kucoin": _kucoin,
    "luno": _luno,
    "okx": _okx,
    "phemex": _phemex,
    "upbit": _upbit,
    "whitebit": _whitebit,
}
