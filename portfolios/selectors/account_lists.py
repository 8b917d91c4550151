"""The lists of an account, each with a page of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from portfolios.models import ExchangeAccount, Flow, Portfolio
from portfolios.selectors.account import AccountFrame, account_frame
from portfolios.selectors.coverage import Coverage, account_coverage
from portfolios.selectors.ledger import account_ledger
from portfolios.selectors.listing import (
    ALL,
    Listing,
    Option,
    Query,
    facet,
    one_page,
    one_page_of_list,
    search,
)
from portfolios.selectors.orders import account_fills, account_orders
from portfolios.selectors.ownership import Ownership, account_ownership
from portfolios.services.claims import possible_owners
from providers.reports import FlowKind

_FLOW_KINDS: Final[tuple[Option, ...]] = (
    ALL,
    (FlowKind.DEPOSIT.value, _("Deposit")),
    (FlowKind.WITHDRAWAL.value, _("Withdrawal")),
    (FlowKind.TRANSFER.value, _("Transfer")),
    (FlowKind.REWARD.value, _("Reward")),
    (FlowKind.CONVERSION.value, _("Conversion")),
    (FlowKind.OTHER.value, _("Of unknown kind")),
)


@dataclass(frozen=True, slots=True)
class AccountListPage:
    """One list of an account.

    Parameters
    ----------
    owners : tuple of Portfolio
        To which an order that no portfolio claims can be given; empty on the pages of other lists.
    """

    frame: AccountFrame
    listing: Listing[Any]
    owners: tuple[Portfolio, ...] = ()

    @property
    def account(self) -> ExchangeAccount:
        return self.frame.account


@dataclass(frozen=True, slots=True)
class AccountDecisionsPage:
    """What was decided about an account and can be: a template tag finds it for whoever looks."""

    frame: AccountFrame

    @property
    def account(self) -> ExchangeAccount:
        return self.frame.account


@dataclass(frozen=True, slots=True)
class AccountCoveragePage:
    frame: AccountFrame
    coverage: Coverage

    @property
    def account(self) -> ExchangeAccount:
        return self.frame.account


def account_flows(account: ExchangeAccount, query: Query) -> Listing[Flow]:
    kind = facet(query, "kind", _("Movement"), _FLOW_KINDS)
    words = search(query)
    rows = account.flows.order_by(F("occurred_at").desc(nulls_last=True), "-pk")
    if kind.chosen:
        rows = rows.filter(kind=kind.chosen)
    if words:
        rows = rows.filter(Q(asset__icontains=words) | Q(external_id__icontains=words))
    return one_page(rows, query, (kind,), searched=words)


def account_owners(account: ExchangeAccount, query: Query) -> Listing[Ownership]:
    words = search(query)
    rows = [row for row in account_ownership(account) if words.lower() in row.asset.lower()]
    return one_page_of_list(rows, query, (), searched=words)


ACCOUNT_LISTS: Final[Mapping[str, Callable[[ExchangeAccount, Query], Listing[Any]]]] = {
    "orders": account_orders,
    "fills": account_fills,
    "ledger": account_ledger,
    "flows": account_flows,
    "ownership": account_owners,
}


def account_list_page(pk: int, name: str, query: Query, now: datetime) -> AccountListPage | None:
    """Gather the list `name` of an account; None if there is no account of this key."""
    frame = account_frame(pk, now)
    if frame is None:
        return None
    listing = ACCOUNT_LISTS[name](frame.account, query)
    owners = tuple(possible_owners(frame.account)) if name == "orders" else ()
    return AccountListPage(frame, listing, owners)


def account_coverage_page(pk: int, now: datetime) -> AccountCoveragePage | None:
    frame = account_frame(pk, now)
    if frame is None:
        return None
    return AccountCoveragePage(frame, account_coverage(frame.account, frame.last_run))


def account_decisions_page(pk: int, now: datetime) -> AccountDecisionsPage | None:
    frame = account_frame(pk, now)
    return None if frame is None else AccountDecisionsPage(frame)
