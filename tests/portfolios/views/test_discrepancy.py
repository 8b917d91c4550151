from __future__ import annotations

from decimal import Decimal

from django.test import Client
from django.utils import timezone

from portfolios.models import Discrepancy
from tests.builders import make_discrepancy, make_order, make_portfolio
from tests.portfolios.views.matches import make_match
from tests.portfolios.views.pages import html_of, shown

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
