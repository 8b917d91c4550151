from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import Client

from portfolios.models import Decision, ExchangeAccount, LedgerEntry, Order
from portfolios.services.decisions import Proposal
from tests.builders import make_account, make_discrepancy
from tests.portfolios.services.decisions.cases import (
    CASES,
    Kind,
    a_claim,
    a_rebaseline,
    an_adjustment,
    an_assignment,
    an_opening,
    done,
    stored,
)
from tests.portfolios.views.pages import html_of, text_of

D = Decimal


@pytest.fixture
def decider(client: Client) -> Client:
    """Let the one who is logged in change books too."""
    alice = User.objects.get(username="alice")
    alice.user_permissions.add(Permission.objects.get(codename="change_portfolio"))
    return client


def url(account: ExchangeAccount, kind: Decision.Kind) -> str:
    return f"/accounts/{account.pk}/decisions/{kind}/"


def entered(proposal: Proposal) -> dict[str, Any]:
    """Give what the form of the proposal takes."""
    given = {name: value for name, value in proposal.given.items() if value is not None}
    if proposal.kind == Kind.ASSIGN_FLOW:
        [share] = given.pop("shares")
        given[f"share_{share['portfolio']}"] = share["amount"]
    if proposal.kind == Kind.REBASELINE:
        given["assets"] = list(given.pop("residuals"))
    return given


def look(client: Client, proposal: Proposal) -> HttpResponseBase:
    return client.get(url(proposal.account, proposal.kind), entered(proposal) | {"look": "1"})


def confirm(client: Client, proposal: Proposal, page: HttpResponseBase, **more: str) -> Any:
    """Press the button of the page, with all that its form holds."""
    html = html_of(page)
    form = html[html.index('<form method="post" class="stack panel" data-entering>') :]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    return client.post(url(proposal.account, proposal.kind), fields | more, follow=True)


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_is_shown_and_then_done(decider: Client, kind: Decision.Kind) -> None:
    proposal = CASES[kind]()
    before = stored()

    page = look(decider, proposal)

    assert "This is exactly what it changes in the books." in text_of(page)
    assert stored() == before
    response = confirm(decider, proposal, page, reason="checked")
    assert "Done:" in text_of(response)
    made = Decision.objects.get()
    assert (made.kind, made.actor_name, made.reason) == (kind, "alice", "checked")


def test_the_page_shows_the_balances_before_and_after(decider: Client) -> None:
    text = text_of(look(decider, an_assignment()))

    assert "USDT 0 → 60 100 → 40 100 unchanged" in text


def test_a_decision_is_taken_back_by_the_same_page(decider: Client) -> None:
    made = done(an_adjustment())
    back = Proposal(made.account, Kind.REVERSE, {"decision": made.pk})

    confirm(decider, back, look(decider, back))

    assert [row.amount for row in LedgerEntry.objects.all()] == [D("0.5"), D("-0.5")]


def test_it_returns_to_the_page_that_sent_it(decider: Client) -> None:
    proposal = a_claim()
    shown = decider.get(
        url(proposal.account, proposal.kind),
        entered(proposal) | {"look": "1", "next": "/discrepancies/"},
    )

    response = confirm(decider, proposal, shown)

    assert response.redirect_chain == [("/discrepancies/", 302)]


def test_what_is_missing_is_asked_for(decider: Client) -> None:
    account = an_adjustment().account

    html = html_of(decider.get(url(account, Kind.ADJUST), {"asset": "BTC"}))

    assert 'name="asset" value="BTC"' in html
    assert "Show what it changes" in html
    assert 'name="token"' not in html


@pytest.mark.parametrize("amount", ["", "x", "NaN", "1e99"])
def test_an_amount_that_is_none_is_asked_for_again(decider: Client, amount: str) -> None:
    account = an_adjustment().account
    given = {"asset": "BTC", "amount": amount, "look": "1"}

    assert 'name="token"' not in html_of(decider.get(url(account, Kind.ADJUST), given))


def test_what_has_changed_since_it_was_shown_is_shown_again(decider: Client) -> None:
    proposal = an_assignment()
    page = look(decider, proposal)
    done(an_assignment_of_ten(proposal))

    response = confirm(decider, proposal, page)

    assert "is no longer what was shown" in text_of(response)
    assert "USDT 10 → 70 90 → 30 100 unchanged" in text_of(response)
    assert Decision.objects.count() == 1


def an_assignment_of_ten(proposal: Proposal) -> Proposal:
    [share] = proposal.given["shares"]
    shares = [share | {"amount": "10"}]
    return Proposal(proposal.account, Kind.ASSIGN_FLOW, {**proposal.given, "shares": shares})


def test_nothing_is_done_that_nobody_was_shown(decider: Client) -> None:
    proposal = a_claim()

    response = decider.post(url(proposal.account, proposal.kind), entered(proposal))

    assert "This is exactly what it changes" in text_of(response)
    assert not Decision.objects.exists()


def test_an_adjustment_without_a_reason_is_refused(decider: Client) -> None:
    proposal = an_adjustment()

    response = confirm(decider, proposal, look(decider, proposal), reason=" ")

    assert "A reason is missing" in text_of(response)
    assert not Decision.objects.exists()


def test_a_reason_of_blanks_is_asked_for_again_and_nothing_is_lost(decider: Client) -> None:
    proposal = an_adjustment()

    page = confirm(decider, proposal, look(decider, proposal), reason="  ")

    assert "A reason is missing" in text_of(page)
    confirm(decider, proposal, page, reason="gift")
    assert Decision.objects.get().reason == "gift"


def test_what_is_not_possible_is_refused_on_the_page(decider: Client) -> None:
    proposal = a_claim()
    done(proposal)

    text = text_of(look(decider, proposal))

    assert "Order 77 of account" in text
    assert "belongs to a portfolio already" in text


def test_on_an_account_that_is_only_observed_it_is_shown_and_not_offered(decider: Client) -> None:
    proposal = a_claim()
    ExchangeAccount.objects.update(policy="observe")

    page = look(decider, proposal)

    assert "is only observed: nobody decides anything on it" in text_of(page)
    assert 'name="token"' not in html_of(page)


def test_an_opening_that_is_there_no_more_is_shown_anew(decider: Client) -> None:
    proposal = an_opening()
    page = look(decider, proposal)
    proposal.account.balances.update(free=D(700))

    response = confirm(decider, proposal, page)

    assert "is no longer what was shown" in text_of(response)


def test_a_difference_that_is_settled_no_more_cannot_be_chosen(decider: Client) -> None:
    proposal = a_rebaseline()
    proposal.account.balances.update(provisional=True)

    page = look(decider, proposal)

    assert 'name="token"' not in html_of(page)


@pytest.mark.parametrize("kind", ["", "x", "claim-order"])
def test_a_kind_that_there_is_not_is_not_found(decider: Client, kind: str) -> None:
    account = make_account()

    assert decider.get(f"/accounts/{account.pk}/decisions/{kind}/").status_code == 404


@pytest.mark.parametrize("decision", ["", "x", "999"])
def test_a_decision_that_there_is_not_is_not_taken_back(decider: Client, decision: str) -> None:
    account = make_account()

    response = decider.get(url(account, Kind.REVERSE), {"decision": decision})

    assert response.status_code == 404


@pytest.mark.parametrize("kind", CASES)
def test_a_reader_decides_nothing(reader: Client, kind: Decision.Kind) -> None:
    account = make_account()

    answers = [way(url(account, kind)).status_code for way in (reader.get, reader.post)]

    assert answers == [403, 403]


def test_a_reader_takes_nothing_back(reader: Client) -> None:
    made = done(a_claim())

    response = reader.post(url(made.account, Kind.REVERSE), {"decision": made.pk})

    assert response.status_code == 403


def test_an_order_of_another_account_is_not_given_away(decider: Client) -> None:
    proposal, other = a_claim(), make_account()

    text = text_of(decider.get(url(other, Kind.CLAIM_ORDER), entered(proposal) | {"look": "1"}))

    assert "Select a valid choice" in text
    assert Order.objects.get().portfolio is None


def test_a_discrepancy_page_offers_what_can_be_decided(decider: Client) -> None:
    row = make_discrepancy(a_rebaseline().account)

    html = html_of(decider.get(f"/discrepancies/{row.pk}/"))

    kinds = re.findall(r"/decisions/(\w+)/", html)
    assert kinds == ["acknowledge", "dismiss", "adjust", "rebaseline"]
    assert "asset=BTC&amp;amount=-0.1" in html


def test_a_difference_that_is_not_settled_offers_no_amount(decider: Client) -> None:
    row = make_discrepancy()

    html = html_of(decider.get(f"/discrepancies/{row.pk}/"))

    assert "/decisions/adjust/" in html
    assert "/decisions/rebaseline/" not in html
    assert "amount=" not in html


def test_a_discrepancy_says_that_its_asset_was_booked_since(decider: Client) -> None:
    proposal = an_adjustment()
    row = make_discrepancy(proposal.account, asset=proposal.given["asset"])
    done(proposal)

    text = text_of(decider.get(f"/discrepancies/{row.pk}/"))

    assert "A decision has changed the books of this asset since it was last seen." in text


def test_the_page_says_what_it_is_about(decider: Client) -> None:
    row = make_discrepancy()

    text = text_of(decider.get(url(row.account, Kind.ACKNOWLEDGE), {"discrepancy": row.pk}))

    assert "Less at the exchange than in the books BTC State Open Difference -0.1" in text


def test_a_name_too_long_to_be_one_names_nothing(decider: Client) -> None:
    account = make_account()

    response = decider.get(url(account, Kind.ACKNOWLEDGE), {"discrepancy": "9" * 5000})

    assert response.status_code == 200


@pytest.mark.parametrize("elsewhere", ["//evil.example/", "https://evil.example/", "javascript:x"])
def test_the_way_back_leads_nowhere_else(decider: Client, elsewhere: str) -> None:
    account = make_account()

    html = html_of(decider.get(url(account, Kind.ADJUST), {"next": elsewhere}))

    assert f'<a href="/accounts/{account.pk}/">Do nothing</a>' in html


def test_an_account_page_lists_what_was_decided_and_how_it_is_taken_back(decider: Client) -> None:
    made = done(an_adjustment())

    page = decider.get(f"/accounts/{made.account_id}/decisions/")

    assert "Book an adjustment" in text_of(page)
    assert f"/decisions/reverse/?decision={made.pk}" in html_of(page)
