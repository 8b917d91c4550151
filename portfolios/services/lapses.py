"""Orders that the exchange has proved not to have: taken as lapsed when a person says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import Decision, Discrepancy, ExchangeAccount, Order
from portfolios.reconciliation.execution import lock
from portfolios.services.discrepancies import resolve
from portfolios.services.ledger import order_facts, rewrite_reserved
from providers.reports import OrderStatus

PROPOSALS: Final = (
    Discrepancy.Code.ORDER_MISSING_AT_VENUE,
    Discrepancy.Code.ORDER_RETENTION_EXPIRED,
)
ACCEPTED: Final = "accepted as lapsed"


class LapseRefused(Exception):
    """The order cannot be taken as lapsed; nothing has changed."""


def proposes_lapse(discrepancy: Discrepancy) -> bool:
    """Whether it is proved and says that its order, open in the books, has lapsed."""
    is_proved = discrepancy.state == Discrepancy.State.OPEN and discrepancy.code in PROPOSALS
    return is_proved and discrepancy.order is not None and discrepancy.order.is_open


def released_by_lapse(order: Order) -> tuple[str, Decimal]:
    """Asset and amount that the order's open rest reserves, and that are available again once it has lapsed."""
    return lock(order_facts(order), order.remaining)


@transaction.atomic
def accept_lapse(order: Order, decision: Decision | None = None) -> None:
    """End `order` as lapsed, with what it has filled, and release what its rest reserved.

    Lapsed is what the books conclude; it is never told as the exchange's word, such as rejected.

    Raises
    ------
    LapseRefused
        If no open discrepancy proposes it, or no longer.
    """
    account = ExchangeAccount.objects.select_for_update().get(pk=order.account_id)
    rows = account.discrepancies.filter(order=order, state=Discrepancy.State.OPEN)
    proposals = [row for row in rows.select_related("order") if proposes_lapse(row)]
    if not proposals:
        raise LapseRefused(
            _(
                "Nothing proves any more that order %(order)s of account %(account)s has lapsed. "
                "Nothing was changed; sync the account and look at the order again."
            )
            % {"order": order.external_id or order.client_order_id, "account": account}
        )
    account.orders.filter(pk=order.pk).update(status=OrderStatus.LAPSED)
    rewrite_reserved(account)
    for proposal in proposals:
        resolve(proposal, ACCEPTED, timezone.now(), decision=decision)
