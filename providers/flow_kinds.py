"""What each market's words for the rows of its ledger mean.

Sources: the tables of ccxt's `parse_ledger_entry_type`, and the exchanges' documentation of their ledgers. A word
that is in none of them is `FlowKind.OTHER`, which a person is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from providers.corrections.flows import movement_word
from providers.corrections.rows import text
from providers.mapping import Raw
from providers.reports import FlowKind

# Orders and their fees: the fills tell them.
_TRADES: Final[Mapping[str, frozenset[str]]] = {
    "bitget": frozenset(
        {"buy", "sell", "transaction", "deductionofhandlingfee", "orderdealtin", "orderdealtout"}
    ),
    "bitstamp": frozenset({"2"}),
    "bitvavo": frozenset({"buy", "sell"}),
    "bybit": frozenset({"trade"}),
    "coinbase": frozenset({"advancedtradefill"}),
    "gate": frozenset({"neworder", "orderfill", "orderfee"}),
    "kraken": frozenset({"trade"}),
    "kucoin": frozenset(
        {
            *("exchange", "tradeexchange", "spotexchange", "kcspayfees", "refundedfees"),
            *("returnedfees", "deductionfees", "kcsdeductionfees", "kcsreturnedfees"),
        }
    ),
    "okx": frozenset({"2"}),
}

# Where one ledger tells of other instruments, too: what says that the row is of a spot order.
_SPOT: Final[Mapping[str, tuple[str, str]]] = {
    "bybit": ("category", "spot"),
    "okx": ("instType", "SPOT"),
}


def _kinds(
    *, deposit: str = "", withdrawal: str = "", transfer: str = "", reward: str = "", swap: str = ""
) -> Mapping[str, FlowKind]:
    words = {
        FlowKind.DEPOSIT: deposit,
        FlowKind.WITHDRAWAL: withdrawal,
        FlowKind.TRANSFER: transfer,
        FlowKind.REWARD: reward,
        FlowKind.CONVERSION: swap,
    }
    return {word: kind for kind, listed in words.items() for word in listed.split()}


_KINDS: Final[Mapping[str, Mapping[str, FlowKind]]] = {
    "bitget": _kinds(
        deposit="deposit",
        withdrawal="withdraw withdrawal",
        transfer="transfer transferin transferout transtocross transfromcross transtoexchange "
        "transfromexchange transtoisolated transfromisolated transtocontract transfromcontract "
        "transtootc transfromotc",
        reward="rebaterewards airdroprewards usdtcontractrewards mixcontractrewards",
        swap="convert",
    ),
    "bitstamp": _kinds(
        deposit="0", withdrawal="1", transfer="14 25 26 33 35", reward="27 32"
    ),  # 25 and 26 are what goes to staking and comes back
    "bitvavo": _kinds(
        deposit="deposit",
        withdrawal="withdrawal withdrawalcancelled",
        transfer="internaltransfer externaltransferredfunds",
        reward="staking fixedstaking affiliate distribution rebate",
    ),
    "bybit": _kinds(
        transfer="transferin transferout flexiblestakingsubscription flexiblestakingredemption "
        "fixedstakingsubscription flexiblestakingrefund fixedstakingrefund",
        reward="airdrop bonus bonusrecollect feerefund",
        swap="currencybuy currencysell",
    ),
    "coinbase": _kinds(
        deposit="fiatdeposit",
        withdrawal="fiatwithdrawal",
        transfer="exchangedeposit exchangewithdrawal prodeposit prowithdrawal transfer "
        "stakingtransfer unstakingtransfer vaultwithdrawal intxdeposit intxwithdrawal",
        reward="stakingreward inflationreward interest earnpayout incentivesrewardspayout",
        swap="trade buy sell",
    ),
    "gate": _kinds(
        deposit="deposit",
        withdrawal="withdraw",
        transfer="subaccounttransfer marginin marginout marginfundingin marginfundingout "
        "crossmarginin crossmarginout copytradingin copytradingout quantin quantout futuresin "
        "futuresout deliveryin deliveryout",
        reward="referralfee",
        swap="flashswapbuy flashswapsell",
    ),
    "kraken": _kinds(
        deposit="deposit",
        withdrawal="withdrawal",
        transfer="transfer custodytransfer earn/allocation earn/deallocation earn/autoallocation "
        "earn/migration",
        reward="staking reward dividend earn/reward",
        swap="spend receive conversion sale",
    ),
    "kucoin": _kinds(
        deposit="deposit",
        withdrawal="withdrawal withdraw",
        transfer="transfer subaccounttransfer subtransfer subtosubtransfer "
        "assetstransferredinafterupgrading",
        reward="kucoinbonus referralbonus rewards airdrop/fork otherrewards distribution feerebate "
        "spotexchangerebate stakingprofits softstakingprofits votingearnings",
        swap="instantexchange converttokcs",
    ),
    # 27 is convert, 28 its easy and 30 its simple form, 11 is done by the exchange itself.
    "okx": _kinds(transfer="1 6 12", swap="11 27 28 30"),
}

# One word for both ways; the sign tells which.
_BOTH_WAYS: Final[Mapping[str, str]] = {"coinbase": "send"}


def is_of_trade(market: str, raw: Raw) -> bool:
    """Whether the row of a ledger is told by the account's fills already."""
    name, value = _SPOT.get(market, ("", ""))
    if name and (text(raw, name) or value) != value:
        return False
    return any(word in _TRADES.get(market, ()) for word in _words(raw))


def is_without_word(market: str, raw: Raw) -> bool:
    """Whether the row does not tell what its ledger's rows tell: it may be of a trade, or of anything else."""
    return not _words(raw) and (market in _TRADES or market in _KINDS)


def ledger_kind(market: str, raw: Raw, *, is_out: bool) -> FlowKind:
    """Tell what kind of movement a row of a ledger is."""
    words = _words(raw)
    if words and words[0] == _BOTH_WAYS.get(market):
        return FlowKind.WITHDRAWAL if is_out else FlowKind.DEPOSIT
    kinds = _KINDS.get(market, {})
    return next((kinds[word] for word in words if word in kinds), FlowKind.OTHER)


def _words(raw: Raw) -> list[str]:
    """List the row's words, the narrowest first."""
    word = movement_word(raw)
    told = (word, word.partition("/")[0], text(raw, "groupType") or "")
    return [re.sub(r"[\s_-]", "", one).lower() for one in told if one]
