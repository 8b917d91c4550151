"""Accounts of the practice exchange: keys, balances, deposits, withdrawals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from providers.sandbox.books import (
    ZERO,
    Account,
    Amount,
    ApiKey,
    Balance,
    Deposit,
    Permission,
    Withdrawal,
    WithdrawalStatus,
    decimal_of,
)
from providers.sandbox.errors import AmountRefused, UnknownKey, UnknownWithdrawal

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """Accounts by API key, and what comes in and goes out.

    Parameters
    ----------
    first_id : int
        Number of the first order, fill, deposit or withdrawal; the next ones count up.
    """

    def __init__(self, clock: Clock, first_id: int) -> None:
        self.clock = clock
        self.lock = threading.RLock()
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
    ) -> ApiKey:
        with self.lock:
            account = self._account(key)
            now = account.api_key
            account.api_key = replace(
                now,
                secret=now.secret if secret is None else secret,
                permissions=now.permissions if permissions is None else frozenset(permissions),
                enabled=now.enabled if enabled is None else enabled,
            )
            self.changes += 1
            return account.api_key

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

    def deposit(
        self, key: str, asset: str, amount: Amount, credited_at: datetime | None = None
    ) -> Deposit:
        with self.lock:
            account = self._account(key)
            wanted = _positive(amount)
            account.book({asset: Balance(free=wanted)})
            deposit = Deposit(self._new_id(), asset, wanted, credited_at or self.clock())
            account.deposits.append(deposit)
            return deposit

    def adjust(self, key: str, asset: str, difference: Amount) -> None:
        """Change a free balance without any record, as a reward or a correction would."""
        with self.lock:
            self._account(key).book({asset: Balance(free=decimal_of(difference))})
            self.changes += 1

    def withdraw(self, key: str, asset: str, amount: Amount, fee: Amount = 0) -> Withdrawal:
        """Lock `amount` + `fee`; they leave when the withdrawal is completed."""
        with self.lock:
            account = self._account(key)
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
        with self.lock:
            account = self._account(key)
            withdrawal = account.withdrawals.get(withdrawal_id)
            if withdrawal is None or withdrawal.status is not WithdrawalStatus.PENDING:
                raise UnknownWithdrawal(f"No pending withdrawal {withdrawal_id}.")
            back = withdrawal.total if status is WithdrawalStatus.FAILED else ZERO
            account.book({withdrawal.asset: Balance(back, withdrawal.total.copy_negate())})
            ended = replace(withdrawal, status=status, completed_at=self.clock())
            account.withdrawals[withdrawal_id] = ended
            self.changes += 1
            return ended


def _positive(value: Amount) -> Decimal:
    amount = decimal_of(value)
    if amount <= 0:
        raise AmountRefused(f"Expected an amount above 0, was {amount}.")
    return amount
