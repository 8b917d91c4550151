"""Queries of every sync, or of tables that only grow, are answered from an index on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from portfolios.models import Discrepancy, ExchangeAccount, Fill, LedgerEntry, SyncRun
from portfolios.models.choices import Verdict
from portfolios.models.order import OPEN_STATUSES
from portfolios.selectors.accounts import strips_of
from portfolios.selectors.listing import Listing
from portfolios.selectors.metrics import ended_since, metrics_text
from portfolios.selectors.orders import account_fills, portfolio_orders
from portfolios.selectors.runs import runs_page
from portfolios.services.effects import orders_since
from portfolios.services.flows import UNSETTLED
from portfolios.services.traded_symbols import EACH_SYMBOL
from tests.builders import NOON, make_account, make_portfolio

pytestmark = pytest.mark.django_db
Asked = Callable[[ExchangeAccount], QuerySet[Any]]
LIVE = Discrepancy.LIVE


def listed(listing: Listing[Any]) -> QuerySet[Any]:
    rows = listing.page.paginator.object_list
    assert isinstance(rows, QuerySet)
    return rows


# What is asked, and what of it SQLite's plan says that an index is searched for.
FOUND: list[tuple[str, str, Asked]] = [
    (
        "due accounts",
        "next_sync_at<?",
        lambda _: ExchangeAccount.objects.filter(next_sync_at__lte=NOON).order_by("next_sync_at"),
    ),
    (
        "the open run of an account",
        "account_id=? AND status=?",
        lambda account: account.runs.filter(status__in=["queued", "running"]).order_by("status"),
    ),
    (
        "all open runs",
        "status=?",
        lambda _: SyncRun.objects.filter(status="running").order_by(),
    ),
    ("runs that ended of late", "finished_at>?", lambda _: ended_since(NOON)),
    (
        "runs since a while ago",
        "queued_at>?",
        lambda _: listed(runs_page({"since": "day"}, NOON).listing).order_by(),
    ),
    (
        "the last runs of shown accounts",
        "account_id=? AND rowid>?",
        lambda account: strips_of([account.pk, account.pk + 1]),
    ),
    ("the legs of a run", "run_id=?", lambda account: account.runs.model(pk=1).legs.all()),
    (
        "the newest settled look",
        "account_id=?",
        lambda account: account.snapshots.filter(settled_at__isnull=False).order_by("-pk")[:1],
    ),
    (
        "live differences of an account",
        "account_id=? AND state=?",
        lambda account: account.discrepancies.filter(state__in=LIVE).order_by(),
    ),
    (
        "live differences",
        "state=?",
        lambda _: Discrepancy.objects.filter(state__in=LIVE).order_by(),
    ),
    (
        "open orders of an account",
        "account_id=? AND status=?",
        lambda account: account.orders.filter(status__in=OPEN_STATUSES).order_by(),
    ),
    (
        "orders whose fills are wanted",
        "account_id=? AND fills_wanted>?",
        lambda account: account.orders.filter(fills_wanted__gt=0).order_by(),
    ),
    (
        "orders of late",
        "account_id=? AND updated_at>?",
        lambda account: account.orders.filter(updated_at__gt=NOON).order_by(),
    ),
    (
        "orders without a time",
        "account_id=? AND updated_at=?",
        lambda account: account.orders.filter(updated_at=None).order_by(),
    ),
    (
        "orders by the exchange's id",
        "account_id=? AND external_id=?",
        lambda account: account.orders.filter(external_id__in=["1", "2"]).order_by(),
    ),
    (
        "orders by their client id",
        "account_id=? AND client_order_id=?",
        lambda account: account.orders.filter(client_order_id="a").order_by(),
    ),
    (
        "orders filled since a moment",
        "account_id=? AND rowid=?",
        lambda account: orders_since(account, NOON),
    ),
    (
        "fills of an order",
        "order_id=?",
        lambda _: Fill.objects.filter(order=1).order_by(),
    ),
    (
        "fills of no order",
        "account_id=? AND order_id=?",
        lambda account: account.fills.filter(order=None).order_by(),
    ),
    (
        "recent fills",
        "account_id=? AND executed_at>?",
        lambda account: account.fills.filter(executed_at__gt=NOON - timedelta(days=1)),
    ),
    (
        "movements on their way",
        "account_id=? AND status=?",
        lambda account: account.flows.filter(status__in=UNSETTLED).order_by(),
    ),
    (
        "what was booked since a run",
        "account_id=? AND run_id>?",
        lambda account: account.ledger_entries.filter(run__gt=7).order_by(),
    ),
    (
        "what an owner holds",
        "account_id=? AND portfolio_id=? AND asset=?",
        lambda account: account.ledger_entries.filter(portfolio=1, asset="BTC").order_by(),
    ),
    (
        "balances that differ",
        "account_id=?",
        lambda account: account.balances.filter(verdict=Verdict.DIFFERS).order_by(),
    ),
    (
        "contents by digest",
        "account_id=? AND digest=?",
        lambda account: account.leg_contents.filter(digest__in=["a"]),
    ),
]

# Pages of long lists: found and sorted by an index, so that the first rows are all that is read.
SORTED: list[tuple[str, str, Asked]] = [
    ("runs of an account", "account_id=?", lambda account: account.runs.order_by("-pk")),
    (
        "runs of a state",
        "status=?",
        lambda _: SyncRun.objects.filter(status="failed").order_by("-pk"),
    ),
    (
        "orders of an account",
        "account_id=?",
        lambda account: account.orders.order_by("-created_at", "-pk"),
    ),
    (
        "the ledger of a portfolio",
        "portfolio_id=?",
        lambda _: LedgerEntry.objects.filter(portfolio=1).order_by("-pk"),
    ),
    (
        "the last entry of an account",
        "account_id=?",
        lambda account: account.ledger_entries.order_by("-pk"),
    ),
    (
        "fills of an account",
        "account_id=?",
        lambda account: account.fills.order_by("executed_at", "pk"),
    ),
    (
        "newest fills of an account",
        "account_id=?",
        lambda account: listed(account_fills(account, {})),
    ),
    (
        "newest orders of a portfolio",
        "portfolio_id=?",
        lambda account: listed(portfolio_orders(make_portfolio(account), {"orders": "all"})),
    ),
]


def plan_of(asked: Asked) -> str:
    rows = asked(make_account())
    if connection.vendor == "sqlite":
        return rows.explain()
    with connection.cursor() as cursor:
        # Of an empty table the planner would read all; it is asked whether it can do otherwise.
        cursor.execute("SET LOCAL enable_seqscan = off")
    return rows.explain()


@pytest.mark.parametrize(
    ("searched", "asked"),
    [each[1:] for each in (*FOUND, *SORTED)],
    ids=[each[0] for each in (*FOUND, *SORTED)],
)
def test_it_is_found_by_an_index(searched: str, asked: Asked) -> None:
    plan = plan_of(asked)

    if connection.vendor == "sqlite":
        assert f"({searched})" in plan
    else:
        assert "Index" in plan
        assert "Seq Scan" not in plan


def test_the_symbols_of_an_account_are_found_one_by_one_in_the_index() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            explain = "EXPLAIN QUERY PLAN"
        else:
            cursor.execute("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN"
        cursor.execute(f"{explain} {EACH_SYMBOL}", [make_account().pk] * 2)
        plan = str(cursor.fetchall())

    if connection.vendor == "sqlite":
        assert "USING COVERING INDEX order_account_symbol (account_id=? AND symbol>?)" in plan
    else:
        assert "Index" in plan
        assert "Seq Scan" not in plan


@pytest.mark.parametrize("asked", [each[2] for each in SORTED], ids=[each[0] for each in SORTED])
def test_the_first_page_of_it_is_not_sorted_first(asked: Asked) -> None:
    plan = plan_of(lambda account: asked(account)[:25])

    # PostgreSQL sorts what has equal times by itself; of an empty table it sorts all.
    assert connection.vendor == "postgresql" or "TEMP B-TREE" not in plan, plan


# Of three months, so that a planner has something to choose from.
ACCOUNTS = 20
RUNS = 300


def past_runs() -> Iterator[SyncRun]:
    accounts = [make_account() for _ in range(ACCOUNTS)]
    for number in range(RUNS):
        at = NOON - timedelta(days=90) * number / RUNS
        for account in accounts:
            yield SyncRun(
                account=account,
                trigger=SyncRun.Trigger.SCHEDULE,
                status=SyncRun.Status.FAILED if number % 9 == 0 else SyncRun.Status.SUCCEEDED,
                queued_at=at,
                finished_at=at,
            )


def plans_of_runs(asking: Callable[[], object], column: str) -> list[str]:
    """Explain the queries of `asking` that narrow runs by `column`, as they are asked."""
    SyncRun.objects.bulk_create(past_runs())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE portfolios_syncrun")
            cursor.execute("ANALYZE portfolios_exchangeaccount")
        with CaptureQueriesContext(connection) as captured:
            asking()
        asked = [row["sql"] for row in captured.captured_queries if f'"{column}" >' in row["sql"]]
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        return [str(cursor.execute(f"{explain} {sql}") and cursor.fetchall()) for sql in asked]


@pytest.mark.parametrize(
    ("index", "column", "asking"),
    [
        ("run_finished", "finished_at", lambda: metrics_text(NOON)),
        ("run_queued", "queued_at", lambda: runs_page({"since": "hour"}, NOON)),
        ("run_queued", "queued_at", lambda: runs_page({"since": "day"}, NOON)),
        (
            "run_queued",
            "queued_at",
            lambda: runs_page({"since": "day", "trigger": "schedule"}, NOON),
        ),
    ],
)
def test_of_many_runs_only_those_of_late_are_looked_at(
    index: str, column: str, asking: Callable[[], object]
) -> None:
    plans = plans_of_runs(asking, column)

    assert plans
    assert all(f" {index} " in plan for plan in plans), plans
