"""What a market must be told so that ccxt reads the whole spot account of it, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

# On 11 markets ccxt's default is swap: bybit would list no spot order.
_EVERY_MARKET: Final[Mapping[str, Any]] = {
    "defaultType": "spot",
    # Retries are ours (`resilience`): with a deadline, and never of what cannot succeed.
    "maxRetriesOnFailure": 0,
    # The clock is measured when an exchange refuses it (`connection`), not at every start.
    "adjustForTimeDifference": False,
}

# Symbols of other kinds than spot would cost further requests and tens of megabytes.
_SPOT_SYMBOLS: Final[Mapping[str, Any]] = {"fetchMarkets": {"types": ["spot"]}}

_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "binance": {
        **_SPOT_SYMBOLS,
        # ccxt refuses the one request for all symbols until told that its weight is known.
        "fetchOpenOrders": {"warnWithoutSymbol": False},
        "recvWindow": 10_000,  # milliseconds that a signed request stays valid; our clock may lag
    },
    "kraken": {},  # spot only; its nonce is ours to keep: one job per key at a time
    "okx": _SPOT_SYMBOLS,
    "bybit": {
        **_SPOT_SYMBOLS,
        # 5 s is ccxt's choice, which a slow line or clock exceeds.
        "recvWindow": 10_000,
        # fetchOrder sees the last 500 orders only; ccxt refuses until that is acknowledged.
        "fetchOrder": {"acknowledged": True},
    },
    # The older v2 accounts come in pages that ccxt does not turn.
    "coinbase": {"fetchBalance": "v3PrivateGetBrokerageAccounts"},
    # Tickers are read for fee rates only.
    "kucoin": {"fetchMarkets": {"types": ["spot"], "fetchTickersFees": False}},
    "gate": _SPOT_SYMBOLS,
    "bitget": _SPOT_SYMBOLS,
    "bitstamp": {},  # spot only, no option needed
    "bitvavo": {},  # spot only; ccxt's recvWindow is 10 s already
    # ccxt would sign and send an approval of its own fee while it only reads.
    "aster": {"builderFee": False, "fetchOpenOrders": {"warnIfNoSymbol": False}},
    "grvt": {"builderFee": False},
    "hyperliquid": {"builderFee": False, "approvedBuilderFee": True, "refSet": True},
    "tokocrypto": {"warnOnFetchOpenOrdersWithoutSymbol": False},
}

# Reads of these need the address only; a key that is not stored cannot sign anything.
_CREDENTIALS_TO_READ: Final[Mapping[str, tuple[str, ...]]] = {"hyperliquid": ("walletAddress",)}

# ccxt lists open orders of these by symbol only (btcbox would silently answer for BTC/JPY).
# Its own flag `symbolRequired` is set on eight more that do answer for the whole account.
OPEN_ORDERS_NEED_SYMBOL: Final = frozenset(
    {
        "bigone",
        "bit2c",
        "bitbank",
        "bitbns",
        "bitflyer",
        "bitrue",
        "bitso",
        "bittrade",
        "btcbox",
        "bydfi",
        "coinbaseinternational",
        "coinone",
        "deepcoin",
        "latoken",
        "lbank",
        "lighter",
        "mercado",
        "nado",
        "p2b",
        "phemex",
        "tokocrypto",
        "zebpay",
    }
)

# ccxt lists fills of these by symbol only. Found by making the call: its flag `symbolRequired` is
# set on eight more that do answer for the whole account.
FILLS_NEED_SYMBOL: Final = frozenset(
    {
        "bigone",
        "binance",
        "binancecoinm",
        "binanceus",
        "binanceusdm",
        "bingx",
        "bitbns",
        "bitflyer",
        "bitget",
        "bitopro",
        "bitrue",
        "bitso",
        "bitvavo",
        "btse",
        "coinbaseexchange",
        "coinbaseinternational",
        "coincheck",
        "coinone",
        "coinsph",
        "foxbit",
        "gemini",
        "lbank",
        "luno",
        "mercado",
        "mexc",
        "p2b",
        "revolutx",
        "tokocrypto",
        "toobit",
        "weex",
    }
)

# Options in which ccxt remembers what kind of account it met; detecting it costs 1-2 requests.
ACCOUNT_MODES: Final[Mapping[str, tuple[str, ...]]] = {
    "bitget": ("uta",),
    "bybit": ("enableUnifiedMargin", "enableUnifiedAccount", "unifiedMarginStatus"),
    "gate": ("unifiedAccount",),
    "kucoin": ("uta",),
}

# Hundreds of assets that the account never held come back as zeros unless left out.
BALANCE_PARAMS: Final[Mapping[str, Mapping[str, Any]]] = {"binance": {"omitZeroBalances": True}}

# Markets that can be asked for the fills of one order although ccxt has no method for it.
FILLS_OF_ORDER_PARAM: Final[Mapping[str, str]] = {"bitget": "orderId"}

# The exchange lists the fills of the whole account, and ccxt sorts out the other symbols by itself, which would hide
# how long a page was: those of the whole account are read instead. Kraken's method for the fills of an order wants
# their ids, too.
FILLS_OF_ACCOUNT: Final = frozenset(
    {
        "alpaca",
        "btcturk",
        "coinspot",
        "hibachi",
        "hyperliquid",
        "independentreserve",
        "kraken",
    }
)

# The same, but ccxt wants a symbol all the same: what it would sort out is kept.
FILLS_OF_ALL_SYMBOLS: Final = frozenset({"coincheck"})


# Kinds of trigger orders that are listed one by one; ccxt asks for the kind called trigger only.
TRIGGER_LISTS: Final[Mapping[str, tuple[Mapping[str, str], ...]]] = {
    "okx": ({}, {"ordType": "conditional,oco"}),
    "myokx": ({}, {"ordType": "conditional,oco"}),
    "okxus": ({}, {"ordType": "conditional,oco"}),
}

# ccxt's list of orders begins with the id that is sent here, so that one look tells whether it is there.
ORDERS_FROM_ID: Final[Mapping[str, str]] = {"binance": "orderId"}

# ccxt sorts out the other symbols of these by itself, which would hide how long a page was.
ENDED_ORDERS_OF_ACCOUNT: Final = frozenset({"hibachi", "hyperliquid", "kraken", "pacifica"})

# ccxt sends the end of the time in milliseconds to these, which count seconds.
UNTIL_OF_ENDED_ORDERS_IS_WRONG: Final = frozenset({"kraken"})

# The closed orders of these are all that have ended; elsewhere they may be the filled ones alone.
CLOSED_ARE_ALL_ENDED: Final = frozenset({"gate", "kraken", "kucoin"})


@dataclass(frozen=True, slots=True)
class ByClientId:
    """How a market is asked for the order of a client id.

    Parameters
    ----------
    param : str
        Where ccxt's method takes the id.
    from_list : str
        ccxt's list that is narrowed to the id; empty where a single order can be read by it.
    prefix : str
        What ccxt puts before an id on its way to the exchange, which tells it back.
    forgets : bool
        Whether the exchange may deny an order that it has: not finding it then proves nothing.
    """

    param: str
    from_list: str = ""
    prefix: str = ""
    forgets: bool = False


# Two of the ten largest are left out. coinbase reads by its own id only, and no list of it takes
# another. bitvavo takes a client id, but ccxt drops it from the answer, which could be of any order.
BY_CLIENT_ID: Final[Mapping[str, ByClientId]] = {
    "binance": ByClientId("origClientOrderId"),
    # Its read of one order wants its own id; what is open was listed before.
    "kraken": ByClientId("clientOrderId", from_list="fetch_closed_orders"),
    "okx": ByClientId("clOrdId"),
    # ccxt's read of one order always sends its own id, which outranks the client's; its list
    # of ended orders goes back some days only.
    "bybit": ByClientId("orderLinkId", from_list="fetch_canceled_and_closed_orders", forgets=True),
    "kucoin": ByClientId("clientOid"),
    # Soon after an order has ended gate finds it by its own id only.
    "gate": ByClientId("text", prefix="t-", forgets=True),
    "bitget": ByClientId("clientOrderId"),
    "bitstamp": ByClientId("client_order_id"),
}


def market_options(market: str) -> dict[str, Any]:
    """Tell ccxt's `options` for `market`, a copy that ccxt may change."""
    return deepcopy({**_EVERY_MARKET, **_OPTIONS.get(market, {})})


def credentials_to_read(market: str, required: tuple[str, ...]) -> tuple[str, ...]:
    return _CREDENTIALS_TO_READ.get(market, required)
