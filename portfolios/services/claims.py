"""Whose an order is that nobody booked: a person's word, or that of an order that was sent unacknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import Decision, Discrepancy, ExchangeAccount, Order, Portfolio
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.execution import opening_cost
from portfolios.services.discrepancies import resolve
from portfolios.services.journal import posted
from portfolios.services.ledger import book_order, rewrite_reserved
from providers.reports import OrderReport, OrderStatus

# How far the exchange's time of an order may be from the books' own.
NEAR: Final = timedelta(minutes=10)


class ClaimRefused(Exception):
    """The order cannot be given away as asked; nothing has changed."""


@transaction.atomic
def claim_order(order: Order, portfolio: Portfolio) -> None:
    """Give an order that no portfolio claims to `portfolio`, with all that was booked for it.

    The account's totals stay. What the order had filled before the account's baseline stays in the unassigned part.

    Raises
    ------
    ClaimRefused
        If the order has an owner already, or the portfolio is a backtest or of another account.
    """
    account = _locked(order)
    unclaimed = unclaimed_orders(account).filter(pk=order.pk).first()
    owner = possible_owners(account).filter(pk=portfolio.pk).first()
    if unclaimed is None:
        raise ClaimRefused(
            _(
                "Order %(order)s of account %(account)s belongs to a portfolio already, or is gone. "
                "Nothing was changed; look at the account's orders again."
            )
            % _names(order)
        )
    if owner is None:
        raise ClaimRefused(
            _(
                "Order %(order)s of account %(account)s can only go to a live portfolio of that account, "
                "which %(portfolio)s is not. Nothing was changed; choose another one."
            )
            % {**_names(order), "portfolio": portfolio}
        )
    hand_over(unclaimed, owner)
    rewrite_reserved(account)


def hand_over(order: Order, portfolio: Portfolio) -> None:
    """Make `order` and what was booked for it `portfolio`'s; the caller holds the account and rewrites its locks."""
    order.portfolio, order.external, order.is_released = portfolio, False, False
    order.save()
    with posted(order.account) as journal:
        book_order(order, None, journal, out_of_unassigned=True)
    order.discrepancy_set.filter(state__in=Discrepancy.LIVE).update(portfolio=portfolio)


def note_counted(order: Order) -> None:
    """Note that what a book counts of an order as filled it counts only since the account has its baseline.

    No portfolio books that, so that what was filled of it since the baseline is the unassigned part's.
    """
    if order.opening_filled and order.account.baseline_at is not None:
        order.joined_after_baseline = True


def may_have_been_sent(order: Order) -> bool:
    """Whether it may be an order that a book has sent and no exchange has acknowledged."""
    return _sent(_alike(order)).exists()


def unacked_match(order: Order) -> Order | None:
    """Find the exchange's order that an order which was sent, but never acknowledged, can only be.

    It has the same symbol, side, price and amount, was created within `NEAR` of it, and no portfolio claims it. None
    if there is no such order or more than one, or if it could as well be another one that was sent.
    """
    candidates = list(_alike(order).filter(external=True, portfolio=None, frozen_because="")[:2])
    if len(candidates) != 1:
        return None
    [candidate] = candidates
    rivals = _sent(_alike(candidate))
    return candidate if set(rivals.values_list("pk", flat=True)) == {order.pk} else None


def _sent(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Narrow to what a book has sent and no exchange has acknowledged."""
    sent = orders.filter(status=OrderStatus.CREATED, external_id="", portfolio__isnull=False)
    return sent.filter(is_backtest=False)


def _alike(order: Order) -> QuerySet[Order]:
    others = Order.objects.filter(account=order.account_id).exclude(pk=order.pk)
    if order.created_at is None:
        return others.none()
    return others.filter(
        symbol=order.symbol,
        side=order.side,
        price=order.price,
        amount=order.amount,
        created_at__range=(order.created_at - NEAR, order.created_at + NEAR),
    )


@transaction.atomic
def accept_match(order: Order, candidate: Order, decision: Decision | None = None) -> Order:
    """Take `candidate`, an order of the exchange, for the one that was sent as `order`, and return it.

    The exchange's row stays, with its facts; it becomes the portfolio's and is known by its client id from now on.
    The row that only said what was sent goes, and its discrepancies go over to the one that stays.

    Raises
    ------
    ClaimRefused
        If `candidate` is not the only order that it can be, or no longer.
    """
    account = _locked(order)
    sent = account.orders.select_related("portfolio").filter(pk=order.pk).first()
    kept = unacked_match(sent) if sent is not None and not _has_facts(sent) else None
    if sent is None or sent.portfolio is None or kept != candidate:
        raise ClaimRefused(
            _(
                "Order %(order)s of account %(account)s can no longer be taken for order %(candidate)s of the "
                "exchange. Nothing was changed; sync the account and look at the discrepancy again."
            )
            % {**_names(order), "candidate": candidate.external_id}
        )
    _take_over(sent, candidate, sent.portfolio, decision)
    rewrite_reserved(account)
    return candidate


def match_named(account: ExchangeAccount, told: Mapping[str, Sequence[OrderReport]]) -> None:
    """Take orders that nobody claims for those that were sent, now that the exchange tells their client ids.

    It had left these out before. The caller holds the account and rewrites its locks.

    Parameters
    ----------
    told : Mapping of str to sequence of OrderReport
        What is reported under each client id.
    """
    rows = account.orders.filter(external_id="", client_order_id__in=list(told))
    sent = rows.filter(status__in=OPEN_STATUSES, portfolio__mode=Portfolio.Mode.LIVE)
    for order in sent.select_related("portfolio").order_by("pk"):
        named = {(row.symbol, row.external_id) for row in told[order.client_order_id]}
        seen = unclaimed_orders(account).filter(
            external_id__in={id_ for _, id_ in named},
            client_order_id="",
            is_released=False,
            symbol=order.symbol,
            side=order.side,
        )
        if len(named) == 1 and order.portfolio and not _has_facts(order):
            for kept in seen.filter(symbol__in={symbol for symbol, _ in named}):
                _take_over(order, kept, order.portfolio, None)


def _take_over(sent: Order, kept: Order, owner: Portfolio, decision: Decision | None) -> None:
    kept.refresh_from_db()
    kept.client_order_id, kept.book_values = sent.client_order_id, sent.book_values
    kept.opening_filled = sent.opening_filled
    kept.opening_cost = opening_cost(sent.opening_filled, average=kept.average, price=kept.price)
    note_counted(kept)
    cause = f"is order {kept.external_id} of the exchange"
    for row in sent.discrepancy_set.filter(state__in=Discrepancy.LIVE):
        resolve(row, cause, timezone.now(), decision=decision)
    sent.discrepancy_set.update(order=kept)
    sent.delete()
    hand_over(kept, owner)


def _has_facts(order: Order) -> bool:
    return order.fills.exists() or order.ledger_entries.exists()


def _locked(order: Order) -> ExchangeAccount:
    return ExchangeAccount.objects.select_for_update().get(pk=order.account_id)


def unclaimed_orders(account: ExchangeAccount) -> QuerySet[Order]:
    return account.orders.filter(external=True, portfolio=None).select_related("account")


def possible_owners(account: ExchangeAccount) -> QuerySet[Portfolio]:
    return account.portfolios.filter(mode=Portfolio.Mode.LIVE)


def _names(order: Order) -> dict[str, str]:
    return {
        "order": order.external_id or order.client_order_id,
        "account": str(order.account),
    }
