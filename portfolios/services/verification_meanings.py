"""What a difference that verify_books finds means for whoever reads of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.reconciliation.verification import Check

# What is wrong, and what to do about it.
MEANINGS: Final[Mapping[Check, Promise]] = {
    Check.POSITION: _(
        "A position is not the sum of its ledger entries: something other than PosSync wrote it. "
        "The ledger counts; restore the database from a backup."
    ),
    Check.COST: _(
        "The cost of a position is not the sum of its ledger entries: something other than PosSync wrote it. "
        "The ledger counts; restore the database from a backup."
    ),
    Check.ORDER: _(
        "The ledger has not booked what the order and its fills say. Sync the account; if the difference stays, "
        "compare the order with the exchange and restore the database from a backup."
    ),
    Check.ENTRY: _(
        "A ledger entry belongs to no booking of an order, a fill or a flow: something other than PosSync wrote it. "
        "Restore the database from a backup."
    ),
    Check.CLAIM: _(
        "What a claimed order brought its portfolio was not taken out of the unassigned part, so that it counts twice. "
        "Compare the account's balance of this asset with the exchange."
    ),
    Check.FEES: _(
        "An order shows other fees than its fills, which are all of it: something other than PosSync wrote them. "
        "Restore the database from a backup."
    ),
    Check.REFERENCE: _(
        "A row names another one that is gone: something other than PosSync deleted it. "
        "Restore the database from a backup."
    ),
    Check.UNREADABLE: _(
        "A row holds what is no value of its kind: something other than PosSync wrote it. "
        "Restore the database from a backup."
    ),
    Check.PLACE: _(
        "A fill or a movement is kept at another account than its order or its bookings: something other than PosSync "
        "wrote it. Restore the database from a backup."
    ),
    Check.FILL: _(
        "A fill is of another symbol or side than its order: something other than PosSync wrote it. "
        "Restore the database from a backup."
    ),
    Check.LOOSE_FILL: _(
        "The ledger has not booked what a fill without an order has moved. Sync the account; if the difference stays, "
        "compare the fill with the exchange and restore the database from a backup."
    ),
    Check.ATTACHED_FILL: _(
        "A fill that was booked before its order was known was not taken back when the order booked it, so that it "
        "counts twice. Compare the account's balance of this asset with the exchange."
    ),
    Check.FLOW: _(
        "The ledger has not booked what the exchange's record of a deposit, withdrawal or other movement says. Sync "
        "the account; if the difference stays, compare the record with the exchange and restore the database from a "
        "backup."
    ),
    Check.OVERFILL: _(
        "An ended order has more fills than the exchange says is filled, and no discrepancy tells of it. "
        "Compare the order's fills with the exchange."
    ),
    Check.RESERVED: _(
        "What is reserved is not what the open orders lock. Sync the account: it is written anew."
    ),
    Check.GAIN: _(
        "The gain of a trade is not its cash beyond the change of the cost: something other than PosSync wrote the "
        "entry. Restore the database from a backup."
    ),
    Check.REALIZED_GAIN: _(
        "The portfolio's realised gain is not the sum of its ledger entries: something other than PosSync wrote it. "
        "The ledger counts; restore the database from a backup."
    ),
    Check.SALE: _(
        "A trade changed the cost by something else than first in, first out makes it: something other than PosSync "
        "wrote an entry. Restore the database from a backup."
    ),
    Check.OPENING: _(
        "An opening belongs to no portfolio that was opened so, or it is a second one of the same asset. "
        "Restore the database from a backup."
    ),
    Check.OPENING_OPPOSITE: _(
        "What a portfolio was opened with was not taken out of the unassigned part, so that it counts twice. "
        "Compare the account's balance of this asset with the exchange."
    ),
    Check.NET_SIZE: _(
        "The opening cash, from which the net size is reckoned, is not what the ledger opened the portfolio with. "
        "The ledger counts; restore the database from a backup."
    ),
    Check.RELEASE: _(
        "An order that was taken from a portfolio has left something there. Restore the database from a backup."
    ),
    Check.DECISION: _(
        "What a decision booked is not what the person gave: something other than PosSync wrote it. "
        "Restore the database from a backup."
    ),
    Check.BASELINE: _(
        "The ledger up to the baseline is not what the exchange was read to hold then: something other than PosSync "
        "wrote it. Restore the database from a backup."
    ),
    Check.TOTAL: _(
        "The portfolios of the account and its unassigned part do not make up its ledger: a portfolio was moved to "
        "another account. Move it back, or restore the database from a backup."
    ),
}
