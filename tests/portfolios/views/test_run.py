from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import User
from django.test import Client

from portfolios.models import JudgedSnapshot, LedgerEntry, LegContent, SyncRun
from portfolios.selectors.runs import MAX_LEGS
from providers.reports import LegKind, LegStatus
from tests.builders import (
    NOON,
    make_entry,
    make_fill,
    make_flow,
    make_incident,
    make_leg,
    make_occurrence,
    make_order,
    make_portfolio,
    make_run,
)
from tests.portfolios.services.reads import balances, look, make_books
from tests.portfolios.views.pages import html_of, shown


def test_it_shows_what_was_read_and_how_far(client: Client) -> None:
    run = make_run()
    make_leg(run, kind=LegKind.OPEN_ORDERS, subject="BTC/USDT", row_count=50, pages=2)

    assert "Open orders BTC/USDT Read 50 2 complete" in shown(client, f"/runs/{run.pk}/")


def test_it_says_when_what_was_read_was_taken_away(client: Client) -> None:
    run = make_run(pruned_at=NOON)

    page = shown(client, f"/runs/{run.pk}/")

    assert (
        "No longer kept: what this run read was taken away because of its age, 2026-11-22" in page
    )
    assert "Nothing has been read." not in page
    assert "Verdicts changed no longer kept" in page


def test_it_says_that_there_is_nothing_left_to_compare_with(client: Client) -> None:
    run = look(make_books(), balances(BTC="0.5"))
    JudgedSnapshot.objects.update(follows_a_gap=True)

    page = shown(client, f"/runs/{run.pk}/")

    assert "cannot be compared: the look before is no longer kept" in page


def test_it_shows_why_a_read_failed(client: Client) -> None:
    run = make_run(status=SyncRun.Status.PARTIAL)
    make_leg(
        run,
        status=LegStatus.FAILED,
        error_kind="RequestTimeout",
        error_message="binance did not answer.",
    )

    page = shown(client, f"/runs/{run.pk}/")

    assert "Failed RequestTimeout: binance did not answer." in page


def test_of_many_reads_the_failed_ones_are_shown(client: Client) -> None:
    run = make_run()
    for _number in range(MAX_LEGS):
        make_leg(run)
    make_leg(run, status=LegStatus.FAILED, subject="the failed one")

    page = shown(client, f"/runs/{run.pk}/")

    assert "the failed one" in page
    assert f"The first {MAX_LEGS} of {MAX_LEGS + 1} reads" in page


def test_it_shows_what_was_booked(client: Client) -> None:
    portfolio = make_portfolio(name="alpha")
    run = make_run(portfolio.account)
    order = make_order(portfolio, amount=Decimal("0.00000001"), external_id="77")
    make_entry(
        portfolio,
        run=run,
        order=order,
        asset="BTC",
        amount=Decimal("0.00000001"),
        cause=LedgerEntry.Cause.EXECUTION,
    )

    page = shown(client, f"/runs/{run.pk}/")

    assert "BTC +0.00000001 Execution alpha Buy 0.00000001 BTC/USDT 77" in page


def test_a_run_that_booked_nothing_says_so(client: Client) -> None:
    run = make_run()

    assert "Nothing was booked." in shown(client, f"/runs/{run.pk}/")


def test_it_links_to_the_exceptions_that_it_met(client: Client) -> None:
    run = make_run()
    incident = make_incident(run.account, type="RateLimited")
    occurrence = make_occurrence(incident, run)

    assert f'href="{occurrence.get_absolute_url()}">RateLimited</a>' in html_of(
        client.get(f"/runs/{run.pk}/")
    )


def test_an_open_run_shows_its_progress(client: Client) -> None:
    run = make_run(status=SyncRun.Status.QUEUED)

    assert f'hx-get="/runs/{run.pk}/progress/' in html_of(client.get(f"/runs/{run.pk}/"))


def test_it_shows_how_long_each_stage_took(client: Client) -> None:
    run = make_run(
        started_at=NOON + timedelta(seconds=2),
        applying_at=NOON + timedelta(seconds=9),
        judging_at=NOON + timedelta(seconds=10),
        finished_at=NOON + timedelta(seconds=12),
    )
    SyncRun.objects.filter(pk=run.pk).update(queued_at=NOON)

    page = shown(client, f"/runs/{run.pk}/")

    assert (
        "Waiting for a worker 0 ms 2 s Reading the exchange 2 s 7 s Booking 9 s 1 s Comparing 10 s 2 s"
    ) in page


def test_a_run_that_failed_early_says_where(client: Client) -> None:
    run = make_run(status=SyncRun.Status.FAILED, stage=SyncRun.Stage.FETCHING)

    page = shown(client, f"/runs/{run.pk}/")

    assert "Reading the exchange ended here" in page
    assert "Booking not reached — —" in page


def test_it_shows_who_asked_and_what_it_waited_for(client: Client) -> None:
    run = make_run(
        trigger=SyncRun.Trigger.MANUAL,
        requested_by=User.objects.get(username="alice"),
        attempts=2,
        waited_seconds=4.5,
    )

    page = shown(client, f"/runs/{run.pk}/")

    assert "Started by Sync now alice" in page
    assert "Attempt 2" in page
    assert "Waited for the rate limit 4 s" in page


def test_it_counts_what_it_booked(client: Client) -> None:
    portfolio = make_portfolio()
    run = make_run(portfolio.account, orders_changed=3)
    fill = make_fill(make_order(portfolio))
    for asset in ("BTC", "USDT"):  # one fill is two entries
        make_entry(portfolio, run=run, asset=asset, fill=fill)
    make_entry(portfolio, run=run, flow=make_flow(portfolio.account))

    page = shown(client, f"/runs/{run.pk}/")

    assert "Orders changed 3 Fills booked 1" in page
    assert "other flows booked 1" in page
    assert "Verdicts changed nothing was judged" in page


def test_it_shows_the_discrepancies_that_it_opened_and_the_verdicts_that_it_changed(
    client: Client,
) -> None:
    account = make_books(positions={"BTC": "0.5"})
    look(account, balances(BTC="0.5"))
    look(account, balances(BTC="0.4"))
    run = look(account, balances(BTC="0.4"))

    page = shown(client, f"/runs/{run.pk}/")

    discrepancy = account.discrepancies.get()
    assert "Less at the exchange than in the books BTC Suspected Open" in page
    assert f'href="/discrepancies/{discrepancy.pk}/"' in html_of(client.get(f"/runs/{run.pk}/"))


def test_a_read_shows_its_window_the_exchanges_clock_and_the_digest_of_its_rows(
    client: Client,
) -> None:
    run = make_run()
    content = LegContent.objects.create(account=run.account, digest="0123456789ab" * 5, rows=[])
    make_leg(
        run,
        kind=LegKind.ACCOUNT_FILLS,
        subject="BTC/USDT",
        row_count=7,
        content=content,
        since=NOON - timedelta(days=1),
        until=NOON,
        clock_offset=2.5,
    )

    page = shown(client, f"/runs/{run.pk}/")

    assert "Fills of the account BTC/USDT Read 7 0123456789ab" in page
    assert "from 2026-11-21 12:00:00" in page
    assert "until 2026-11-22 12:00:00" in page
    assert "its clock +2.5 s" in page
