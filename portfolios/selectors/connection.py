"""What a connection test told, and what a market can be asked at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import ExchangeAccount, MarketCredential
from portfolios.selectors.accounts import market_name
from portfolios.selectors.advice import situation
from portfolios.selectors.workers import workers
from providers import catalogue
from providers.key_rights import tells_key_rights

Word = str | Promise
State = MarketCredential.State
# A test ends by its deadline; one that has not been heard of for so long was lost.
LOST_AFTER: Final = timedelta(minutes=5)
# Seconds by which clocks may differ without anybody having to look; PosSync signs by the exchange's.
CLOCK_NEWS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Right:
    """One right of a key.

    Parameters
    ----------
    held : bool or None
        None if the exchange does not tell.
    is_well : bool
        Whether it is as it should be: reading allowed, all else not, from some addresses only.
    """

    word: Word
    said: Word
    held: bool | None
    is_well: bool
    advice: Word = ""


@dataclass(frozen=True, slots=True)
class Ability:
    """One kind of read that a market offers or not; `without` says what follows if it does not."""

    word: Word
    is_there: bool
    note: Word = ""
    without: Word = ""

    @property
    def said(self) -> Word:
        return self.note if self.is_there else self.without


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """The last test of an account's credential.

    Parameters
    ----------
    is_under_way : bool
        Whether somebody waits for a test that has not ended.
    was_busy : bool
        Whether a sync used the key for so long that nothing was tested; the rest is what was known before.
    clock_offset : str
        Seconds that the exchange's clock is ahead of ours, with sign; empty if it does not tell its time.
    rights : list of Right
        Empty if they were not told.
    """

    account: ExchangeAccount
    market_name: str
    state: str
    detail: str
    tested_at: datetime | None
    is_under_way: bool
    workers_silent: bool
    was_busy: bool
    assets: int | None
    clock_offset: str
    advice: Word
    rights: list[Right]
    may_tell_rights: bool
    abilities: list[Ability]

    @property
    def token(self) -> str:
        """What the browser has seen: as long as it stays the same, there is nothing to swap."""
        return f"{int(self.is_under_way)}-{int(self.workers_silent)}"

    @property
    def is_accepted(self) -> bool:
        return self.state == State.ACCEPTED

    @property
    def clock_is_off(self) -> bool:
        return bool(self.clock_offset) and abs(float(self.clock_offset)) >= CLOCK_NEWS

    @property
    def risks(self) -> list[Right]:
        return [right for right in self.rights if not right.is_well and right.held is not None]


def connection_test(account: ExchangeAccount, now: datetime) -> ConnectionTest:
    credential = MarketCredential.objects.filter(account=account).first()
    findings: Mapping[str, Any] = credential.findings if credential else {}
    asked_at = credential.test_asked_at if credential else None
    is_under_way = asked_at is not None and now - asked_at < LOST_AFTER
    return ConnectionTest(
        account=account,
        market_name=market_name(account.market),
        state=credential.state if credential else State.UNTESTED,
        detail=credential.state_detail if credential else "",
        tested_at=credential.tested_at if credential else None,
        is_under_way=is_under_way,
        workers_silent=is_under_way and not workers(now).alive,
        was_busy=bool(findings.get("was_busy")),
        assets=findings.get("assets"),
        clock_offset=findings.get("clock_offset") or "",
        advice=_advice(findings),
        rights=_rights(findings.get("rights")),
        may_tell_rights=tells_key_rights(account.market),
        abilities=abilities(account.market),
    )


def _advice(findings: Mapping[str, Any]) -> Word:
    """Say what to do about what went wrong; empty if nothing did."""
    category: str = findings.get("category", "")
    return situation(category, findings.get("trace", "")).advice if category else ""


def _rights(told: Mapping[str, bool | None] | None) -> list[Right]:
    """Say of each right whether it is held; empty if none was told."""
    if not told:
        return []
    rights = [
        Right(word, _SAID[told.get(name)], told.get(name), told.get(name) is is_wanted, advice)
        for name, is_wanted, word, advice in _RIGHTS
    ]
    bound = told.get("is_bound")
    is_bound = Right(
        _("Only from addresses that you named"),
        _BOUND[bound],
        bound,
        is_well=bound is True,
        advice=_("Bind the key to the address of the machine that PosSync runs on."),
    )
    return [*rights, is_bound]


# By its name in `KeyRights`: whether it should be held, and what to do otherwise.
_RIGHTS: Final[Sequence[tuple[str, bool, Word, Word]]] = (
    (
        "reads",
        True,
        _("Read"),
        _("Allow reading for this key at the exchange: nothing can be checked without it."),
    ),
    (
        "trades",
        False,
        _("Trade"),
        _("PosSync never trades. Whoever got hold of this key could: take the right from it."),
    ),
    (
        "withdraws",
        False,
        _("Withdraw or transfer"),
        _("Whoever got hold of this key could move your assets away. Make one that may only read."),
    ),
)
_SAID: Final[Mapping[bool | None, Word]] = {
    True: _("allowed"),
    False: _("not allowed"),
    None: _("not told"),
}
_BOUND: Final[Mapping[bool | None, Word]] = {
    True: _("yes"),
    False: _("no: it works from everywhere"),
    None: _("not told"),
}


@dataclass(frozen=True, slots=True)
class _Read:
    """One kind of read; it is there if the market has one of `names`, or `needed` of them."""

    word: Word
    names: tuple[str, ...]
    without: Word
    needed: int = 1


_READS: Final = (
    _Read(_("Balances"), ("fetchBalance",), _("Without them nothing can be compared.")),
    _Read(
        _("Open orders"),
        ("fetchOpenOrders",),
        _("Without them each order is asked for by itself."),
    ),
    _Read(
        _("Single orders"),
        ("fetchOrder",),
        _("An order that leaves the open list is looked for among the ended ones."),
    ),
    _Read(
        _("Ended orders"),
        ("fetchOrders", "fetchClosedOrders", "fetchCanceledAndClosedOrders"),
        _("An order that cannot be asked for singly stays unexplained."),
    ),
    _Read(
        _("Fills"),
        ("fetchMyTrades",),
        _("What an order filled is taken from the order itself."),
    ),
    _Read(
        _("Deposits and withdrawals"),
        ("fetchDeposits", "fetchWithdrawals"),
        _("A deposit shows as a difference that nothing explains."),
        needed=2,
    ),
    _Read(
        _("Ledger"),
        ("fetchLedger",),
        _("Rewards and transfers show as differences that nothing explains."),
    ),
    _Read(_("Its clock"), ("fetchTime",), _("The time of its answers is used instead.")),
)
_AT_BINANCE: Final = _(
    "Rewards and transfers between wallets, while a balance differs. What is converted or goes into earn shows as a "
    "difference."
)
_BY_SYMBOL: Final = _("For one symbol at a time: of those that the books and balances name.")


def abilities(market_id: str) -> list[Ability]:
    """List what can be read of a market, the most important first; empty for one that ccxt does not know."""
    if not catalogue.is_market(market_id):
        return []
    market = catalogue.market(market_id)
    notes = {
        "fetchOpenOrders": _BY_SYMBOL if market.open_orders_need_symbol else "",
        "fetchMyTrades": _BY_SYMBOL if market.fills_need_symbol else "",
        "fetchLedger": _AT_BINANCE if market.id == "binance" else "",
    }
    rows = [
        Ability(
            read.word,
            sum(market.capabilities[name] for name in read.names) >= read.needed,
            note=notes.get(read.names[0], ""),
            without=read.without,
        )
        for read in _READS
    ]
    no_list = _("No list of their own: they are part of the open orders, or cannot be read.")
    rows.insert(2, Ability(_("Trigger orders"), market.has_trigger_orders_apart, without=no_list))
    return rows
