"""What comes into an account and leaves it otherwise than by trading."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal

from providers.sandbox.books import (
    Deposit,
    DepositStatus,
    MovementKind,
    Withdrawal,
    WithdrawalStatus,
)
from tests.simulation.orders import Act
from tests.simulation.place import CASH, KEY, Place


class Movements:
    """Draws movements; each act tells it in words, or nothing if it is not possible.

    Attributes
    ----------
    drifts : bool
        Whether something may move without a record: not before the books have begun to judge.
    passed_through : bool
        Whether something came and left of which lists alone tell, which are read hourly.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.drifts = False
        self.passed_through = False

    def acts(self) -> Mapping[str, tuple[int, Act]]:
        """List the acts, each with its weight."""
        return {
            "deposit": (2, self._deposit),
            "announce": (2, self._announce),
            "withdraw": (2, self._withdraw),
            "settle": (3, self.settle),
            "reward": (1, self._reward),
            "transfer": (1, self._transfer),
            "convert": (1, self._convert),
            "drift": (1, self._drift),
            "pass through": (1, self._pass_through),
        }

    def settle(self, place: Place) -> str:
        """Let one movement arrive, or fail, that is on its way."""
        return self._settle_withdrawal(place) or self._settle_deposit(place)

    def _deposit(self, place: Place) -> str:
        asset = self._rng.choice((CASH, "ADA", "BTC"))
        deposit = place.engine.deposit(KEY, asset, self._small())
        return f"deposit {deposit.amount} {asset} ({deposit.id})"

    def _announce(self, place: Place) -> str:
        asset = self._rng.choice((CASH, "ADA"))
        deposit = place.engine.announce_deposit(KEY, asset, self._small())
        return f"deposit {deposit.amount} {asset} on its way ({deposit.id})"

    def has_announced(self, place: Place) -> bool:
        return bool(_announced(place))

    def _settle_deposit(self, place: Place) -> str:
        pending = _announced(place)
        if not pending:
            return ""
        chosen = self._rng.choice(pending)
        if self._rng.random() < 0.8:
            place.engine.credit_deposit(KEY, chosen.id)
            return f"deposit {chosen.id} credited"
        place.engine.fail_deposit(KEY, chosen.id)
        return f"deposit {chosen.id} failed"

    def _withdraw(self, place: Place) -> str:
        asset = self._rng.choice((CASH, "ADA"))
        sent = place.engine.withdraw(KEY, asset, self._small(), fee=self._small() / 100)
        return f"withdrawal of {sent.amount} {asset}, fee {sent.fee} ({sent.id})"

    def _pass_through(self, place: Place) -> str:
        """Bring in what leaves at once: no balance tells of it, only the lists do."""
        asset, fee = self._rng.choice((CASH, "ADA")), Decimal("0.25")
        amount = self._small()
        deposit = place.engine.deposit(KEY, asset, amount + fee)
        sent = place.engine.withdraw(KEY, asset, amount, fee=fee)
        place.engine.complete_withdrawal(KEY, sent.id)
        self.passed_through = True
        return f"{deposit.amount} {asset} come ({deposit.id}) and leave ({sent.id})"

    def _settle_withdrawal(self, place: Place) -> str:
        pending = _leaving(place)
        if not pending:
            return ""
        chosen = self._rng.choice(pending)
        if self._rng.random() < 0.7:
            place.engine.complete_withdrawal(KEY, chosen.id)
            return f"withdrawal {chosen.id} completed"
        place.engine.fail_withdrawal(KEY, chosen.id)
        return f"withdrawal {chosen.id} failed"

    def _reward(self, place: Place) -> str:
        kind = self._rng.choice((MovementKind.STAKING, MovementKind.AIRDROP))
        reward = place.engine.reward(KEY, "ADA", self._small() / 100, kind)
        return f"{kind} {reward.amount} ADA ({reward.id})"

    def _transfer(self, place: Place) -> str:
        # Of what goes into earn no list of Binance's tells.
        wallet = "earn" if place.market == "kraken" else "funding"
        moved = place.engine.transfer(KEY, CASH, self._small(), target=wallet)
        return f"transfer {moved.amount} {CASH} ({moved.id})"

    def _convert(self, place: Place) -> str:
        if place.market != "kraken":  # only a ledger tells of them
            return ""
        sold, bought = (CASH, self._small()), ("ADA", self._small())
        place.engine.convert(KEY, sold, bought)
        return f"converts {sold[1]} {CASH} into {bought[1]} ADA"

    def _drift(self, place: Place) -> str:
        if not self.drifts:
            return ""
        asset = self._rng.choice((CASH, "ADA"))
        amount = self._small() * self._rng.choice((1, -1))
        place.engine.adjust(KEY, asset, amount)
        place.unexplained[asset] = place.unexplained.get(asset, Decimal(0)) + amount
        place.drifts.setdefault(asset, []).append(place.unexplained[asset])
        return f"{amount} {asset} moves without a record"

    def _small(self) -> Decimal:
        return Decimal(self._rng.randint(1, 9_999)) / 100


def _announced(place: Place) -> list[Deposit]:
    return [x for x in place.engine.deposits(KEY) if x.status is DepositStatus.PENDING]


def _leaving(place: Place) -> list[Withdrawal]:
    return [x for x in place.engine.withdrawals(KEY) if x.status is WithdrawalStatus.PENDING]
