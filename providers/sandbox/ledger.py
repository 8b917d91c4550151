"""Accounts of the practice exchange: keys, balances, and what comes in and goes out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from providers.reports import SPOT
from providers.sandbox.books import (
    EXACT,
    ZERO,
    Account,
    Amount,
    ApiKey,
    Balance,
    Deposit,
    DepositStatus,
    Movement,
    MovementKind,
    Permission,
    Withdrawal,
    WithdrawalStatus,
    decimal_of,
)
from providers.sandbox.errors import (
    AmountRefused,
    InsufficientFunds,
    UnknownDeposit,
    UnknownKey,
    UnknownWithdrawal,
)
from providers.sandbox.history import History, Lag
from providers.sandbox.tables import Listing

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """Accounts by API key, and what comes in and goes out.

    Parameters
    ----------
    first_id : int
        Number of the first order, fill or movement; the next ones count up.
    memory : timedelta
        How far back the books can be shown as they were.
    """

    def __init__(self, clock: Clock, first_id: int, memory: timedelta) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.history = History(lambda: self.clock(), memory)
        self.lags: dict[tuple[str, Listing], Lag] = {}
        self.changes = 0
        self.next_id = first_id
        self.accounts: dict[str, Account] = {}

    def add_account(
        self, key: str, secret: str, permissions: Iterable[Permission] = (Permission.READ,)
    ) -> ApiKey:
        api_key = ApiKey(key, secret, frozenset(permissions), created_at=self.clock())
        with self.lock:
            self.accounts[key] = Account(api_key)
            self.changes += 1
        return api_key

    def api_key(self, key: str) -> ApiKey:
        return self._account(key).api_key

    def change_key(
        self,
        key: str,
        *,
        secret: str | None = None,
        permissions: Iterable[Permission] | None = None,
        enabled: bool | None = None,
        addresses: Iterable[str] | None = None,
    ) -> ApiKey:
        with self.lock:
            account = self._account(key)
            now = account.api_key
            account.api_key = replace(
                now,
                secret=now.secret if secret is None else secret,
                permissions=now.permissions if permissions is None else frozenset(permissions),
                enabled=now.enabled if enabled is None else enabled,
                addresses=now.addresses if addresses is None else frozenset(addresses),
            )
            self.changes += 1
            return account.api_key

    def set_lag(self, key: str, listing: Listing, lag: Lag) -> None:
        """Let what is shown of a list trail the truth, from what is known of its past."""
        with self.lock:
            self.history.memory = max(self.history.memory, lag.longest)
            for account in self.accounts.values():
                self.history.begin(account)
            self.lags[key, listing] = lag

    def shown(self, key: str, listing: Listing, age: timedelta = timedelta(0)) -> Account:
        """Tell the books as a list shows them, `age` ago: for reading only."""
        with self.lock:
            lag = self.lags.get((key, listing), Lag(0)).at(key, listing, self.clock())
            return self.history.books(self._account(key), max(age, lag))

    def balances(self, key: str) -> dict[str, Balance]:
        with self.lock:
            return dict(self._account(key).balances)

    def balance(self, key: str, asset: str) -> Balance:
        return self.balances(key).get(asset, Balance())

    def deposits(self, key: str) -> list[Deposit]:
        with self.lock:
            return [*self._account(key).deposits]

    def withdrawals(self, key: str) -> list[Withdrawal]:
        with self.lock:
            return [*self._account(key).withdrawals.values()]

    def wallet_balance(self, key: str, wallet: str, asset: str) -> Decimal:
        if wallet == SPOT:
            return self.balance(key, asset).total
        with self.lock:
            return self._account(key).wallets.get(wallet, {}).get(asset, ZERO)

    def movements(self, key: str) -> list[Movement]:
        with self.lock:
            return [*self._account(key).movements]

    # What comes in

    def deposit(
        self, key: str, asset: str, amount: Amount, credited_at: datetime | None = None
    ) -> Deposit:
        """Credit a deposit at once."""
        with self._changing(key) as account:
            wanted = _positive(amount)
            account.book({asset: Balance(free=wanted)})
            deposit = Deposit(self._new_id(), asset, wanted, credited_at or self.clock())
            account.deposits.append(deposit)
            return deposit

    def announce_deposit(self, key: str, asset: str, amount: Amount) -> Deposit:
        """List a deposit that is on its way: no balance shows it yet."""
        with self._changing(key) as account:
            deposit = Deposit(
                id=self._new_id(),
                asset=asset,
                amount=_positive(amount),
                credited_at=None,
                status=DepositStatus.PENDING,
                requested_at=self.clock(),
            )
            account.deposits.append(deposit)
            return deposit

    def credit_deposit(self, key: str, deposit_id: str) -> Deposit:
        with self._changing(key) as account:
            place, deposit = _pending_deposit(account, deposit_id)
            account.book({deposit.asset: Balance(free=deposit.amount)})
            credited = replace(deposit, status=DepositStatus.CREDITED, credited_at=self.clock())
            account.deposits[place] = credited
            return credited

    def fail_deposit(self, key: str, deposit_id: str) -> Deposit:
        with self._changing(key) as account:
            place, deposit = _pending_deposit(account, deposit_id)
            account.deposits[place] = replace(deposit, status=DepositStatus.FAILED)
            return account.deposits[place]

    def reward(
        self, key: str, asset: str, amount: Amount, kind: MovementKind = MovementKind.STAKING
    ) -> Movement:
        [movement] = self._move(key, kind, {asset: _positive(amount)})
        return movement

    # What goes elsewhere

    def transfer(
        self, key: str, asset: str, amount: Amount, *, source: str = SPOT, target: str
    ) -> Movement:
        """Move between the spot wallet and another one, such as ``funding`` or ``earn``."""
        moved = _positive(amount)
        into_spot = moved if target == SPOT else moved.copy_negate()
        wallet = source if target == SPOT else target
        [movement] = self._move(key, MovementKind.TRANSFER, {asset: into_spot}, wallet)
        return movement

    def convert(
        self, key: str, sold: tuple[str, Amount], bought: tuple[str, Amount]
    ) -> list[Movement]:
        """Change an amount of one asset into an amount of another: two movements of one cause."""
        changes = {sold[0]: _positive(sold[1]).copy_negate(), bought[0]: _positive(bought[1])}
        return self._move(key, MovementKind.CONVERSION, changes)

    def adjust(self, key: str, asset: str, difference: Amount) -> None:
        """Change a free balance without any record, as a correction would."""
        with self._changing(key) as account:
            account.book({asset: Balance(free=decimal_of(difference))})

    def withdraw(self, key: str, asset: str, amount: Amount, fee: Amount = 0) -> Withdrawal:
        """Lock `amount` + `fee`; they leave when the withdrawal is completed."""
        with self._changing(key) as account:
            charged = decimal_of(fee)
            if charged < 0:
                raise AmountRefused(f"Expected a fee of at least 0, was {charged}.")
            withdrawal = Withdrawal(
                id="",
                asset=asset,
                amount=_positive(amount),
                fee=charged,
                status=WithdrawalStatus.PENDING,
                requested_at=self.clock(),
            )
            account.book({asset: Balance(withdrawal.total.copy_negate(), withdrawal.total)})
            withdrawal = replace(withdrawal, id=self._new_id())
            account.withdrawals[withdrawal.id] = withdrawal
            return withdrawal

    def complete_withdrawal(self, key: str, withdrawal_id: str) -> Withdrawal:
        return self._end_withdrawal(key, withdrawal_id, WithdrawalStatus.COMPLETED)

    def fail_withdrawal(self, key: str, withdrawal_id: str) -> Withdrawal:
        return self._end_withdrawal(key, withdrawal_id, WithdrawalStatus.FAILED)

    @contextmanager
    def _changing(self, key: str) -> Iterator[Account]:
        """Hand out the books of an account to be changed; what they become is remembered."""
        with self.lock:
            account = self._account(key)
            self.history.begin(account)
            yield account
            self.changes += 1
            self.history.note(account)

    def _move(
        self, key: str, kind: MovementKind, changes: Mapping[str, Decimal], wallet: str = ""
    ) -> list[Movement]:
        with self._changing(key) as account:
            if wallet:
                _check_wallet(account, wallet, changes)
            account.book({asset: Balance(free=change) for asset, change in changes.items()})
            ref = self._new_id()
            movements = [
                Movement(self._new_id(), ref, kind, asset, change, self.clock(), wallet)
                for asset, change in changes.items()
            ]
            account.movements += movements
            for movement in movements if wallet else ():
                held = account.wallets.setdefault(wallet, {})
                before = held.get(movement.asset, ZERO)
                held[movement.asset] = EXACT.subtract(before, movement.amount)
            return movements

    def _account(self, key: str) -> Account:
        account = self.accounts.get(key)
        if account is None:
            raise UnknownKey("No account with this key.")
        return account

    def _new_id(self) -> str:
        self.changes += 1
        self.next_id += 1
        return str(self.next_id - 1)

    def _end_withdrawal(self, key: str, withdrawal_id: str, status: WithdrawalStatus) -> Withdrawal:
        with self._changing(key) as account:
            withdrawal = account.withdrawals.get(withdrawal_id)
            if withdrawal is None or withdrawal.status is not WithdrawalStatus.PENDING:
                raise UnknownWithdrawal(f"No pending withdrawal {withdrawal_id}.")
            back = withdrawal.total if status is WithdrawalStatus.FAILED else ZERO
            account.book({withdrawal.asset: Balance(back, withdrawal.total.copy_negate())})
            ended = replace(withdrawal, status=status, completed_at=self.clock())
            account.withdrawals[withdrawal_id] = ended
            return ended


def _positive(value: Amount) -> Decimal:
    amount = decimal_of(value)
    if amount <= 0:
        raise AmountRefused(f"Expected an amount above 0, was {amount}.")
    return amount


def _pending_deposit(account: Account, deposit_id: str) -> tuple[int, Deposit]:
    for place, deposit in enumerate(account.deposits):
        if deposit.id == deposit_id and deposit.status is DepositStatus.PENDING:
            return place, deposit
    raise UnknownDeposit(f"No pending deposit {deposit_id}.")


def _check_wallet(account: Account, wallet: str, changes: Mapping[str, Decimal]) -> None:
    held = account.wallets.get(wallet, {})
    for asset, into_spot in changes.items():
        if held.get(asset, ZERO) < into_spot:
            raise InsufficientFunds(
                f"Expected at least {into_spot} {asset} in {wallet}, was {held.get(asset, ZERO)}."
            )
