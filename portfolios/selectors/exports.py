"""Every list whole, row by row: what the exports stream, narrowed and sorted as its page is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Model, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import (
    AssetBalance,
    Decision,
    Discrepancy,
    ExchangeAccount,
    Fill,
    Flow,
    Incident,
    JudgedSnapshot,
    LedgerEntry,
    Order,
    Portfolio,
    Position,
    SyncRun,
)
from portfolios.selectors.account import account_balances
from portfolios.selectors.account_lists import account_flows, account_owners
from portfolios.selectors.accounts import accounts_page
from portfolios.selectors.audit import audit_listing, audit_rows
from portfolios.selectors.coverage import last_coverage
from portfolios.selectors.decisions import decisions_listing
from portfolios.selectors.discrepancies import discrepancies_listing
from portfolios.selectors.incidents import listed_incidents
from portfolios.selectors.ledger import account_ledger, portfolio_ledger
from portfolios.selectors.listing import Query, is_key
from portfolios.selectors.orders import (
    account_fills,
    account_orders,
    portfolio_fills,
    portfolio_orders,
)
from portfolios.selectors.report import (
    Row,
    balance_row,
    order_row,
    portfolio_row,
    position_row,
    run_row,
)
from portfolios.selectors.rows import (
    coverage_rows,
    decision_row,
    entry_row,
    event_row,
    fill_row,
    flow_row,
    leg_row,
    numbered_discrepancy_row,
    numbered_incident_row,
    occurrence_row,
    owned_position_row,
    schedule_row,
    share_rows,
    snapshot_row,
    standing_rows,
    verdict_row,
)
from portfolios.selectors.runs import runs_page
from portfolios.selectors.standings import Standing
from portfolios.selectors.verdicts import past_verdicts

_ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Export:
    """One list that can be exported.

    Parameters
    ----------
    rows : callable
        All rows of it, by what it is a list of, the query of its page and the time.
    row : callable
        One of them as plain values; None where they are that already.
    permission : str
        What somebody must be allowed who reads the list.
    """

    word: str | Promise
    rows: Callable[[Any, Query, datetime], Iterable[Any]]
    row: Callable[[Any], Row] | None = None
    permission: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a table, unfiltered, and one of them as plain values."""

    word: str | Promise
    rows: Callable[[], QuerySet[Any]]
    row: Callable[[Any], Row]


def find_export(of: str, name: str) -> Export | None:
    """Find the list `name` of a page that is about `of`; empty for the lists of everything."""
    return EXPORTS.get(of, {}).get(name)


def export_owner(of: str, pk: int) -> Model | None:
    """Find what the list is of; None if there is none of this key."""
    return OWNERS[of]().filter(pk=pk).first() if of in OWNERS and is_key(str(pk)) else None


def exported(export: Export, owner: Model | None, query: Query, now: datetime) -> Iterator[Row]:
    """Read the rows that the page of the list shows for `query`, a few hundred at a time."""
    rows = export.rows(owner, query, now)
    if isinstance(rows, QuerySet):
        rows = rows.iterator(chunk_size=_ROWS_AT_ONCE)
    return map(export.row, rows) if export.row else iter(rows)


TABLES: Final[Mapping[str, Table]] = {
    "balances": Table(
        _("Balances"), lambda: AssetBalance.objects.select_related("account"), balance_row
    ),
    "positions": Table(
        _("Positions"),
        lambda: Position.objects.select_related("account", "portfolio"),
        owned_position_row,
    ),
    "orders": Table(
        _("Orders"), lambda: Order.objects.select_related("account", "portfolio"), order_row
    ),
    "fills": Table(
        _("Fills"), lambda: Fill.objects.select_related("account", "order__portfolio"), fill_row
    ),
    "flows": Table(_("Flows"), lambda: Flow.objects.select_related("account"), flow_row),
    "ledger": Table(
        _("Ledger"),
        lambda: LedgerEntry.objects.select_related("account", "portfolio", "order", "fill", "flow"),
        entry_row,
    ),
    "discrepancies": Table(
        _("Discrepancies"),
        lambda: Discrepancy.objects.select_related("account", "portfolio", "order"),
        numbered_discrepancy_row,
    ),
    "decisions": Table(
        _("Decisions"), lambda: Decision.objects.select_related("account"), decision_row
    ),
    "exceptions": Table(
        _("Exceptions"), lambda: Incident.objects.select_related("account"), numbered_incident_row
    ),
    "runs": Table(
        _("Runs"),
        lambda: SyncRun.objects.select_related("account").prefetch_related("legs"),
        run_row,
    ),
}


def _whole_table(name: str) -> Export:
    """Export a table that has no page for all accounts together: of the one that the query names, or of all."""

    def rows(_owner: None, query: Query, _now: datetime) -> QuerySet[Any]:
        account = query.get("account", "")
        found = TABLES[name].rows().order_by("pk")
        return found.filter(account=int(account)) if is_key(account) else found

    return Export(TABLES[name].word, rows, TABLES[name].row)


def _listed_standings(query: Query, now: datetime) -> list[Standing]:
    found: list[Standing] = accounts_page(query, now).listing.whole
    account = query.get("account", "")
    return [row for row in found if row.pk == int(account)] if is_key(account) else found


def _listed_accounts(query: Query, now: datetime) -> list[ExchangeAccount]:
    keys = [standing.pk for standing in _listed_standings(query, now)]
    found = ExchangeAccount.objects.in_bulk(keys)
    return [found[key] for key in keys if key in found]


def _portfolios(_owner: None, query: Query, now: datetime) -> QuerySet[Portfolio]:
    of_accounts = Portfolio.objects.filter(account__in=_listed_accounts(query, now))
    rows = of_accounts.select_related("account").prefetch_related("positions")
    return rows.order_by("account__label", "name")


def _schedules(_owner: None, query: Query, now: datetime) -> Iterator[Row]:
    return (schedule_row(account, now) for account in _listed_accounts(query, now))


def _with_all_causes(rows: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
    return rows.select_related("account", "portfolio", "order", "fill", "flow")


def _plain_orders(rows: QuerySet[Order]) -> QuerySet[Order]:
    # Notes are for the page alone.
    return rows.prefetch_related(None).select_related("account", "portfolio")


def _joined(rows: QuerySet[Discrepancy]) -> QuerySet[Discrepancy]:
    # All are read, so all that they belong to may be read with them.
    return rows.prefetch_related(None).select_related("account", "portfolio", "order")


def _verdicts(run: SyncRun, _query: Query, _now: datetime) -> Iterable[Any]:
    snapshot = JudgedSnapshot.objects.select_related("content").filter(run=run).first()
    return past_verdicts(snapshot) if snapshot else ()


def _of_everything() -> dict[str, Export]:
    whole = ("balances", "positions", "orders", "fills", "flows", "ledger")
    return {name: _whole_table(name) for name in whole} | {
        "accounts": Export(
            _("Accounts"), lambda _o, q, now: standing_rows(_listed_standings(q, now))
        ),
        "portfolios": Export(_("Portfolios"), _portfolios, portfolio_row),
        "schedules": Export(_("Schedules"), _schedules),
        "discrepancies": Export(
            _("Discrepancies"),
            lambda _o, q, now: _joined(discrepancies_listing(q, now).whole),
            numbered_discrepancy_row,
        ),
        "decisions": Export(
            _("Decisions"), lambda _o, q, _now: decisions_listing(q).whole, decision_row
        ),
        "exceptions": Export(
            _("Exceptions"), lambda _o, q, _now: listed_incidents(q), numbered_incident_row
        ),
        "runs": Export(
            _("Runs"),
            lambda _o, q, now: runs_page(q, now).listing.whole.prefetch_related("legs"),
            run_row,
        ),
        "audit": Export(
            _("Audit"),
            lambda _o, q, now: audit_rows(
                audit_listing(q, now).whole.iterator(chunk_size=_ROWS_AT_ONCE)
            ),
            permission="portfolios.view_auditevent",
        ),
    }


def _of_an_account() -> dict[str, Export]:
    return {
        "balances": Export(
            _("Balances"),
            lambda o, q, _now: account_balances(o, q).whole.select_related("account"),
            balance_row,
        ),
        "orders": Export(
            _("Orders"), lambda o, q, _now: _plain_orders(account_orders(o, q).whole), order_row
        ),
        "fills": Export(
            _("Fills"),
            lambda o, q, _now: account_fills(o, q).whole.select_related("account"),
            fill_row,
        ),
        "ledger": Export(
            _("Ledger"),
            lambda o, q, _now: _with_all_causes(account_ledger(o, q).whole),
            entry_row,
        ),
        "flows": Export(
            _("Flows"),
            lambda o, q, _now: account_flows(o, q).whole.select_related("account"),
            flow_row,
        ),
        "ownership": Export(
            _("Who owns what"), lambda o, q, _now: share_rows(o, account_owners(o, q).whole)
        ),
        "coverage": Export(_("Coverage"), lambda o, _q, _now: coverage_rows(o, last_coverage(o))),
        "decisions": Export(
            _("Decisions"),
            lambda o, _q, _now: o.decisions.select_related("account").order_by("-pk"),
            decision_row,
        ),
    }


def _of_a_portfolio() -> dict[str, Export]:
    return {
        "positions": Export(
            _("Positions"), lambda o, _q, _now: o.positions.order_by("asset"), position_row
        ),
        "orders": Export(
            _("Orders"), lambda o, q, _now: _plain_orders(portfolio_orders(o, q).whole), order_row
        ),
        "fills": Export(
            _("Fills"),
            lambda o, q, _now: portfolio_fills(o, q).whole.select_related("account"),
            fill_row,
        ),
        "ledger": Export(
            _("Ledger"),
            lambda o, q, _now: _with_all_causes(portfolio_ledger(o, q).whole),
            entry_row,
        ),
        "history": Export(
            _("History"),
            lambda o, _q, _now: o.snapshots.select_related("portfolio").order_by("-pk"),
            snapshot_row,
        ),
    }


def _of_a_run() -> dict[str, Export]:
    return {
        "legs": Export(
            _("Reads"),
            lambda o, _q, _now: o.legs.defer("content").order_by("pk"),
            leg_row,
        ),
        "ledger": Export(
            _("Ledger"), lambda o, _q, _now: _with_all_causes(o.ledger_entries.all()), entry_row
        ),
        "verdicts": Export(_("Verdicts"), _verdicts, verdict_row),
    }


EXPORTS: Final[Mapping[str, Mapping[str, Export]]] = {
    "": _of_everything(),
    "accounts": _of_an_account(),
    "portfolios": _of_a_portfolio(),
    "runs": _of_a_run(),
    "exceptions": {
        "occurrences": Export(
            _("Occurrences"), lambda o, _q, _now: o.occurrences.order_by("-pk"), occurrence_row
        )
    },
    "discrepancies": {
        "history": Export(
            _("History"),
            lambda o, _q, _now: o.events.select_related("decision").order_by("-pk"),
            event_row,
        )
    },
}
OWNERS: Final[Mapping[str, Callable[[], QuerySet[Any]]]] = {
    "accounts": ExchangeAccount.objects.all,
    "portfolios": Portfolio.objects.all,
    "runs": SyncRun.objects.all,
    "exceptions": Incident.objects.all,
    "discrepancies": Discrepancy.objects.all,
}
