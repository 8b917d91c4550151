"""Orders that nobody booked, given to portfolios by rules; each is noted as a decision of the rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.models import ClaimRule, Decision, ExchangeAccount, LedgerEntry, Order
from portfolios.services.claims import (
    hand_over,
    may_have_been_sent,
    possible_owners,
    unclaimed_orders,
)
from portfolios.services.decisions.changes import UNASSIGNED, Change, Changes
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import rewrite_reserved
from providers.redaction import leg_error

Kind = ClaimRule.Kind
_PRECEDENCE: Final = (Kind.ALL, Kind.SYMBOL, Kind.CLIENT_PREFIX)


def apply_claim_rules(account: ExchangeAccount) -> int:
    """Give the orders that no portfolio claims to those whose rules fit; how many there were.

    Those of an account that is only observed are left alone, and those that a person took from a portfolio. One that
    may be an order which was sent and not acknowledged is left for a person to match. Each is all or nothing: one that
    cannot be given is recorded and does not keep the next from its turn.
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
        free = unclaimed_orders(account).filter(frozen_because="", is_released=False)
        for order in free.filter(_any_fits(rules)):
            rule = rule_for(order, rules)
            if rule is not None and not may_have_been_sent(order):
                claimed += _claim_apart(order, rule)
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


def _claim_apart(order: Order, rule: ClaimRule) -> bool:
    try:
        with transaction.atomic():
            before = set(order.ledger_entries.values_list("pk", flat=True))
            hand_over(order, rule.portfolio)
            _note(order, rule, order.ledger_entries.exclude(pk__in=before).order_by("pk"))
    except Exception as e:  # whatever is wrong with one order stays with that order
        record_incident(
            order.account, leg_error(e), "claims.apply", run=None, subject=order.external_id
        )
        return False
    return True


def _note(order: Order, rule: ClaimRule, entries: Iterable[LedgerEntry]) -> None:
    """Leave what a person's claim leaves: what changed, by which rule, so that it can be taken back."""
    name = order.external_id or order.client_order_id
    claimed = Change("order", name, "portfolio", UNASSIGNED, rule.portfolio.name)
    booked = [
        Change("entry", f"{x.asset} {x.portfolio or UNASSIGNED}", x.cause, None, plain(x.amount))
        for x in entries
    ]
    Decision.objects.create(
        account=order.account,
        kind=Decision.Kind.CLAIM_ORDER,
        subject=f"order {name}"[:200],
        given={"order": order.pk, "portfolio": rule.portfolio.pk, "rule": rule.pk},
        changes=Changes((claimed, *booked), ()).as_json(),
        reason=str(rule)[:500],
        actor_name=_("claim rule"),
    )
