"""What is asked of an exchange and what it reports: the domain's value types.

Amounts are `Decimal`, never negative unless said, in units of their asset; times are aware and UTC. None means that
the exchange did not report it, which is never zero. Strings come from the exchange and are not to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from providers.credentials import Credentials

SPOT = "spot"
# As the subject of a leg: whatever is not named.
THE_REST = "*"


class OrderSide(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    LIMIT = "limit"
    MARKET = "market"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class OrderStatus(StrEnum):
    """An order's state, in ccxt's words.

    `CREATED` is known to the books only (sent, not yet acknowledged); `LAPSED` is a conclusion of ours and never
    reported.
    """

    CREATED = "created"
    OPEN = "open"
    CLOSED = "closed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    LAPSED = "lapsed"

    @property
    def is_terminal(self) -> bool:
        return self not in (OrderStatus.CREATED, OrderStatus.OPEN)


class LegKind(StrEnum):
    """One kind of read.

    `FILLS` are those of one order, `ACCOUNT_FILLS` those of a symbol or of all since the cursor. `ENDED_ORDERS` is the
    search for one order among those that ended, made when the exchange says that it has none of that id.
    """

    BALANCES = "balances"
    OPEN_ORDERS = "open_orders"
    TRIGGER_ORDERS = "trigger_orders"
    ORDER = "order"
    ENDED_ORDERS = "ended_orders"
    FILLS = "fills"
    ACCOUNT_FILLS = "account_fills"
    FLOWS = "flows"


class LegStatus(StrEnum):
    OBSERVED = "OBSERVED"
    FAILED = "FAILED"
    UNSUPPORTED = "UNSUPPORTED"
    SKIPPED = "SKIPPED"


class Depth(StrEnum):
    """How much of an account is read.

    `CHEAP` reads open orders and balances, and the rest only if these show that something moved since the last look.
    """

    CHEAP = "cheap"
    FULL = "full"


class FlowKind(StrEnum):
    """A movement that is no fill. `OTHER` is one whose meaning is not known; it is never booked by itself."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    REWARD = "reward"
    CONVERSION = "conversion"
    OTHER = "other"


class FlowStatus(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class FlowSource(StrEnum):
    """The list that a flow was read from; its ids are unique within it.

    `REWARDS` and `TRANSFERS` are lists that seldom tell anything: they are read while a balance differs.
    """

    DEPOSITS = "deposits"
    WITHDRAWALS = "withdrawals"
    LEDGER = "ledger"
    REWARDS = "rewards"
    TRANSFERS = "transfers"

    @property
    def is_seldom(self) -> bool:
        return self in (FlowSource.REWARDS, FlowSource.TRANSFERS)


@dataclass(frozen=True, slots=True)
class BalanceReport:
    """What an account holds of one asset in one wallet.

    Parameters
    ----------
    free, used, total : Decimal or None
        May be negative where the exchange lends. `total` is not always `free` + `used`.
    """

    asset: str
    free: Decimal | None
    used: Decimal | None
    total: Decimal | None
    wallet: str = SPOT


@dataclass(frozen=True, slots=True)
class FeeReport:
    """A fee charged; `amount` is negative for a rebate."""

    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class OrderReport:
    """One order as the exchange tells it.

    Parameters
    ----------
    symbol : str
        Unified symbol, such as ``BTC/USDT``.
    status : OrderStatus or None
        None if the exchange's word is not one we know; `raw_status` keeps the word.
    price : Decimal or None
        Limit price, quote units per base unit; None for a market order.
    average : Decimal or None
        Volume-weighted price of what is filled, quote units per base unit.
    cost : Decimal or None
        Quote units that changed hands for `filled`, without fees.
    """

    external_id: str
    symbol: str
    side: OrderSide | None
    type: OrderType | None
    status: OrderStatus | None
    amount: Decimal | None
    filled: Decimal | None
    remaining: Decimal | None = None
    price: Decimal | None = None
    average: Decimal | None = None
    cost: Decimal | None = None
    fees: tuple[FeeReport, ...] = ()
    client_order_id: str = ""
    raw_status: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FillReport:
    """One execution (ccxt's "trade").

    Parameters
    ----------
    external_id : str
        Never empty: where the exchange gives no id it is made of the content, and equal rows of one complete read are
        numbered, so that twins stay two however often they are read.
    order_external_id : str
        Empty if the exchange does not say.
    cost : Decimal
        Quote units that changed hands, without fees.
    fees : tuple of FeeReport
        Empty also where the exchange does not say.
    """

    external_id: str
    order_external_id: str
    symbol: str
    side: OrderSide
    price: Decimal
    amount: Decimal
    cost: Decimal
    fees: tuple[FeeReport, ...] = ()
    executed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FlowReport:
    """One movement of one asset that is no fill.

    Parameters
    ----------
    amount : Decimal
        Signed change of the wallet without the fee, in units of `asset`: negative for a withdrawal.
    fees : tuple of FeeReport
        Charged on top of `amount`.
    status : FlowStatus or None
        None if the exchange's word is not one we know; `raw_status` keeps the word.
    raw_kind : str
        The exchange's own word for the kind of movement.
    occurred_at : datetime or None
        When it was asked for.
    settled_at : datetime or None
        When it reached or left the balance for good; None if the exchange does not say.
    fees_status : FlowStatus or None
        With which status the fees were told, if that is an earlier one.
    """

    source: FlowSource
    external_id: str
    kind: FlowKind
    asset: str
    amount: Decimal
    status: FlowStatus | None
    fees: tuple[FeeReport, ...] = ()
    wallet: str = SPOT
    raw_kind: str = ""
    raw_status: str = ""
    occurred_at: datetime | None = None
    settled_at: datetime | None = None
    fees_status: FlowStatus | None = None


Row = BalanceReport | OrderReport | FillReport | FlowReport


@dataclass(frozen=True, slots=True)
class LegError:
    """Why a leg failed.

    Parameters
    ----------
    category : str
        `OperationalException.category`.
    kind : str
        Class name of the original error, such as ccxt's ``RateLimitExceeded``.
    message : str
        Redacted, at most 500 characters.
    retry_after : float or None
        Seconds, as the exchange asked.
    trace : str
        Where it was raised: redacted traceback without local variables.
    """

    category: str
    kind: str
    message: str
    retry_after: float | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Leg:
    """One kind of read of one account.

    Parameters
    ----------
    subject : str
        What was asked for: a wallet (balances), an order's external id or, if it has none, its client id (order, ended
        orders, fills), a symbol or empty for all (open orders, trigger orders, account fills), a `FlowSource` (flows).
    rows : tuple
        `BalanceReport`, `OrderReport`, `FillReport` or `FlowReport` by `kind`; empty unless `OBSERVED`.
    complete : bool
        Whether absence from `rows` means absence at the exchange: every page was read by the exchange's own rule.
    why_incomplete : str
        Empty if `complete`.
    pages : int
        HTTP requests that carried rows.
    since, until : datetime or None
        The time, by the exchange's clock, of which every row was read: for fills and flows of an account. A read that
        was broken off tells how far it came without a gap; None if it covers nothing.
    clock_offset : float
        Seconds that the exchange's clock is ahead of ours; 0 where it does not tell.
    """

    kind: LegKind
    status: LegStatus
    requested_at: datetime
    responded_at: datetime
    subject: str = ""
    rows: tuple[Row, ...] = ()
    complete: bool = False
    why_incomplete: str = ""
    pages: int = 0
    since: datetime | None = None
    until: datetime | None = None
    clock_offset: float = 0.0
    error: LegError | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a list of the account was read without a gap, by the exchange's clock."""

    kind: LegKind
    subject: str
    covered_until: datetime


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order that the books hold open, or whose fills they lack.

    Parameters
    ----------
    external_id : str
        Empty if the exchange has not acknowledged it yet; it is then known by its client id.
    filled : Decimal
        What the books know to be filled, base units: fills are read when the exchange reports more.
    is_open : bool
        False for one that has ended and is asked about for its fills alone.
    wants_fills : bool
        Whether its fills are to be read whatever `filled` says.
    is_trigger : bool
        Whether it waits for a price before it enters the book: some markets list such orders apart.
    is_doubted : bool
        Whether it is read by itself although a list shows it open: what is in use is not what the orders lock.
    """

    external_id: str
    symbol: str
    filled: Decimal
    client_order_id: str = ""
    created_at: datetime | None = None
    is_open: bool = True
    wants_fills: bool = False
    is_trigger: bool = False
    is_doubted: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Everything a provider needs to read one account.

    Parameters
    ----------
    account : str
        Label of the account, for messages.
    market : str
        The exchange's ccxt id, lower case.
    endpoint : str
        Base URL that replaces scheme and host of every request; empty for the exchange's own.
    assets : tuple of str
        Assets that the books name; for providers that can only be asked for one at a time.
    symbols : tuple of str
        Symbols that the account is known to trade; for markets that list by symbol only. Pairs of assets that it
        holds are added by the provider, which knows the market's symbols.
    depth : Depth
        How much is read. What the last look saw (`last_balances`) tells a cheap read whether something moved.
    last_balances : tuple of BalanceReport
        Every asset as the last look saw it; empty if there was none.
    facts_since : datetime or None
        Where fills and flows begin that no cursor covers: the account's baseline. None: they are not wanted yet.
    cursors : tuple of Cursor
        How far the lists of fills and flows were read before.
    overlap_seconds : float
        How much before its cursor a list is read again, for what the exchange lists late.
    known_order_ids : frozenset of str
        Ids of all orders of the books, ended ones of the time since the cursors included. When a fill of any other
        order turns up, that order is read as well.
    deadline : float
        Seconds for the whole snapshot, without those waited for a rate budget.
    patience : float
        Seconds that may be waited for rate budgets on top of that.
    has_differences : bool
        Whether a balance differs: a full read then reads the lists that seldom tell anything, too.
    key_name : str
        Names the key, for the budget that all who use it share; empty if it has none of its own.
    """

    account: str
    market: str
    credentials: Credentials
    endpoint: str = ""
    sandbox: bool = False
    wallets: tuple[str, ...] = (SPOT,)
    known_orders: tuple[KnownOrder, ...] = ()
    assets: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    depth: Depth = Depth.CHEAP
    last_balances: tuple[BalanceReport, ...] = ()
    facts_since: datetime | None = None
    cursors: tuple[Cursor, ...] = ()
    overlap_seconds: float = 300.0
    known_order_ids: frozenset[str] = frozenset()
    deadline: float = 60.0
    patience: float = 30.0
    has_differences: bool = False
    key_name: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All legs of one account in one sync run, in the order in which they were read.

    Parameters
    ----------
    http_requests : int
        Requests sent, retries and reads of symbols included.
    symbol_requests : int
        Of these, the ones that read the market's symbols; most snapshots need none.
    depth : Depth
        How much was read in the end: a cheap read that saw something move has become a full one.
    waited_seconds : float
        Time in which the account waited for rate budgets.
    error : LegError or None
        Set if the snapshot ended before its legs could be read (no provider, missing secret, market reads failed).
    """

    request: SnapshotRequest
    legs: tuple[Leg, ...] = ()
    depth: Depth = Depth.CHEAP
    http_requests: int = 0
    symbol_requests: int = 0
    waited_seconds: float = 0.0
    error: LegError | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the snapshot of `account` has come: `done` of `total` reads of `stage`."""

    account: str
    stage: LegKind
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What an API key may do, as its exchange tells; None where it does not tell this one.

    Parameters
    ----------
    withdraws : bool or None
        Whether it may move assets away: withdraw or transfer them.
    is_bound : bool or None
        Whether it works from some addresses only.
    """

    reads: bool | None = None
    trades: bool | None = None
    withdraws: bool | None = None
    is_bound: bool | None = None


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a connection test learned, reading balances and the rights of the key only.

    Parameters
    ----------
    clock_offset : float or None
        Seconds that the exchange's clock is ahead of ours; None if it does not tell its time.
    assets : int
        Number of assets with a balance other than zero.
    capabilities : Mapping
        ccxt method name to whether the market has it.
    rights : KeyRights or None
        None if the exchange does not tell them.
    """

    clock_offset: float | None = None
    assets: int = 0
    http_requests: int = 0
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    rights: KeyRights | None = None
    error: LegError | None = None
