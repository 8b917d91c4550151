from __future__ import annotations

import pytest
from django.test import Client

from portfolios.models import Order
from tests.builders import make_order
from tests.portfolios.views.matches import make_match
from tests.portfolios.views.pages import text_of


def test_it_makes_one_order_of_the_two(client: Client) -> None:
    found, seen = make_match()

    response = client.post(f"/discrepancies/{found.pk}/match/", {"order": seen.pk}, follow=True)

    kept = Order.objects.get()
    assert (kept.external_id, kept.client_order_id) == ("4711", "a-1")
    assert "Accepted: it is order 4711." in text_of(response)


@pytest.mark.parametrize("order", ["", "x", "999", "-1", "9" * 40])
def test_a_form_that_names_no_order_changes_nothing(client: Client, order: str) -> None:
    found, _seen = make_match()

    response = client.post(f"/discrepancies/{found.pk}/match/", {"order": order}, follow=True)

    assert "The form names no order of this account." in text_of(response)
    assert Order.objects.count() == 2


def test_it_says_why_it_was_refused(client: Client) -> None:
    found, seen = make_match()
    make_order(seen.account)  # a second one that is alike

    response = client.post(f"/discrepancies/{found.pk}/match/", {"order": seen.pk}, follow=True)

    assert "can no longer be taken for order 4711" in text_of(response)
    assert Order.objects.count() == 3
