"""The part of a discrepancy's page that tells what may have caused it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.template.loader import render_to_string

from portfolios.models import Discrepancy
from tests.portfolios.views.pages import text_of

FILLED = {
    "key": "order:1",
    "kind": "order",
    "says": "order 77 was filled by 0.004 BTC unseen",
    "low": "0.004",
    "high": "0.004",
    "evidence": ["open in the books, <b>0.01</b> BTC not filled"],
}


def part_of_the_page(outcome: str = "", *explanations: list[dict[str, Any]], **found: Any) -> str:
    attribution = {
        "outcome": outcome,
        "count": len(explanations),
        "explanations": list(explanations),
        "unchecked": [],
        "gaps": [],
    }
    discrepancy = Discrepancy(attribution=attribution | found if outcome else {})
    html = render_to_string("portfolios/_attribution.html", {"discrepancy": discrepancy})
    return text_of(HttpResponse(html))


def test_one_explanation_is_told_with_its_evidence_and_as_a_proposal() -> None:
    page = part_of_the_page("explained", [FILLED])

    assert "only this adds up to the difference" in page
    assert "order 77 was filled by 0.004 BTC unseen" in page
    assert "open in the books, <b>0.01</b> BTC not filled" in page
    assert "Nothing is booked by it" in page


def test_several_explanations_are_all_listed_and_none_is_chosen() -> None:
    page = part_of_the_page("ambiguous", [FILLED], [FILLED | {"says": "a deposit counts already"}])

    assert "2 explanations add up to the difference equally well" in page
    assert page.index("order 77") < page.index("a deposit counts already")


def test_that_not_all_are_listed_is_said() -> None:
    page = part_of_the_page("ambiguous", [FILLED], [FILLED], count=12)

    assert "12 explanations" in page
    assert "The others are not listed." in page


def test_that_nothing_explains_it_is_said() -> None:
    page = part_of_the_page("unexplained")

    assert "Nothing that PosSync may have missed, as far as it knows, adds up" in page
    assert "proposal" not in page


def test_that_the_search_was_given_up_is_said() -> None:
    assert "Nothing is concluded." in part_of_the_page("too_many")


def test_what_could_not_be_checked_and_was_not_read_is_named() -> None:
    page = part_of_the_page(
        "explained", [FILLED], unchecked=["BNB", "USDT"], gaps=["BTC/USDT: pages are missing"]
    )

    assert "balances that were not judged: BNB, USDT" in page
    assert "BTC/USDT: pages are missing" in page


def test_what_was_not_attributed_yet_shows_nothing() -> None:
    assert part_of_the_page() == ""
