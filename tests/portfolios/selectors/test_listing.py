from __future__ import annotations

import pytest

from portfolios.models import SyncRun
from portfolios.selectors.listing import MAX_SEARCH, PER_PAGE, facet, one_page, search
from tests.builders import make_account, make_run

OPTIONS = (("", "All"), ("a", "A"))


def test_a_facet_takes_what_the_address_names() -> None:
    assert facet({"x": "a"}, "x", "X", OPTIONS).chosen == "a"


def test_a_facet_takes_its_default_for_what_it_does_not_know() -> None:
    assert facet({"x": "b"}, "x", "X", OPTIONS).chosen == ""


def test_only_what_differs_from_the_default_narrows() -> None:
    assert facet({"x": "a"}, "x", "X", OPTIONS).narrows
    assert not facet({"x": "a"}, "x", "X", OPTIONS, default="a").narrows


def test_a_search_is_bounded_and_carries_no_nul() -> None:
    assert search({"q": " a\0b "}) == "ab"
    assert len(search({"q": "x" * 1000})) == MAX_SEARCH


@pytest.mark.django_db
def test_a_page_beyond_the_last_is_the_last() -> None:
    account = make_account()
    for _number in range(PER_PAGE + 1):
        make_run(account)

    listing = one_page(SyncRun.objects.all(), {"page": "99"})

    assert (listing.page.number, len(listing.rows)) == (2, 1)
