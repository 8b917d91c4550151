from __future__ import annotations

import pytest
from django.test import Client

from tests.portfolios.services.decisions.cases import (
    CASES,
    Kind,
    a_claim,
    an_adjustment,
    done,
    reversal,
)
from tests.portfolios.views.pages import html_of, shown


def test_it_lists_who_decided_what_and_why(client: Client) -> None:
    done(a_claim())

    page = shown(client, "/decisions/")

    assert "Give an order to a portfolio" in page
    assert "order 77" in page
    assert "checked with the exchange" in page


def test_a_decision_that_was_taken_back_says_so_and_offers_it_no_more(client: Client) -> None:
    done(reversal(done(a_claim())))

    html = html_of(client.get("/decisions/"))

    assert "taken back" in html
    assert "/decisions/reverse/" not in html


def test_a_reader_sees_them_and_takes_none_back(reader: Client) -> None:
    done(a_claim())

    html = html_of(reader.get("/decisions/"))

    assert "order 77" in html
    assert "/decisions/reverse/" not in html


@pytest.mark.parametrize(
    ("query", "number"),
    [("", 2), ("kind=claim_order", 1), ("q=order+77", 1), ("q=nothing", 0), ("account=x", 2)],
)
def test_it_can_be_narrowed(client: Client, query: str, number: int) -> None:
    done(a_claim())
    done(an_adjustment())

    assert html_of(client.get(f"/decisions/?{query}")).count("<details>") == number


def test_it_can_be_narrowed_to_an_account(client: Client) -> None:
    made = done(a_claim())
    done(an_adjustment())

    page = html_of(client.get(f"/decisions/?account={made.account_id}"))

    assert page.count("<details>") == 1


def test_without_a_decision_it_says_so(client: Client) -> None:
    assert "Nobody has decided anything yet." in shown(client, "/decisions/")


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_is_shown_in_words(client: Client, kind: Kind) -> None:
    decision = done(CASES[kind]())

    assert str(decision.get_kind_display()) in shown(client, "/decisions/")
