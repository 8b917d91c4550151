"""Rows as Binance writes them: names and order of fields, numbers as strings with eight decimals.

Sources: "Binance Spot API Docs: REST API" and "Binance Wallet API".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from providers.reports import OrderSide, OrderStatus, OrderType
from providers.sandbox.books import (
    ZERO,
    ApiKey,
    Balance,
    Deposit,
    DepositStatus,
    Fill,
    Instrument,
    Movement,
    MovementKind,
    Order,
    Permission,
    Withdrawal,
    WithdrawalStatus,
)

Payload = dict[str, Any]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STATUSES: Final = {
    OrderStatus.CLOSED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}
TYPES: Final = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
}
DEPOSIT_STATUSES: Final = {
    DepositStatus.PENDING: 0,
    DepositStatus.CREDITED: 1,
    DepositStatus.FAILED: 2,
}
WITHDRAWAL_STATUSES: Final = {
    WithdrawalStatus.PENDING: 4,
    WithdrawalStatus.COMPLETED: 6,
    WithdrawalStatus.FAILED: 5,
}
# What is not among them, such as earn, no list of transfers tells of.
WALLETS: Final = {"funding": "FUNDING", "margin": "MARGIN", "futures": "UMFUTURE"}
REWARDS: Final = {MovementKind.STAKING: "Staking rewards", MovementKind.AIRDROP: "Airdrop"}
WORDS_OF_TIME: Final = "%Y-%m-%d %H:%M:%S"


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def number(value: Decimal) -> str:
    """Write at least eight decimals, and never fewer digits than there are."""
    whole, _, decimals = format(value, "f").partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(8, '0')}"


def market_id(symbol: str) -> str:
    return symbol.replace("/", "")


def client_order_id(order: Order) -> str:
    # Binance never leaves it empty: an order without one is given one.
    return order.client_order_id or f"web_{order.id}"


def order_status(order: Order) -> str:
    if order.is_open:
        return "PARTIALLY_FILLED" if order.filled else "NEW"
    return STATUSES[order.status]


def order_row(order: Order) -> Payload:
    return {
        "symbol": market_id(order.symbol),
        "orderId": int(order.id),
        "orderListId": -1,
        "clientOrderId": client_order_id(order),
        "price": number(order.price or ZERO),
        "origQty": number(order.amount),
        "executedQty": number(order.filled),
        "cummulativeQuoteQty": number(order.cost),
        "status": order_status(order),
        "timeInForce": "GTC",
        "type": TYPES[order.type],
        "side": order.side.upper(),
        "stopPrice": number(order.stop_price or ZERO),
        "icebergQty": number(ZERO),
        "time": milliseconds(order.created_at),
        "updateTime": milliseconds(order.updated_at),
        "isWorking": order.type is not OrderType.STOP_LIMIT,
        "workingTime": milliseconds(order.created_at),
        "origQuoteOrderQty": number(ZERO),
        "selfTradePreventionMode": "NONE",
    }


def new_order_row(order: Order, fills: Iterable[Fill]) -> Payload:
    row = order_row(order)
    placed = ("symbol", "orderId", "orderListId", "clientOrderId")
    return (
        {name: row[name] for name in placed}
        | {"transactTime": milliseconds(order.updated_at)}
        | {name: row[name] for name in row if name not in (*placed, "time", "updateTime")}
        | {"fills": [_fill_of_new_order(fill) for fill in fills]}
    )


def _fill_of_new_order(fill: Fill) -> Payload:
    row = trade_row(fill)
    names = ("price", "qty", "commission", "commissionAsset")
    return {name: row[name] for name in names} | {"tradeId": row["id"]}


def canceled_order_row(order: Order, request_id: str) -> Payload:
    row = new_order_row(order, ()) | {"origClientOrderId": client_order_id(order)}
    row["clientOrderId"] = request_id
    del row["fills"]
    return row


def trade_row(fill: Fill) -> Payload:
    base, _, quote = fill.symbol.partition("/")
    is_buyer = fill.side is OrderSide.BUY
    return {
        "symbol": market_id(fill.symbol),
        "id": int(fill.id),
        "orderId": int(fill.order_id),
        "orderListId": -1,
        "price": number(fill.price),
        "qty": number(fill.amount),
        "quoteQty": number(fill.cost),
        "commission": number(fill.fee.amount if fill.fee else ZERO),
        "commissionAsset": fill.fee.asset if fill.fee else (base if is_buyer else quote),
        "time": milliseconds(fill.executed_at),
        "isBuyer": is_buyer,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def instrument_row(instrument: Instrument) -> Payload:
    return {
        "symbol": market_id(instrument.symbol),
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(instrument),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(instrument: Instrument) -> list[Payload]:
    price_step, amount_step = number(instrument.price_step), number(instrument.amount_step)
    most = number(Decimal(9_000_000))
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": price_step,
            "maxPrice": most,
            "tickSize": price_step,
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": amount_step,
            "maxQty": most,
            "stepSize": amount_step,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": number(Decimal(0)),
            "applyMinToMarket": False,
            "maxNotional": most,
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
    ]


def account_row(api_key: ApiKey, balances: Mapping[str, Balance], updated_at: datetime) -> Payload:
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": "0.00100000",
            "taker": "0.00100000",
            "buyer": "0.00000000",
            "seller": "0.00000000",
        },
        "canTrade": Permission.TRADE in api_key.permissions,
        "canWithdraw": Permission.WITHDRAW in api_key.permissions,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": milliseconds(updated_at),
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": number(held.free), "locked": number(held.locked)}
            for asset, held in sorted(balances.items())
        ],
        "permissions": ["SPOT"],
        "uid": 354937868,
    }


def restrictions_row(api_key: ApiKey) -> Payload:
    return {
        "ipRestrict": bool(api_key.addresses),
        "createTime": milliseconds(api_key.created_at),
        "enableReading": Permission.READ in api_key.permissions,
        "enableWithdrawals": Permission.WITHDRAW in api_key.permissions,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": Permission.TRADE in api_key.permissions,
        "enablePortfolioMarginTrading": False,
    }


def coin_row(asset: str, held: Balance) -> Payload:
    return {
        "coin": asset,
        "depositAllEnable": True,
        "withdrawAllEnable": True,
        "name": asset,
        "free": number(held.free),
        "locked": number(held.locked),
        "freeze": "0",
        "withdrawing": "0",
        "ipoing": "0",
        "ipoable": "0",
        "storage": "0",
        "isLegalMoney": False,
        "trading": True,
        "networkList": [
            {
                "network": asset,
                "coin": asset,
                "withdrawIntegerMultiple": "0.00000001",
                "isDefault": True,
                "depositEnable": True,
                "withdrawEnable": True,
                "name": asset,
                "withdrawFee": "0",
                "withdrawMin": "0.00000001",
                "withdrawMax": "9999999999",
                "minConfirm": 1,
                "unLockConfirm": 0,
            }
        ],
    }


def deposit_row(deposit: Deposit) -> Payload:
    at = milliseconds(deposit.listed_at)
    row: Payload = {
        "id": deposit.id,
        "amount": number(deposit.amount),
        "coin": deposit.asset,
        "network": deposit.asset,
        "status": DEPOSIT_STATUSES[deposit.status],
        "address": f"practice-address-of-{deposit.asset}",
        "addressTag": "",
        "txId": f"practice-deposit-{deposit.id}",
        "insertTime": at,
        "transferType": 0,
        "confirmTimes": "0/1" if deposit.status is DepositStatus.PENDING else "1/1",
        "unlockConfirm": 0,
        "walletType": 0,
    }
    if deposit.credited_at is not None:
        row["completeTime"] = milliseconds(deposit.credited_at)
    return row


def withdrawal_row(withdrawal: Withdrawal) -> Payload:
    row: Payload = {
        "id": withdrawal.id,
        "amount": number(withdrawal.amount),
        "transactionFee": number(withdrawal.fee),
        "coin": withdrawal.asset,
        "status": WITHDRAWAL_STATUSES[withdrawal.status],
        "address": f"practice-address-of-{withdrawal.asset}",
        "txId": f"practice-withdrawal-{withdrawal.id}",
        "applyTime": withdrawal.requested_at.strftime(WORDS_OF_TIME),
        "network": withdrawal.asset,
        "transferType": 0,
        "info": "",
        "confirmNo": 1,
        "walletType": 0,
        "txKey": "",
    }
    if withdrawal.completed_at is not None:
        row["completeTime"] = withdrawal.completed_at.strftime(WORDS_OF_TIME)
    return row


def dividend_row(movement: Movement) -> Payload:
    return {
        "id": int(movement.id),
        "amount": number(movement.amount),
        "asset": movement.asset,
        "divTime": milliseconds(movement.at),
        "enInfo": REWARDS[movement.kind],
        "tranId": int(movement.ref),
        "direction": 1,
    }


def transfer_way(movement: Movement) -> str:
    """Name the two wallets, the one that was moved from first; empty if Binance has no such transfer."""
    wallet = WALLETS.get(movement.wallet)
    if wallet is None:
        return ""
    return f"MAIN_{wallet}" if movement.amount < 0 else f"{wallet}_MAIN"


def transfer_row(movement: Movement) -> Payload:
    return {
        "timestamp": milliseconds(movement.at),
        "asset": movement.asset,
        "amount": number(movement.amount.copy_abs()),
        "type": transfer_way(movement),
        "status": "CONFIRMED",
        "tranId": int(movement.ref),
    }
