from __future__ import annotations

from django.test import Client

from portfolios.models import Discrepancy, Order
from tests.builders import make_account, make_discrepancy, make_order
from tests.portfolios.views.pages import text_of


def missing() -> Discrepancy:
    order = make_order(make_account(), external_id="77")
    code = Discrepancy.Code.ORDER_MISSING_AT_VENUE
    return make_discrepancy(order.account, order=order, code=code)


def test_it_ends_the_order_and_shows_the_settled_discrepancy(client: Client) -> None:
    found = missing()

    response = client.post(f"/discrepancies/{found.pk}/lapse/", follow=True)

    assert Order.objects.get().status == "lapsed"
    assert response.redirect_chain == [(f"/discrepancies/{found.pk}/", 302)]
    assert "Accepted: the order has lapsed." in text_of(response)


def test_it_says_why_it_was_refused(client: Client) -> None:
    found = missing()
    Discrepancy.objects.update(state="RESOLVED")

    response = client.post(f"/discrepancies/{found.pk}/lapse/", follow=True)

    assert "Nothing proves any more that order 77" in text_of(response)
    assert Order.objects.get().status == "open"


def test_a_discrepancy_without_an_order_has_nothing_to_accept(client: Client) -> None:
    found = make_discrepancy()

    assert client.post(f"/discrepancies/{found.pk}/lapse/").status_code == 404
