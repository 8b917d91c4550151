"""What a discrepancy means for whoever has to act on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy

Code = Discrepancy.Code

ADVICE: Final[Mapping[str, Promise]] = {
    Code.BALANCE_SHORT: _(
        "The exchange holds less than the books can account for. Look for a withdrawal, a fee or an order that the "
        "exchange's own pages show and PosSync could not read. What its records explain is booked by itself; if they "
        "never will, book an adjustment with your reason."
    ),
    Code.BALANCE_SURPLUS: _(
        "The exchange holds more than the books can account for. Look for a deposit, a reward or an order that the "
        "exchange's own pages show and PosSync could not read. What its records explain is booked by itself; if they "
        "never will, book an adjustment with your reason."
    ),
    Code.BALANCE_LOCK_MISMATCH: _(
        "What the exchange has locked is not what the open orders lock. Look at the exchange for an order that is not "
        "listed here, for one that it has ended meanwhile, or for a withdrawal that has not left yet. Who owns what is "
        "not touched by this."
    ),
    Code.BALANCE_IDENTITY_BROKEN: _(
        "Free and used do not make up the total that the exchange tells. If the rest is lent out or staked, say so by "
        "an asset rule of the account; otherwise compare with the exchange's own pages."
    ),
    Code.BALANCE_NEGATIVE: _(
        "The exchange tells a negative amount, which a spot account should not have: something is borrowed or owed. "
        "Look at the exchange's own pages."
    ),
    Code.ALLOC_OVERCOMMITTED: _(
        "Together the portfolios claim more of this asset than the account holds. Reduce what one of them claims: book "
        "an adjustment, or take back what was given to it."
    ),
    Code.ORDER_EXTERNAL_AFFECTS_OWNED: _(
        "An order that belongs to no portfolio locks an asset that portfolios own. Give the order to the portfolio it "
        "is for, or cancel it at the exchange."
    ),
    Code.ORDER_MISSING_AT_VENUE: _(
        "The exchange was asked for the order several times and says that it has none of this id. Compare with the "
        "exchange's own history; if it is gone, accept that it has lapsed."
    ),
    Code.ORDER_RETENTION_EXPIRED: _(
        "The order ended so long ago that the exchange no longer tells of it. Compare with the exchange's own history; "
        "then accept that it has lapsed."
    ),
    Code.ORDER_UNACKED: _(
        "The books have sent this order and never heard of it. If one of the exchange's orders is it, say so; if it "
        "never arrived, accept that it has lapsed."
    ),
    Code.ORDER_FILLS_INCOMPLETE: _(
        "The order has ended, and the fills that were read do not make up what the exchange says is filled. They are "
        "asked for again at the next syncs; until then its average price is the exchange's word."
    ),
    Code.ORDER_FILLED_UNKNOWN: _(
        "The order has ended, and the exchange does not say how much of it was filled. Nothing is assumed: its fills "
        "are read until they are complete."
    ),
    Code.ORDER_FILL_AHEAD: _(
        "The books have more fills of this order than the exchange says is filled. If it stays, a trade may have been "
        "undone by the exchange: compare the order's fills with the exchange's own history."
    ),
    Code.ORDER_OVERFILLED: _(
        "More was filled than was ordered. Everything is booked as the exchange told it; compare the order with the "
        "exchange's own history."
    ),
    Code.ORDER_STATE_CONFLICT: _(
        "The exchange has told two ends of this order that cannot both be true. The books keep the end that tells of "
        "more; compare the order with the exchange's own history."
    ),
    Code.ORDER_REGRESSION: _(
        "The exchange had ended this order, and shows it open again. The books keep the end. An old answer goes by "
        "itself; if it stays, compare the order with the exchange's own pages."
    ),
    Code.ORDER_ID_CONFLICT: _(
        "The exchange's id and the client id of one report name two orders of the books. Both are frozen: nothing is "
        "applied to them any more. Find out which is right, and correct the other in your book."
    ),
    Code.ORDER_FIELD_MISMATCH: _(
        "Under this id the exchange has an order of another symbol or side. The order is frozen: nothing is applied to "
        "it any more. Its id in your book is probably wrong; correct it there."
    ),
    Code.ORDER_RESURRECTED: _(
        "The books took this order as lapsed, and the exchange tells of it again. Its word counts and is booked; there "
        "is nothing to do but to know it."
    ),
    Code.FILL_ORPHAN: _(
        "A fill belongs to an order that neither the books nor the exchange know. It counts for the account, in the "
        "unassigned part, and joins its order as soon as that is read."
    ),
    Code.FILL_CONFLICT: _(
        "The exchange has told one fill in two ways. The first one counts; compare it with the exchange's own history."
    ),
    Code.FILL_LOCAL_ONLY: _(
        "The exchange has told this fill before, and two whole lists of its time leave it out: the trade may have been "
        "undone. It stays booked. Compare with the exchange's own history; if it was undone there, take it as undone "
        "here: its order, the balances and the gain are then what they are without it."
    ),
    Code.FILL_COVERAGE_GAP: _(
        "Fills of some time or symbol could not be read. They are read again by themselves while the exchange still "
        "tells them; what it no longer tells shows as a difference of a balance."
    ),
    Code.FEE_MISSING: _(
        "The exchange has not told the fee of a fill. It is asked again at the next syncs, and the fee is booked when "
        "it is told."
    ),
    Code.FLOW_PENDING: _(
        "A deposit or withdrawal is on its way. It is booked when the exchange says that it is done."
    ),
    Code.FLOW_UNCLASSIFIED: _(
        "The exchange records a movement of a kind, or in a state, that PosSync does not know. Look at it in the "
        "exchange's own pages, and report it so that it becomes known."
    ),
    Code.FLOW_TRANSFER: _(
        "One side records a transfer and the other does not. Nothing is booked for the side that is silent; compare "
        "the two accounts."
    ),
    Code.SNAPSHOT_IMPLAUSIBLE: _(
        "A read was too strange to be believed at once, such as an account that was suddenly empty. It was kept and "
        "not applied; a second look that says the same makes it count. Press Sync now to look again."
    ),
    Code.SNAPSHOT_PARTIAL: _(
        "A part of the account fails to be read, or is cut short, run after run. What it would tell is unknown "
        "meanwhile: nothing is taken for gone because of it. The exceptions say why; it may need a right of the key."
    ),
    Code.SNAPSHOT_STALE: _(
        "The account is read and nothing differs, yet for long not every asset was proved to agree. An asset that is "
        "traded all the time is blurred by each read: a shorter lag, or a pause in trading, lets it be proved. What "
        "the exchange does not tell cannot be."
    ),
    Code.LOCAL_INTEGRITY: _(
        "What is stored contradicts itself, so nothing is booked for this account any more. Something other than "
        "PosSync has probably written to the database. Run verify_books to see what; restore a backup, or rebuild the "
        "positions from the ledger with rebuild_positions."
    ),
}


def discrepancy_advice(code: str) -> Promise:
    return ADVICE[code]
