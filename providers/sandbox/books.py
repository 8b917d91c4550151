"""What the practice exchange keeps: keys, instruments, balances, orders, fills, movements.

Rows are immutable, so that whoever was handed one may read it in any thread. Amounts are exact: the
decimal context used here would rather raise than round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import (
    ROUND_DOWN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from enum import StrEnum
from typing import Final

from providers.reports import OrderSide, OrderStatus, OrderType
from providers.sandbox.errors import AmountRefused, InsufficientFunds, PriceRefused

Amount = Decimal | str | int

ZERO: Final = Decimal(0)
# Fees that come from a rate are cut to this, as exchanges do.
FEE_STEP: Final = Decimal("1E-8")
EXACT: Final = Context(prec=200, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])
ROUNDING: Final = Context(prec=200, rounding=ROUND_DOWN)


class Permission(StrEnum):
    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"


class DepositStatus(StrEnum):
    PENDING = "pending"
    CREDITED = "credited"
    FAILED = "failed"


class WithdrawalStatus(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class MovementKind(StrEnum):
    STAKING = "staking"
    AIRDROP = "airdrop"
    TRANSFER = "transfer"
    CONVERSION = "conversion"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and what it may do.

    Parameters
    ----------
    addresses : frozenset of str
        From which it is said to work; from everywhere if empty. What it is asked from is not compared.
    """

    key: str
    secret: str = field(repr=False)
    permissions: frozenset[Permission] = frozenset({Permission.READ})
    enabled: bool = True
    created_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Instrument:
    """A spot pair.

    Parameters
    ----------
    symbol : str
        Unified symbol, such as ``BTC/USDT``.
    price : Decimal
        Last price, quote units per base unit; market orders trade at it.
    """

    symbol: str
    price_step: Decimal
    amount_step: Decimal
    price: Decimal

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2]

    def checked_price(self, price: Decimal) -> Decimal:
        if price <= 0 or EXACT.remainder(price, self.price_step):
            raise PriceRefused(
                f"Expected a price of {self.symbol} in steps of {self.price_step}, was {price}."
            )
        return price

    def checked_amount(self, amount: Decimal) -> Decimal:
        if amount <= 0 or EXACT.remainder(amount, self.amount_step):
            raise AmountRefused(
                f"Expected an amount of {self.symbol} in steps of {self.amount_step}, was {amount}."
            )
        return amount


@dataclass(frozen=True, slots=True)
class Balance:
    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.free, self.locked)


@dataclass(frozen=True, slots=True)
class Fee:
    """What one fill costs; negative for a rebate."""

    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class FeeRate:
    """A fee as a share of what is traded.

    Parameters
    ----------
    asset : str
        Charged in this asset at its last price; empty for the asset received.
    """

    rate: Decimal
    asset: str = ""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asks for.

    Parameters
    ----------
    price : Decimal or None
        Quote units per base unit; None for a market order.
    stop_price : Decimal or None
        Where a stop-limit order starts to work.
    created_at : datetime or None
        Now if None; a scenario dates what was there before it began.
    id : str
        The next free one if empty. Another account may have an order of the same id.
    """

    symbol: str
    side: OrderSide
    amount: Decimal
    price: Decimal | None = None
    type: OrderType = OrderType.LIMIT
    stop_price: Decimal | None = None
    client_order_id: str = ""
    created_at: datetime | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An order; `cost` is the quote that changed hands for `filled`, without fees.

    Parameters
    ----------
    is_listed : bool
        False once the exchange has forgotten it.
    """

    id: str
    symbol: str
    side: OrderSide
    type: OrderType
    status: OrderStatus
    amount: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    client_order_id: str
    created_at: datetime
    updated_at: datetime
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    is_listed: bool = True

    @property
    def remaining(self) -> Decimal:
        """What is left to be filled; nothing if more was filled than asked for."""
        return max(ZERO, EXACT.subtract(self.amount, self.filled))

    @property
    def is_open(self) -> bool:
        return self.status is OrderStatus.OPEN

    @property
    def lock(self) -> Decimal:
        """What it locks while open: quote for a buy, base for a sell."""
        if not self.is_open or self.price is None:
            return ZERO
        if self.side is OrderSide.SELL:
            return self.remaining
        return EXACT.multiply(self.remaining, self.price)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    Parameters
    ----------
    is_twin : bool
        Whether it is the second side of a trade of the account with itself, and has the id of the first.
    """

    id: str
    order_id: str
    symbol: str
    side: OrderSide
    price: Decimal
    amount: Decimal
    cost: Decimal
    fee: Fee | None
    is_maker: bool
    executed_at: datetime
    is_twin: bool = False


@dataclass(frozen=True, slots=True)
class Deposit:
    """A deposit.

    Parameters
    ----------
    credited_at : datetime or None
        When it could be used; None if it is not there.
    requested_at : datetime or None
        When it was seen on its way; `credited_at` if None.
    """

    id: str
    asset: str
    amount: Decimal
    credited_at: datetime | None
    status: DepositStatus = DepositStatus.CREDITED
    requested_at: datetime | None = None

    @property
    def listed_at(self) -> datetime:
        return self.requested_at or self.credited_at or datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal: `amount` arrives outside, `amount` + `fee` leaves the account."""

    id: str
    asset: str
    amount: Decimal
    fee: Decimal
    status: WithdrawalStatus
    requested_at: datetime
    completed_at: datetime | None = None

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.amount, self.fee)


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of the spot wallet that has a record and is no fill, deposit or withdrawal.

    Parameters
    ----------
    ref : str
        Id that all movements of one cause share.
    amount : Decimal
        Signed.
    wallet : str
        The other wallet of a transfer.
    """

    id: str
    ref: str
    kind: MovementKind
    asset: str
    amount: Decimal
    at: datetime
    wallet: str = ""


@dataclass(slots=True)
class Account:
    """One account's books; only the engine changes it, under its lock.

    Parameters
    ----------
    wallets : dict
        What the wallets beside the spot wallet hold, by wallet and asset.
    """

    api_key: ApiKey
    balances: dict[str, Balance] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    deposits: list[Deposit] = field(default_factory=list)
    withdrawals: dict[str, Withdrawal] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    wallets: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    def book(self, changes: Mapping[str, Balance]) -> None:
        """Add signed `changes`, by asset, to the balances: all of them or none.

        Raises
        ------
        InsufficientFunds
            If something would become negative.
        """
        after: dict[str, Balance] = {}
        for asset, change in changes.items():
            now = self.balances.get(asset, Balance())
            free = EXACT.add(now.free, change.free)
            locked = EXACT.add(now.locked, change.locked)
            if free < 0 or locked < 0:
                raise InsufficientFunds(
                    f"Expected at least {-change.free} {asset} free, was {now.free}."
                )
            after[asset] = Balance(free, locked)
        self.balances.update(after)


def decimal_of(value: Amount) -> Decimal:
    """`value` as an exact number.

    Raises
    ------
    TypeError
        If it is a float: that has lost digits already.
    AmountRefused
        If it is no finite number.
    """
    if isinstance(value, float):
        raise TypeError(f"Expected Decimal, str or int, was the float {value!r}.")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise AmountRefused(f"Expected a number, was {value!r}.") from None
    if not number.is_finite():
        raise AmountRefused(f"Expected a finite number, was {value}.")
    return number
