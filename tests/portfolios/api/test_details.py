from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.models import (
    Discrepancy,
    Incident,
    JudgedContent,
    JudgedSnapshot,
    LegContent,
    Portfolio,
    SyncRun,
)
from providers.reports import LegKind
from tests.builders import (
    NOON,
    make_account,
    make_cursor,
    make_discrepancy,
    make_entry,
    make_fill,
    make_incident,
    make_leg,
    make_occurrence,
    make_order,
    make_portfolio,
    make_portfolio_snapshot,
    make_run,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def portfolio(db: None) -> Portfolio:
    return make_portfolio(make_account(label="main"), name="alpha")


@pytest.fixture
def run(portfolio: Portfolio) -> SyncRun:
    return make_run(portfolio.account, message="read all")


@pytest.fixture
def found(portfolio: Portfolio, run: SyncRun) -> Discrepancy:
    """Make a discrepancy of a balance that `run` saw: what was read, and how its state turned."""
    account = portfolio.account
    rows = [{"asset": "BTC", "total": "0.4"}, {"asset": "ETH", "total": "1"}]
    content = LegContent.objects.create(account=account, digest="0" * 64, rows=rows)
    make_leg(run, content=content)
    proposed = {"outcome": "none", "count": 0, "explanations": [], "unchecked": [], "gaps": []}
    discrepancy = make_discrepancy(account, attribution=proposed)
    for before, after in (("", "SUSPECTED"), ("SUSPECTED", "OPEN")):
        turn = {"before": before, "after": after, "difference": Decimal("-0.1")}
        discrepancy.events.create(episode=1, run=run, at=NOON, **turn)
    return discrepancy


@pytest.fixture
def told(bot: Callable[..., Client]) -> Callable[[str], Any]:
    client = bot("read")

    def told(path: str) -> Any:
        response = client.get(f"/api/v1{path}")
        assert response.status_code == 200, response.content
        return response.json()

    return told


def test_a_discrepancy_comes_with_evidence_causes_and_what_can_be_decided(
    told: Callable[[str], Any], found: Discrepancy
) -> None:
    row = told(f"/discrepancies/{found.pk}")

    assert row["sentence"].startswith("main spot holds 0.4 BTC")
    assert row["evidence"][0]["content"] == [{"asset": "BTC", "total": "0.4"}]
    assert row["attribution"]["outcome"] == "none"
    assert row["trend"][0]["amount"] == "-0.1"
    assert row["decisions"] == ["acknowledge", "dismiss", "adjust"]


def test_the_history_of_a_discrepancy_is_told_newest_first(
    told: Callable[[str], Any], found: Discrepancy, run: SyncRun
) -> None:
    page = told(f"/discrepancies/{found.pk}/events")

    assert [(row["before"], row["after"], row["run"]) for row in page["items"]] == [
        ("SUSPECTED", "OPEN", run.pk),
        (None, "SUSPECTED", run.pk),
    ]


def test_occurrences_of_an_exception_keep_their_traces(
    told: Callable[[str], Any], run: SyncRun
) -> None:
    incident: Incident = make_incident(run.account)
    for trace in ("first", "second", "third"):
        make_occurrence(incident, run, trace=trace)

    page = told(f"/incidents/{incident.pk}/occurrences?limit=2")

    assert told(f"/incidents/{incident.pk}")["id"] == incident.pk
    assert ([row["trace"] for row in page["items"]], page["count"]) == (["third", "second"], 3)


def test_a_run_tells_its_stages_and_what_it_changed(
    told: Callable[[str], Any], found: Discrepancy, run: SyncRun
) -> None:
    row = told(f"/runs/{run.pk}")

    assert [stage["stage"] for stage in row["stages"]] == [
        *("waiting", "fetching", "applying", "judging")
    ]
    assert row["message"] == "read all"
    changed = row["changes"]["discrepancies"]
    assert [(turn["id"], turn["after"]) for turn in changed] == [
        (found.pk, "SUSPECTED"),
        (found.pk, "OPEN"),
    ]


def test_what_a_run_said_of_each_asset_is_told(told: Callable[[str], Any], run: SyncRun) -> None:
    numbers = dict.fromkeys(
        ("expected", "total", "residual", "low", "high"), "0.000000000000000001"
    )
    said = numbers | {"tolerance": None, "verdict": "DIFFERS", "reason": ""}
    content = JudgedContent.objects.create(account=run.account, rows={"spot": {"BTC": said}})
    window = dict.fromkeys(("window_low", "window_high", "seen_at"), NOON)
    JudgedSnapshot.objects.create(account=run.account, run=run, content=content, **window)

    [row] = told(f"/runs/{run.pk}/verdicts")["items"]

    assert (row["asset"], row["verdict"], row["tolerance"]) == ("BTC", "DIFFERS", None)
    assert row["residual"] == "0.000000000000000001"


def test_the_coverage_of_an_account_is_told(told: Callable[[str], Any], run: SyncRun) -> None:
    make_leg(run)
    make_leg(run, kind=LegKind.FILLS, complete=False, why_incomplete="too many")
    make_cursor(run.account)

    rows = told("/coverage?account=main")

    assert [(row["what"], row["kind"], row["why"]) for row in rows] == [
        ("hole", "fills", "too many"),
        ("cursor", "account_fills", None),
    ]
    assert rows[1]["covered_until"] == "2026-11-22T12:00:00Z"


def test_the_history_of_a_portfolio_is_told_with_its_value(
    told: Callable[[str], Any], portfolio: Portfolio, run: SyncRun
) -> None:
    make_portfolio_snapshot(portfolio, run, cost="7")

    [row] = told("/history?portfolio=alpha")["items"]

    assert (row["value_at_cost"], row["positions"][0]["amount"]) == ("7", "0.5")


def test_two_moments_are_compared_with_what_was_booked_between(
    told: Callable[[str], Any], portfolio: Portfolio, run: SyncRun
) -> None:
    moments = [NOON - HOUR, NOON + HOUR]
    first, second = (
        make_portfolio_snapshot(portfolio, run, taken_at=at, amount=amount)
        for at, amount in zip(moments, ("1", "3"), strict=True)
    )
    with time_machine.travel(NOON, tick=False):
        make_entry(portfolio, asset="BTC", amount=Decimal(2), cause="execution")

    row = told(f"/comparison?portfolio=alpha&from={first.pk}&to={second.pk}")

    [asset] = row["assets"]
    assert asset["amount"] == {"before": "1", "after": "3", "change": "2"}
    assert asset["causes"] == [{"cause": "execution", "count": 1, "amount": "2"}]
    assert (asset["unexplained"], row["figures"]["net_size"]["before"]) == ("0", None)
    assert told("/comparison?portfolio=alpha")["assets"] == row["assets"]


def test_many_entries_between_two_moments_are_asked_for_as_often_as_few(
    told: Callable[[str], Any], portfolio: Portfolio, run: SyncRun
) -> None:
    for at in (NOON - HOUR, NOON + HOUR):
        make_portfolio_snapshot(portfolio, run, taken_at=at)
    told("/comparison?portfolio=alpha")  # notes that the token was used, once a minute
    few = _queries_of_a_comparison(told, portfolio, entries=1)

    assert _queries_of_a_comparison(told, portfolio, entries=5) == few


def _queries_of_a_comparison(
    told: Callable[[str], Any], portfolio: Portfolio, *, entries: int
) -> int:
    with time_machine.travel(NOON, tick=False):
        for _ in range(entries):
            order = make_order(portfolio)
            make_entry(portfolio, asset="BTC", order=order, fill=make_fill(order))
    with CaptureQueriesContext(connection) as asked:
        told("/comparison?portfolio=alpha")
    return len(asked)
