"""Whose an order is that nobody booked: a person's word, a rule's, or that of an order that was sent unacknowledged."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import ClaimRule, Decision, Discrepancy, ExchangeAccount, Order, Portfolio
from portfolios.reconciliation.execution import opening_cost
from portfolios.services.discrepancies import resolve
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import book_order, rewrite_reserved
from providers.redaction import leg_error
from providers.reports import OrderStatus

Kind = ClaimRule.Kind
# How far the exchange's time of an order may be from the books' own.
NEAR: Final = timedelta(minutes=10)
_PRECEDENCE: Final = (Kind.ALL, Kind.SYMBOL, Kind.CLIENT_PREFIX)


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
    unclaimed = _unclaimed(account).filter(pk=order.pk).first()
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
    order.portfolio, order.external = portfolio, False
    order.save()
    book_order(order, None, out_of_unassigned=True)
    order.discrepancy_set.filter(state__in=Discrepancy.LIVE).update(portfolio=portfolio)


def apply_claim_rules(account: ExchangeAccount) -> int:
    """Give the orders that no portfolio claims to those whose rules fit; how many there were.

    Those of an account that is only observed are left alone. One that may be an order which was sent and not
    acknowledged is left for a person to match. Each is all or nothing: one that cannot be given is recorded and does
    not keep the next from its turn.
    """
    rules = list(
        account.claim_rules.filter(portfolio__in=possible_owners(account)).select_related(
            "portfolio"
        )
    )
    if not rules or account.policy != ExchangeAccount.Policy.STANDARD:
        return 0
    with transaction.atomic():
        claimed = 0
        ExchangeAccount.objects.select_for_update().get(pk=account.pk)
        for order in _unclaimed(account).filter(_any_fits(rules), frozen_because=""):
            rule = rule_for(order, rules)
            if rule is not None and not _sent(_alike(order)).exists():
                claimed += _claim_apart(order, rule.portfolio)
        if claimed:
            rewrite_reserved(account)
    return claimed


def rule_for(order: Order, rules: Iterable[ClaimRule]) -> ClaimRule | None:
    """Find the rule that decides: the longest prefix of the client id that fits, then the symbol, then all."""
    return max(
        (rule for rule in rules if _fits(rule, order)),
        key=lambda rule: (_PRECEDENCE.index(Kind(rule.kind)), len(rule.value)),
        default=None,
    )


def _fits(rule: ClaimRule, order: Order) -> bool:
    if rule.kind == Kind.CLIENT_PREFIX:
        return order.client_order_id.startswith(rule.value)
    return rule.kind == Kind.ALL or rule.value == order.symbol


def _any_fits(rules: Iterable[ClaimRule]) -> Q:
    """Narrow what the database reads; SQLite takes prefixes of either case, so `_fits` decides."""
    wanted = Q()
    for rule in rules:
        if rule.kind == Kind.ALL:
            return Q()
        if rule.kind == Kind.SYMBOL:
            wanted |= Q(symbol=rule.value)
        else:
            wanted |= Q(client_order_id__startswith=rule.value)
    return wanted


def _claim_apart(order: Order, portfolio: Portfolio) -> bool:
    try:
        with transaction.atomic():
            hand_over(order, portfolio)
    except Exception as e:  # whatever is wrong with one order stays with that order
        record_incident(
            order.account, leg_error(e), "claims.apply", run=None, subject=order.external_id
        )
        return False
    return True


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
    return orders.filter(status=OrderStatus.CREATED, external_id="", portfolio__isnull=False)


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


def _take_over(sent: Order, kept: Order, owner: Portfolio, decision: Decision | None) -> None:
    kept.refresh_from_db()
    kept.client_order_id, kept.book_values = sent.client_order_id, sent.book_values
    kept.opening_filled = sent.opening_filled
    kept.opening_cost = opening_cost(sent.opening_filled, average=kept.average, price=kept.price)
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


def _unclaimed(account: ExchangeAccount) -> QuerySet[Order]:
    return account.orders.filter(external=True, portfolio=None).select_related("account")


def possible_owners(account: ExchangeAccount) -> QuerySet[Portfolio]:
    return account.portfolios.filter(mode=Portfolio.Mode.LIVE)


def _names(order: Order) -> dict[str, str]:
    return {
        "order": order.external_id or order.client_order_id,
        "account": str(order.account),
    }
