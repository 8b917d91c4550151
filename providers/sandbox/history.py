"""How the books of an account were some time ago, and how far what is shown of them lags behind."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from providers.sandbox.books import Account
from providers.sandbox.tables import Listing

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lag:
    """How many seconds a list trails the truth.

    Parameters
    ----------
    most : float or None
        If given, the lag is drawn between `least` and it, anew each second, from `seed`: then an answer may show what
        is older than what the one before has shown, as it does where several machines answer.
    """

    least: float
    most: float | None = None
    seed: int = 0

    @property
    def longest(self) -> timedelta:
        return timedelta(seconds=self.least if self.most is None else self.most)

    def at(self, key: str, listing: Listing, now: datetime) -> timedelta:
        if self.most is None:
            return timedelta(seconds=self.least)
        drawn = random.Random(  # noqa: S311 - a script, not a secret
            f"{self.seed}:{key}:{listing}:{now:%Y%m%d%H%M%S}"
        )
        return timedelta(seconds=drawn.uniform(self.least, self.most))


class History:
    """What the books of accounts were, as far back as `memory`; nothing if that is zero.

    It begins anew with the process: a restored engine remembers nothing of what was before.
    """

    def __init__(self, clock: Callable[[], datetime], memory: timedelta) -> None:
        self.memory = memory
        self._clock = clock
        self._states: dict[str, deque[tuple[datetime, Account]]] = {}

    def begin(self, account: Account) -> None:
        """Keep the books as they are, if nothing is known of them yet: for what came before."""
        key = account.api_key.key
        if self.memory and key not in self._states:
            self._states[key] = deque([(BEGINNING, _copy(account))])

    def note(self, account: Account) -> None:
        if not self.memory:
            return
        now = self._clock()
        states = self._states[account.api_key.key]
        states.append((now, _copy(account)))
        # The last one before the horizon is what was true at it.
        while len(states) > 1 and states[1][0] <= now - self.memory:
            states.popleft()

    def books(self, account: Account, age: timedelta) -> Account:
        """Tell the books of `age` ago.

        Raises
        ------
        ValueError
            If that is longer ago than `memory`.
        """
        if not age:
            return account
        if age > self.memory:
            raise ValueError(f"Expected an age of at most the memory of {self.memory}, was {age}.")
        moment = self._clock() - age
        for at, state in reversed(self._states.get(account.api_key.key, ())):
            if at <= moment:
                return state
        return account

    def between(self, account: Account, first: datetime, last: datetime) -> list[Account]:
        """Tell the books as they were at `first` and all that they became until `last`, as far as is remembered."""
        states = [each for each in self._states.get(account.api_key.key, ()) if each[0] <= last]
        # The last one of its moment: what the same moment made of it again was never shown.
        before = [number for number, (at, _) in enumerate(states) if at <= first][-1:]
        return [state for _, state in states[before[0] if before else 0 :]] or [account]

    def forget(self) -> None:
        self._states.clear()


def _copy(account: Account) -> Account:
    return replace(
        account,
        balances=dict(account.balances),
        orders=dict(account.orders),
        fills=[*account.fills],
        deposits=[*account.deposits],
        withdrawals=dict(account.withdrawals),
        movements=[*account.movements],
        wallets={wallet: dict(held) for wallet, held in account.wallets.items()},
    )
