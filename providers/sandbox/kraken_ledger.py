"""Kraken's ledger: every change of every asset, each with the balance that it left.

Source: "Kraken Spot REST API: Get Ledgers Info".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Final

from providers.reports import OrderSide
from providers.sandbox.books import (
    EXACT,
    ZERO,
    Account,
    Deposit,
    Fill,
    Movement,
    MovementKind,
    Withdrawal,
    WithdrawalStatus,
)
from providers.sandbox.kraken_call import Entry
from providers.sandbox.kraken_names import DEPOSIT, LEDGER, MOVEMENT, WITHDRAWAL, asset_id, txid
from providers.sandbox.kraken_payloads import (
    TWIN,
    Payload,
    asset_decimals,
    number,
    trade_txid,
    unixtime,
)

WORDS: Final = {
    MovementKind.STAKING: "staking",
    MovementKind.AIRDROP: "reward",
    MovementKind.TRANSFER: "transfer",
    MovementKind.CONVERSION: "conversion",
}
WALLETS: Final = {"funding": "futures", "earn": "staking"}
# One fill moves at most three assets: what is bought, what is sold, and what the fee is charged in.
_MOST_OF_ONE: Final = 4


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one asset: `amount`, signed, less `fee`.

    Parameters
    ----------
    id : int
        Grows with the id of what caused it.
    """

    id: int
    cause: str
    type: str
    asset: str
    amount: Decimal
    fee: Decimal
    at: datetime
    subtype: str = ""

    @property
    def total(self) -> Decimal:
        return EXACT.subtract(self.amount, self.fee)


def ledger(books: Account) -> list[Entry]:
    """Write the ledger of the spot wallet, the latest entry first, back from the balances of now.

    What the engine changed without any record shows in the balances only.
    """
    changes = chain(
        (_deposited(x, x.credited_at) for x in books.deposits if x.credited_at is not None),
        (
            _withdrawn(x)
            for x in books.withdrawals.values()
            if x.status is WithdrawalStatus.COMPLETED
        ),
        chain.from_iterable(map(_traded, books.fills)),
        map(_moved, books.movements),
    )
    left = {asset: held.total for asset, held in books.balances.items()}
    entries = []
    for change in sorted(changes, key=lambda x: (x.at, x.id), reverse=True):
        row = _row(change, left[change.asset])
        entries.append(Entry(txid(LEDGER, str(change.id)), change.at, row))
        left[change.asset] = EXACT.subtract(left[change.asset], change.total)
    return entries


def _deposited(deposit: Deposit, at: datetime) -> Change:
    return Change(
        id=int(deposit.id) * _MOST_OF_ONE,
        cause=txid(DEPOSIT, deposit.id),
        type="deposit",
        asset=deposit.asset,
        amount=deposit.amount,
        fee=ZERO,
        at=at,
    )


def _withdrawn(withdrawal: Withdrawal) -> Change:
    return Change(
        id=int(withdrawal.id) * _MOST_OF_ONE,
        cause=txid(WITHDRAWAL, withdrawal.id),
        type="withdrawal",
        asset=withdrawal.asset,
        amount=withdrawal.amount.copy_negate(),
        fee=withdrawal.fee,
        at=withdrawal.completed_at or withdrawal.requested_at,
    )


def _traded(fill: Fill) -> Iterator[Change]:
    base, _, quote = fill.symbol.partition("/")
    is_buy = fill.side is OrderSide.BUY
    amounts = {
        base: fill.amount if is_buy else fill.amount.copy_negate(),
        quote: fill.cost.copy_negate() if is_buy else fill.cost,
    }
    fees = {fill.fee.asset: fill.fee.amount} if fill.fee else {}
    for place, asset in enumerate(amounts | fees):
        yield Change(
            id=(int(fill.id) + (TWIN if fill.is_twin else 0)) * _MOST_OF_ONE + place,
            cause=trade_txid(fill),
            type="trade",
            asset=asset,
            amount=amounts.get(asset, ZERO),
            fee=fees.get(asset, ZERO),
            at=fill.executed_at,
        )


def _moved(movement: Movement) -> Change:
    word, subtype = WORDS[movement.kind], ""
    if movement.kind is MovementKind.TRANSFER:
        wallet = WALLETS.get(movement.wallet, movement.wallet)
        subtype = f"spot{'to' if movement.amount < 0 else 'from'}{wallet}"
    return Change(
        id=int(movement.id) * _MOST_OF_ONE,
        cause=txid(MOVEMENT, movement.ref),
        type=word,
        asset=movement.asset,
        amount=movement.amount,
        fee=ZERO,
        at=movement.at,
        subtype=subtype,
    )


def _row(change: Change, balance: Decimal) -> Payload:
    decimals = asset_decimals(change.asset)
    return {
        "aclass": "currency",
        "amount": number(change.amount, decimals),
        "asset": asset_id(change.asset),
        "balance": number(balance, decimals),
        "fee": number(change.fee, decimals),
        "refid": change.cause,
        "time": float(unixtime(change.at)),
        "type": change.type,
        "subtype": change.subtype,
    }
