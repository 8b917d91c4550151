from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import (
    Discrepancy,
    DiscrepancyEvent,
    JudgedContent,
    JudgedSnapshot,
    LegContent,
    SyncRun,
)
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_discrepancy,
    make_leg,
    make_order,
    make_portfolio,
    make_run,
)
from tests.portfolios.views.matches import make_match
from tests.portfolios.views.pages import html_of, shown

MAX_QUERIES = 12

Code = Discrepancy.Code


def missing(state: str = "OPEN", **order: object) -> Discrepancy:
    """Find an order of alpha, 0.01 BTC at 50000 USDT, that the exchange has proved not to have."""
    lost = make_order(make_portfolio(name="alpha"), external_id="77", **order)
    return make_discrepancy(
        lost.account,
        portfolio=lost.portfolio,
        order=lost,
        code=Code.ORDER_MISSING_AT_VENUE,
        state=state,
    )


def page_of(client: Client, found: Discrepancy) -> str:
    return shown(client, f"/discrepancies/{found.pk}/")


def test_it_shows_what_differs_since_when_and_of_which_order(client: Client) -> None:
    found = missing()

    page = page_of(client, found)

    assert "The exchange does not know the order Open" in page
    assert "ORDER_MISSING_AT_VENUE" in page
    assert "2026-11-22 12:00:00" in page
    assert "Buy 0.01 BTC/USDT 77" in page


def test_a_lapse_says_exactly_what_accepting_it_changes(client: Client) -> None:
    page = page_of(client, missing(filled=Decimal("0.003")))

    assert "its status changes from open to lapsed" in page
    assert "filled stays at 0.003 BTC" in page
    assert "350 USDT that it reserves are available to alpha again" in page
    assert "Accept: it has lapsed" in page


def test_a_lapse_that_is_not_proved_cannot_be_accepted(client: Client) -> None:
    assert "Accept" not in page_of(client, missing("SUSPECTED"))


def test_the_list_leads_to_the_lapse(client: Client) -> None:
    found = missing()

    html = html_of(client.get("/discrepancies/"))

    assert f'class="button" href="/discrepancies/{found.pk}/">Accept: it has lapsed</a>' in html


def test_the_list_offers_nothing_where_nothing_can_be_accepted(client: Client) -> None:
    missing("SUSPECTED")

    assert "Accept" not in shown(client, "/discrepancies/")


def test_a_match_says_which_order_it_is_and_what_changes(client: Client) -> None:
    found, seen = make_match()

    page = page_of(client, found)

    assert "Buy 0.01 BTC/USDT 4711 · created 2026-11-22 12:00:00" in page
    assert "order 4711, with all that was booked for it, moves from the unassigned part" in page
    assert "It is order 4711" in page
    assert f"candidate={seen.pk}&amp;" in html_of(client.get(f"/discrepancies/{found.pk}/"))


def test_an_order_without_a_match_offers_nothing(client: Client) -> None:
    found, seen = make_match()
    seen.delete()

    assert "What can be decided" not in page_of(client, found)


def test_a_settled_discrepancy_shows_when_and_why_and_offers_nothing(client: Client) -> None:
    found = missing("RESOLVED")
    found.cause, found.resolved_at = "accepted as lapsed", timezone.now()
    found.save()

    page = page_of(client, found)

    assert "Cause accepted as lapsed" in page
    assert "What to do" not in page
    assert "What can be decided" not in page


def test_it_says_what_is_wrong_with_the_numbers(client: Client) -> None:
    found = make_discrepancy(make_account(label="main"), wallet="spot", asset="BTC")

    assert (
        "main spot holds 0.4 BTC and the books expect 0.5: 0.1 BTC are missing at the exchange."
    ) in page_of(client, found)


def test_the_digits_that_differ_are_marked(client: Client) -> None:
    found = make_discrepancy(book=Decimal("1234.5678"), exchange=Decimal("1234.5541"))

    page = html_of(client.get(f"/discrepancies/{found.pk}/"))

    assert "1234.5<mark>678</mark>" in page
    assert "1234.5<mark>541</mark>" in page
    assert '<span class="sr"> (of it 541 differs)</span>' in page


@pytest.mark.parametrize(
    ("book", "difference", "share"),
    [("0.5", "-0.1", "20"), ("1234.5678", "-0.0137", "0.0011"), ("-3", "400", "13000")],
)
def test_it_says_how_much_of_the_book_differs(
    client: Client, book: str, difference: str, share: str
) -> None:
    found = make_discrepancy(book=Decimal(book), difference=Decimal(difference))

    assert f"about {share} % of the book" in page_of(client, found)


def test_a_share_of_nothing_is_not_told(client: Client) -> None:
    found = make_discrepancy(book=Decimal(0), difference=Decimal(1))

    assert "of the book" not in page_of(client, found)


def test_it_shows_the_verdict_with_its_interval_and_tolerance(client: Client) -> None:
    found = make_discrepancy()
    make_balance(
        found.account,
        verdict="DIFFERS",
        residual_low=Decimal("-0.2"),
        residual_high=Decimal("-0.1"),
        tolerance=Decimal("0.00000001"),
    )

    page = page_of(client, found)

    assert "Last verdict Differs interval -0.2 … -0.1 tolerance ± 0.00000001" in page


def settled(run: SyncRun, residual: str, hours: int) -> JudgedSnapshot:
    """Store what the settled look of `run` said of BTC, so many hours after noon."""
    row = {"residual": residual, "low": residual, "high": residual, "verdict": "DIFFERS"}
    numbers = {"expected": "0.5", "total": "0.4", "tolerance": "0"}
    content = JudgedContent.objects.create(
        account=run.account, digest=f"{run.pk}", rows={"spot": {"BTC": numbers | row}}
    )
    at = NOON + timedelta(hours=hours)
    return JudgedSnapshot.objects.create(
        account=run.account,
        run=run,
        content=content,
        window_low=at,
        window_high=at,
        seen_at=at,
        settled_at=at,
    )


def test_it_shows_how_the_difference_went_on(client: Client) -> None:
    found = make_discrepancy()
    runs = [make_run(found.account) for _number in range(3)]
    for hours, (run, residual) in enumerate(zip(runs, ("0", "-0.25", "-0.1"), strict=True)):
        settled(run, residual, hours)
    DiscrepancyEvent.objects.create(
        discrepancy=found, episode=1, after="OPEN", at=NOON + timedelta(hours=1), run=runs[1]
    )

    page = page_of(client, found)
    html = html_of(client.get(f"/discrepancies/{found.pk}/"))

    assert "between -0.25 and 0, -0.1 at last" in page
    assert "2026-11-22 13:00:00 UTC Differs 0.5 0.4 -0.25 0" in page
    assert '<path class="line" d="M10 10H320V130H630V58"/>' in html
    assert '<path class="turn" d="M320 0V140"><title>2026-11-22 13:00:00 UTC: Open</title>' in html
    assert all(f'href="/runs/{run.pk}/verdicts/"' in html for run in runs)


def test_one_look_alone_is_no_trend(client: Client) -> None:
    found = make_discrepancy()
    settled(make_run(found.account), "-0.1", 0)

    assert "Over time" not in page_of(client, found)


def test_what_is_no_balance_goes_by_the_turns_of_its_life(client: Client) -> None:
    found = missing()
    for hours, amount in enumerate(("0.01", "0.004")):
        DiscrepancyEvent.objects.create(
            discrepancy=found,
            episode=1,
            after="OPEN",
            difference=Decimal(amount),
            at=NOON + timedelta(hours=hours),
        )

    assert "between 0.004 and 0.01, 0.004 at last" in page_of(client, found)


def test_the_evidence_is_the_read_of_the_run_that_saw_it(client: Client) -> None:
    found = make_discrepancy()
    run = make_run(found.account)
    settled(run, "-0.1", 0)
    rows = [{"asset": "BTC", "total": "0.4"}, {"asset": "ETH", "total": "7"}]
    content = LegContent.objects.create(account=found.account, digest="ab" * 32, rows=rows)
    make_leg(run, subject="spot", content=content, row_count=2)
    make_leg(run, subject="margin")

    page = page_of(client, found)

    assert f"Run {run.pk} Balances spot Read" in page
    assert "2 rows digest abababababab" in page
    assert '"total": "0.4"' in page
    assert "margin" not in page
    assert '"7"' not in page


def test_the_evidence_of_an_order_is_what_was_read_of_it(client: Client) -> None:
    found = missing()
    run = make_run(found.account)
    make_leg(run, kind="order", subject="77", status="FAILED", error_message="no such order")
    make_leg(run, kind="order", subject="78", status="FAILED", error_message="another")
    DiscrepancyEvent.objects.create(discrepancy=found, episode=1, after="OPEN", at=NOON, run=run)

    page = page_of(client, found)

    assert "no such order" in page
    assert "another" not in page


def test_many_looks_take_as_many_queries_as_one(client: Client) -> None:
    found = make_discrepancy(last_seen=timezone.now())
    make_balance(found.account, verdict="DIFFERS", residual=Decimal("-0.1"))
    make_leg(_seen(found, 0))
    url = f"/discrepancies/{found.pk}/"
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    for number in range(50):
        make_leg(_seen(found, number))

    with CaptureQueriesContext(connection) as many:
        client.get(url)

    assert len(many) == len(few) <= MAX_QUERIES


def _seen(found: Discrepancy, hours: int) -> SyncRun:
    run = make_run(found.account)
    settled(run, f"-0.{hours + 1}", hours)
    at = NOON + timedelta(hours=hours)
    DiscrepancyEvent.objects.create(discrepancy=found, episode=1, after="OPEN", run=run, at=at)
    return run
