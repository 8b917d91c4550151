"""Kraken's ledger: every change of every asset, each with the balance that it left.

Source: "Kraken Spot REST API: Get Ledgers Info".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Final

from providers.reports import OrderSide
from providers.sandbox.books import (
    EXACT,
    ZERO,
    Balance,
    Deposit,
    Fill,
    Withdrawal,
    WithdrawalStatus,
)
from providers.sandbox.kraken_call import Entry
from providers.sandbox.kraken_names import DEPOSIT, LEDGER, TRADE, WITHDRAWAL, asset_id, txid
from providers.sandbox.kraken_payloads import Payload, asset_decimals, number, unixtime

# One fill moves at most three assets: what is bought, what is sold, and what the fee is charged in.
_MOST_OF_ONE: Final = 4


@dataclass(frozen=True, slots=True)
class Movement:
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

    @property
    def change(self) -> Decimal:
        return EXACT.subtract(self.amount, self.fee)


def ledger(
    balances: Mapping[str, Balance],
    deposits: Iterable[Deposit],
    withdrawals: Iterable[Withdrawal],
    fills: Iterable[Fill],
) -> list[Entry]:
    """Write the ledger, the latest entry first, back from the balances of now.

    What the engine changed without any record shows in the balances only.
    """
    movements = chain(
        map(_deposited, deposits),
        (_withdrawn(x) for x in withdrawals if x.status is WithdrawalStatus.COMPLETED),
        chain.from_iterable(map(_traded, fills)),
    )
    left = {asset: held.total for asset, held in balances.items()}
    entries = []
    for movement in sorted(movements, key=lambda x: (x.at, x.id), reverse=True):
        row = _row(movement, left[movement.asset])
        entries.append(Entry(txid(LEDGER, str(movement.id)), movement.at, row))
        left[movement.asset] = EXACT.subtract(left[movement.asset], movement.change)
    return entries


def _deposited(deposit: Deposit) -> Movement:
    return Movement(
        id=int(deposit.id) * _MOST_OF_ONE,
        cause=txid(DEPOSIT, deposit.id),
        type="deposit",
        asset=deposit.asset,
        amount=deposit.amount,
        fee=ZERO,
        at=deposit.credited_at,
    )


def _withdrawn(withdrawal: Withdrawal) -> Movement:
    return Movement(
        id=int(withdrawal.id) * _MOST_OF_ONE,
        cause=txid(WITHDRAWAL, withdrawal.id),
        type="withdrawal",
        asset=withdrawal.asset,
        amount=withdrawal.amount.copy_negate(),
        fee=withdrawal.fee,
        at=withdrawal.completed_at or withdrawal.requested_at,
    )


def _traded(fill: Fill) -> Iterator[Movement]:
    base, _, quote = fill.symbol.partition("/")
    is_buy = fill.side is OrderSide.BUY
    amounts = {
        base: fill.amount if is_buy else fill.amount.copy_negate(),
        quote: fill.cost.copy_negate() if is_buy else fill.cost,
    }
    fees = {fill.fee.asset: fill.fee.amount} if fill.fee else {}
    for place, asset in enumerate(amounts | fees):
        yield Movement(
            id=int(fill.id) * _MOST_OF_ONE + place,
            cause=txid(TRADE, fill.id),
            type="trade",
            asset=asset,
            amount=amounts.get(asset, ZERO),
            fee=fees.get(asset, ZERO),
            at=fill.executed_at,
        )


def _row(movement: Movement, balance: Decimal) -> Payload:
    decimals = asset_decimals(movement.asset)
    return {
        "aclass": "currency",
        "amount": number(movement.amount, decimals),
        "asset": asset_id(movement.asset),
        "balance": number(balance, decimals),
        "fee": number(movement.fee, decimals),
        "refid": movement.cause,
        "time": float(unixtime(movement.at)),
        "type": movement.type,
        "subtype": "",
    }
