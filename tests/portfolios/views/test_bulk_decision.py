from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.models import Decision, Discrepancy
from tests.builders import make_discrepancy, make_order, make_portfolio
from tests.portfolios.views.pages import html_of, text_of

URL = "/discrepancies/decide/"
Code = Discrepancy.Code
State = Discrepancy.State
MAX_QUERIES = 12


def look(client: Client, kind: str, *rows: Discrepancy, **more: str) -> HttpResponseBase:
    query: dict[str, Any] = {"kind": kind, "row": [row.pk for row in rows]}
    return client.get(URL, query | more)


def confirm(client: Client, page: HttpResponseBase, **more: str) -> Any:
    """Press the button of the page, with all that its form holds."""
    html = html_of(page)
    form = html[html.index(f'action="{URL}"') :]
    fields = re.findall(r'<input type="hidden"\s+name="(\w+)"\s+value="([^"]*)"', form)
    rows = [value for name, value in fields if name == "row"]
    return client.post(URL, dict(fields) | {"row": rows} | more, follow=True)


def test_it_shows_the_sum_of_each_asset_and_decides_when_confirmed(client: Client) -> None:
    rows = [
        make_discrepancy(asset="BTC", difference=Decimal("-0.1")),
        make_discrepancy(asset="BTC", difference=Decimal("0.000000000000000001")),
        make_discrepancy(asset="ETH", difference=Decimal(2)),
    ]

    page = look(client, "dismiss", *rows)

    text = text_of(page)
    assert "Dismiss: 3 discrepancies" in text
    assert "BTC differs in all by -0.099999999999999999 BTC in 2 rows" in text
    assert "ETH differs in all by +2 ETH in 1 row" in text
    assert not Decision.objects.exists()
    done = confirm(client, page, reason="known to the desk", next="/discrepancies/?state=all")
    assert "Done: Dismiss, 3 discrepancies." in text_of(done)
    assert done.redirect_chain[-1][0] == "/discrepancies/?state=all"
    assert set(Decision.objects.values_list("actor_name", "reason")) == {
        ("alice", "known to the desk")
    }
    assert set(Discrepancy.objects.values_list("state", flat=True)) == {State.DISMISSED}


def test_a_lapse_shows_what_is_available_again(client: Client) -> None:
    rows = []
    for _number in range(2):
        order = make_order(make_portfolio(), price=Decimal(50000), amount=Decimal("0.01"))
        code = Code.ORDER_MISSING_AT_VENUE
        rows.append(make_discrepancy(order.account, order=order, code=code))

    page = look(client, "accept_lapse", *rows)

    assert "USDT available again +1000 USDT in 2 rows" in text_of(page)
    assert "Done:" in text_of(confirm(client, page, reason="gone"))


def test_what_is_left_out_is_told_with_the_reason(client: Client) -> None:
    page = look(client, "dismiss", make_discrepancy(), make_discrepancy(state=State.RESOLVED))

    assert "Dismiss: 1 discrepancy" in text_of(page)
    assert "Its state does not allow it." in text_of(page)


def test_it_says_so_where_nothing_can_be_decided(client: Client) -> None:
    page = look(client, "reopen", make_discrepancy(), next="//elsewhere.example")

    assert "This can be decided on none of the chosen rows." in text_of(page)
    assert 'href="//elsewhere' not in html_of(page)


def test_what_has_changed_since_is_shown_again_and_not_done(client: Client) -> None:
    row = make_discrepancy(difference=Decimal("-0.1"))
    page = look(client, "dismiss", row)
    Discrepancy.objects.update(difference=Decimal("-0.3"))

    again = confirm(client, page, reason="known")

    assert "no longer what was shown" in text_of(again)
    assert "-0.3 BTC in 1 row" in text_of(again)
    assert not Decision.objects.exists()
    assert "Done:" in text_of(confirm(client, again, reason="known"))


@pytest.mark.parametrize("until", ["soon", "2020-01-01T00:00"])
def test_a_time_that_is_none_or_over_is_asked_for_again(client: Client, until: str) -> None:
    page = look(client, "acknowledge", make_discrepancy())

    again = confirm(client, page, reason="known", until=until)

    assert again.status_code == 200
    assert "Until (UTC)" in text_of(again)
    assert not Decision.objects.exists()


def test_a_confirmation_without_a_reason_is_refused(client: Client) -> None:
    page = look(client, "dismiss", make_discrepancy())

    assert "A reason is missing" in text_of(confirm(client, page, reason=" "))
    assert not Decision.objects.exists()


@pytest.mark.parametrize("rows", [[], ["x"], ["9" * 30]])
def test_it_asks_to_choose_rows_where_none_is_chosen(client: Client, rows: list[str]) -> None:
    response = client.get(URL, {"kind": "dismiss", "row": rows}, follow=True)

    assert "Choose at least one discrepancy first." in text_of(response)


def test_more_rows_than_can_be_decided_on_at_once_are_refused_and_none_is_dropped(
    client: Client,
) -> None:
    row = make_discrepancy()
    many = {"kind": "dismiss", "row": [row.pk, *range(10**6, 10**6 + 100)]}

    for response in (client.get(URL, many, follow=True), client.post(URL, many, follow=True)):
        assert "101 discrepancies are chosen, and 100 is the most" in text_of(response)
    assert not Decision.objects.exists()


@pytest.mark.parametrize("kind", ["", "adjust", "rebaseline", "nonsense"])
def test_a_kind_that_is_not_for_many_is_not_there(client: Client, kind: str) -> None:
    assert look(client, kind, make_discrepancy()).status_code == 404


def test_a_reader_decides_nothing(reader: Client) -> None:
    row = make_discrepancy()

    assert look(reader, "dismiss", row).status_code == 403
    assert reader.post(URL, {"kind": "dismiss", "row": row.pk}).status_code == 403


def test_fifty_rows_take_as_many_queries_as_one(client: Client) -> None:
    rows = [make_discrepancy() for _number in range(50)]

    with CaptureQueriesContext(connection) as few:
        look(client, "dismiss", rows[0])
    with CaptureQueriesContext(connection) as many:
        look(client, "dismiss", *rows)

    assert len(many) == len(few) <= MAX_QUERIES
