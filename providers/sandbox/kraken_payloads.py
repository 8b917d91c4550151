"""Rows as Kraken writes them: names and order of fields, numbers as strings.

Source: "Kraken Spot REST API: Market Data, Account Data, Funding".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any, Final

from providers.reports import OrderStatus, OrderType
from providers.sandbox.books import (
    EXACT,
    ROUNDING,
    ZERO,
    ApiKey,
    Balance,
    Deposit,
    DepositStatus,
    Fill,
    Instrument,
    Order,
    Permission,
    Withdrawal,
    WithdrawalStatus,
)
from providers.sandbox.kraken_names import (
    DEPOSIT,
    ORDER,
    TRADE,
    WITHDRAWAL,
    altname,
    asset_id,
    is_fiat,
    pair_id,
    pair_name,
    txid,
)

Payload = dict[str, Any]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
VOLUME_DECIMALS: Final = 8
COST_DECIMALS: Final = 5
TWIN: Final = 10**15
LARGEST_USERREF: Final = 2**31 - 1
STATUSES: Final = {
    OrderStatus.CLOSED: "closed",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "expired",
    OrderStatus.REJECTED: "canceled",
}
TYPES: Final = {
    OrderType.LIMIT: "limit",
    OrderType.MARKET: "market",
    OrderType.STOP_LIMIT: "stop-loss-limit",
}
DEPOSIT_STATUSES: Final = {
    DepositStatus.PENDING: "Pending",
    DepositStatus.CREDITED: "Success",
    DepositStatus.FAILED: "Failure",
}
WITHDRAWAL_STATUSES: Final = {
    WithdrawalStatus.PENDING: "Pending",
    WithdrawalStatus.COMPLETED: "Success",
    WithdrawalStatus.FAILED: "Failure",
}
PERMISSIONS: Final = {
    Permission.READ: ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger"),
    Permission.TRADE: ("modify-trades", "close-trades"),
    Permission.WITHDRAW: ("withdraw-funds",),
}


def unixtime(moment: datetime) -> Decimal:
    """Seconds, exact to the microsecond."""
    return Decimal((moment - EPOCH) // timedelta(microseconds=1)).scaleb(-6)


def seconds(moment: datetime) -> int:
    return int(unixtime(moment))


def number(value: Decimal, decimals: int) -> str:
    """Write at least `decimals` decimals, and never fewer digits than there are."""
    whole, _, rest = format(value, "f").partition(".")
    rest = rest.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{rest}" if rest else whole


def cut(value: Decimal, decimals: int) -> str:
    """Write `decimals` decimals and drop the rest, as Kraken does with what it has added up."""
    return format(value.quantize(Decimal(1).scaleb(-decimals), context=ROUNDING), "f")


def decimals_of(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def asset_decimals(asset: str) -> int:
    return 4 if is_fiat(asset) else 10


def asset_row(asset: str) -> Payload:
    return {
        "aclass": "currency",
        "altname": altname(asset),
        "decimals": asset_decimals(asset),
        "display_decimals": asset_decimals(asset) // 2,
        "status": "enabled",
    }


def pair_row(instrument: Instrument) -> Payload:
    return {
        "altname": pair_name(instrument.symbol),
        "wsname": f"{altname(instrument.base)}/{altname(instrument.quote)}",
        "aclass_base": "currency",
        "base": asset_id(instrument.base),
        "aclass_quote": "currency",
        "quote": asset_id(instrument.quote),
        "lot": "unit",
        "cost_decimals": COST_DECIMALS,
        "pair_decimals": decimals_of(instrument.price_step),
        "lot_decimals": decimals_of(instrument.amount_step),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": number(instrument.amount_step, 0),
        "costmin": "0",
        "tick_size": number(instrument.price_step, 0),
        "status": "online",
    }


def balance_rows(balances: Mapping[str, Balance]) -> Payload:
    return {
        asset_id(asset): number(held.total, asset_decimals(asset))
        for asset, held in sorted(balances.items())
    }


def extended_balance_rows(balances: Mapping[str, Balance]) -> Payload:
    return {
        asset_id(asset): {
            "balance": number(held.total, asset_decimals(asset)),
            "hold_trade": number(held.locked, asset_decimals(asset)),
        }
        for asset, held in sorted(balances.items())
    }


def order_status(order: Order) -> str:
    if not order.is_open:
        return STATUSES[order.status]
    # It stands in no order book before its stop price is reached.
    is_waiting = order.type is OrderType.STOP_LIMIT and not order.filled
    return "pending" if is_waiting else "open"


def order_row(
    order: Order, instrument: Instrument, fills: Sequence[Fill], *, with_trades: bool
) -> Payload:
    price_decimals = decimals_of(instrument.price_step)
    is_fee_in_base = _has_fees_in_base(fills, instrument)
    fees = (x.fee.amount for x in fills if x.fee) if is_fee_in_base else map(fee_in_quote, fills)
    average = ROUNDING.divide(order.cost, order.filled) if order.filled else ZERO
    row: Payload = {"refid": None, **_references(order), "status": order_status(order)}
    if not order.is_open:
        row["reason"] = "User requested" if order.status is OrderStatus.CANCELED else None
        row["closetm"] = float(unixtime(order.updated_at))
    row |= {
        "opentm": float(unixtime(order.created_at)),
        "starttm": 0,
        "expiretm": 0,
        "descr": _description(order, price_decimals),
        "vol": number(order.amount, VOLUME_DECIMALS),
        "vol_exec": number(order.filled, VOLUME_DECIMALS),
        "cost": cut(order.cost, COST_DECIMALS),
        "fee": cut(_sum(fees), COST_DECIMALS),
        "price": cut(average, price_decimals),
        "stopprice": number(order.stop_price or ZERO, price_decimals),
        "limitprice": number(ZERO, price_decimals),
        "misc": "",
        "oflags": "fcib" if is_fee_in_base else "fciq",
    }
    if with_trades and fills:
        row["trades"] = [trade_txid(fill) for fill in fills]
    return row


def _references(order: Order) -> Payload:
    """Tell the client's own id: a number of 32 bits is a `userref`, any other text a `cl_ord_id`."""
    text = order.client_order_id
    if (
        text.isascii()
        and text.isdigit()
        and int(text) <= LARGEST_USERREF
        and text == str(int(text))
    ):
        return {"userref": int(text)}
    return {"userref": None} | ({"cl_ord_id": text} if text else {})


def _description(order: Order, decimals: int) -> Payload:
    limit = number(order.price or ZERO, decimals)
    prices, words = (limit, "0"), f"limit {limit}"
    if order.type is OrderType.MARKET:
        prices, words = ("0", "0"), "market"
    elif order.type is OrderType.STOP_LIMIT:
        stop = number(order.stop_price or ZERO, decimals)
        prices, words = (stop, limit), f"stop loss {stop} -> limit {limit}"
    volume = number(order.amount, VOLUME_DECIMALS)
    return {
        "pair": pair_name(order.symbol),
        "type": order.side.value,
        "ordertype": TYPES[order.type],
        "price": prices[0],
        "price2": prices[1],
        "leverage": "none",
        "order": f"{order.side.value} {volume} {pair_name(order.symbol)} @ {words}",
        "close": "",
    }


def _has_fees_in_base(fills: Sequence[Fill], instrument: Instrument) -> bool:
    assets = {fill.fee.asset for fill in fills if fill.fee}
    return assets == {instrument.base}


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, ZERO)


def fee_in_quote(fill: Fill) -> Decimal:
    """Tell a fee as Kraken's trades do: always in the quote; what a third asset paid, only its ledger knows."""
    base, _, quote = fill.symbol.partition("/")
    if fill.fee is None or fill.fee.asset not in (base, quote):
        return ZERO
    if fill.fee.asset == quote:
        return fill.fee.amount
    return EXACT.multiply(fill.fee.amount, fill.price)


def trade_txid(fill: Fill) -> str:
    """Name a fill. Both sides of a trade of the account with itself have one number, but not one name."""
    return txid(TRADE, str(int(fill.id) + (TWIN if fill.is_twin else 0)))


def trade_row(fill: Fill, order_type: OrderType) -> Payload:
    return {
        "ordertxid": txid(ORDER, fill.order_id),
        "postxid": txid(TRADE, fill.order_id),
        "pair": pair_id(fill.symbol),
        "time": float(unixtime(fill.executed_at)),
        "type": fill.side.value,
        "ordertype": TYPES[order_type],
        "price": number(fill.price, COST_DECIMALS),
        "cost": number(fill.cost, COST_DECIMALS),
        "fee": number(fee_in_quote(fill), COST_DECIMALS),
        "vol": number(fill.amount, VOLUME_DECIMALS),
        "margin": number(ZERO, COST_DECIMALS),
        "leverage": "0",
        "misc": "",
        "trade_id": int(fill.id),
        "maker": fill.is_maker,
    }


def key_row(api_key: ApiKey, nonce: str, now: datetime) -> Payload:
    granted = [
        name for held in PERMISSIONS if held in api_key.permissions for name in PERMISSIONS[held]
    ]
    return {
        "apiKeyName": "practice",
        "apiKey": api_key.key,
        "nonce": nonce,
        "nonceWindow": 0,
        "permissions": granted,
        "iban": "",
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": str(seconds(api_key.created_at)),
        "modifiedTime": str(seconds(api_key.created_at)),
        "ipAllowlist": sorted(api_key.addresses),
        "lastUsed": str(seconds(now)),
    }


def deposit_row(deposit: Deposit) -> Payload:
    decimals = asset_decimals(deposit.asset)
    return {
        "method": altname(deposit.asset),
        "aclass": "currency",
        "asset": asset_id(deposit.asset),
        "refid": txid(DEPOSIT, deposit.id),
        "txid": f"practice-deposit-{deposit.id}",
        "info": f"practice-address-of-{deposit.asset}",
        "amount": number(deposit.amount, decimals),
        "fee": number(ZERO, decimals),
        "time": seconds(deposit.listed_at),
        "status": DEPOSIT_STATUSES[deposit.status],
    }


def withdrawal_row(withdrawal: Withdrawal) -> Payload:
    decimals = asset_decimals(withdrawal.asset)
    return {
        "method": altname(withdrawal.asset),
        "aclass": "currency",
        "asset": asset_id(withdrawal.asset),
        "refid": txid(WITHDRAWAL, withdrawal.id),
        "txid": f"practice-withdrawal-{withdrawal.id}",
        "info": f"practice-address-of-{withdrawal.asset}",
        "amount": number(withdrawal.amount, decimals),
        "fee": number(withdrawal.fee, decimals),
        "time": seconds(withdrawal.requested_at),
        "status": WITHDRAWAL_STATUSES[withdrawal.status],
        "key": "practice",
        "network": altname(withdrawal.asset),
    }
