from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import URLPattern, reverse
from pytest_django import DjangoAssertNumQueries

from portfolios.models import (
    Decision,
    Discrepancy,
    ExchangeAccount,
    JudgedContent,
    JudgedSnapshot,
    Order,
    SyncRun,
)
from portfolios.urls import urlpatterns
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_cursor,
    make_discrepancy,
    make_entry,
    make_flow,
    make_incident,
    make_leg,
    make_occurrence,
    make_order,
    make_portfolio,
    make_position,
    make_quarantine,
    make_run,
    make_version,
)
from tests.portfolios.views.pages import html_of

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
LISTS = ("overview", "accounts", "discrepancies", "exceptions", "runs", "decisions")
DETAILS = ("account", "portfolio", "discrepancy", "exception", "run", "verdicts")
POSTS = (
    "account_sync",
    "account_test",
    "account_pause",
    "account_resume",
    "portfolio_sync",
    "exception_resolve",
    "exception_mute",
    "exception_unmute",
)
EXPORTED = ("export_csv", "export_json")  # test_exports reads them
PUBLIC = ("login", "logout", "healthz", "readyz")
MAX_QUERIES = 23


def url_of(name: str, pk: int = 1) -> str:
    if name == "decision":
        return reverse(name, args=[pk, "adjust"])
    return reverse(name) if name in (*LISTS, "sync_all") else reverse(name, args=[pk])


def a_world(text: str = "BTC/USDT") -> dict[str, str]:
    """Make one row of everything, its strings set to `text`; return the address of each page."""
    text = text[:100]  # what the shortest of the longer columns holds
    account = make_account(label=text)
    portfolio = make_portfolio(account, name=text)
    run = make_run(account, message=text)
    incident = make_incident(account, message=text, type=text, operation=text[:50])
    _fill_account(account, text)
    make_position(portfolio, asset=text[:20])
    order = make_order(portfolio, symbol=text[:64], external_id=text)
    lapse = make_lapse(order, text)
    make_leg(run, subject=text, why_incomplete=text, complete=False, error_message=text)
    make_entry(portfolio, run=run, order=order, asset=text[:20])
    make_occurrence(incident, run, subject=text, message=text, trace=text)
    make_decision(account, text)
    details = {
        "account": account.pk,
        "portfolio": portfolio.pk,
        "discrepancy": lapse.pk,
        "exception": incident.pk,
        "run": run.pk,
        "verdicts": make_snapshot(run, text).run_id,
        "run_progress": run.pk,
    }
    return {name: url_of(name) for name in LISTS} | {
        name: url_of(name, pk) for name, pk in details.items()
    }


def _fill_account(account: ExchangeAccount, text: str) -> None:
    make_balance(account, asset=text[:20], reason=text)
    order = make_order(account, symbol=text[:64], fees=[{"asset": text, "amount": text}])
    order.frozen_because = text
    order.save()
    make_version(order)
    make_flow(account, asset=text[:64], external_id=text, raw_kind=text[:64])
    make_cursor(account, subject=text)
    make_quarantine(account, subject=text)


def make_lapse(order: Order, text: str) -> Discrepancy:
    return make_discrepancy(
        order.account,
        portfolio=order.portfolio,
        order=order,
        code=Discrepancy.Code.ORDER_MISSING_AT_VENUE,
        asset=text[:20],
        cause=text,
    )


def make_snapshot(run: SyncRun, text: str) -> JudgedSnapshot:
    numbers = dict.fromkeys(("expected", "total", "residual", "low", "high", "tolerance"), "1")
    said = {"free": "1", "used": "0", "verdict": "VERIFIED", "reason": text} | numbers
    content = JudgedContent.objects.create(account=run.account, rows={"spot": {text: said}})
    return JudgedSnapshot.objects.create(
        account=run.account,
        run=run,
        content=content,
        window_low=NOON,
        window_high=NOON,
        seen_at=NOON,
    )


def make_decision(account: ExchangeAccount, text: str) -> Decision:
    change = {"table": text, "row": text, "field": text, "before": text, "after": None}
    return Decision.objects.create(
        account=account,
        kind=Decision.Kind.ADJUST,
        subject=text,
        reason=text,
        actor_name=text,
        changes=[change],
    )


def test_the_names_below_are_all_pages_that_there_are() -> None:
    known = {*LISTS, *DETAILS, *POSTS, *PUBLIC, *EXPORTED, "run_progress", "sync_all", "decision"}
    known |= {"bulk_decision"}  # test_bulk_decision opens it

    # The API, a tree of its own, has its own tests.
    assert {page.name for page in urlpatterns if isinstance(page, URLPattern)} == known


@pytest.mark.parametrize("name", [*LISTS, *DETAILS, *POSTS, "run_progress", "sync_all", "decision"])
def test_it_wants_a_log_in(stranger: Client, name: str) -> None:
    url = url_of(name)

    response = stranger.post(url) if name in (*POSTS, "sync_all") else stranger.get(url)

    assert response.status_code == 302
    assert response.headers["Location"] == f"{reverse('login')}?next={url}"


@pytest.mark.parametrize("name", [*LISTS, *DETAILS, "run_progress"])
def test_a_page_rejects_post(client: Client, name: str) -> None:
    assert client.post(url_of(name)).status_code == 405


@pytest.mark.parametrize("name", [*POSTS, "sync_all"])
def test_an_action_rejects_get(client: Client, name: str) -> None:
    assert client.get(url_of(name)).status_code == 405


@pytest.mark.parametrize("pk", [999, 10**30])
@pytest.mark.parametrize("name", [*DETAILS, *POSTS, "run_progress", "decision"])
def test_it_does_not_find_what_is_not_there(client: Client, name: str, pk: int) -> None:
    url = url_of(name, pk)

    response = client.post(url) if name in POSTS else client.get(url)

    assert response.status_code == 404
    assert "There is no such page" in html_of(response)


@pytest.mark.parametrize("name", [*POSTS, "decision"])
def test_an_action_wants_the_token_of_its_form(client: Client, name: str) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = client.cookies

    response = careful.post(url_of(name))

    assert response.status_code == 403
    assert "This form is too old" in html_of(response)


def test_hostile_text_of_an_exchange_stays_text(client: Client) -> None:
    for name, url in a_world(HOSTILE).items():
        page = html_of(client.get(url))

        assert "alert(1)" in page, name
        assert "<script>alert" not in page, name
        assert "<img src=x" not in page, name


def test_no_page_carries_script_or_style_of_its_own(client: Client) -> None:
    urls = [*a_world().values(), reverse("overview") + "?a=b", "/nowhere/"]

    for url in urls:
        page = html_of(client.get(url))

        assert not re.search(r"<script(?![^>]*\ssrc=)", page), url
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page), url


def test_every_table_says_what_it_is_and_what_its_headers_head(client: Client) -> None:
    for name, url in a_world().items():
        page = html_of(client.get(url))

        assert page.count("<table") == page.count("<caption"), name
        assert not re.search(r"<th(?![^>]*\sscope=)[\s>]", page), name


def test_every_page_has_one_heading_and_a_title(client: Client) -> None:
    for name, url in a_world().items():
        if name == "run_progress":
            continue  # a part of pages
        page = html_of(client.get(url))

        assert page.count("<h1") == 1, name
        assert re.search(r"<title>\s*[^<]*PosSync\s*</title>", page), name


@pytest.mark.parametrize("name", [*LISTS, *DETAILS])
def test_it_asks_the_database_as_often_for_many_rows_as_for_few(
    client: Client, name: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    account = make_account()
    portfolio = make_portfolio(account)
    run = make_run(account)
    last_run = make_run(account)
    incident = make_incident(account)
    for number in range(20):
        other = make_account()
        make_portfolio(other)
        make_run(other)
        make_incident(other)
        make_balance(account, asset=f"A{number}")
        make_position(portfolio, asset=f"A{number}")
        order = make_order(portfolio, amount=Decimal(number + 1))
        make_version(order)
        lapse = make_lapse(order, "")
        make_version(make_order(account))
        make_flow(account)
        make_cursor(account, subject=f"A{number}/EUR")
        make_quarantine(account, subject=f"A{number}/EUR")
        make_leg(last_run, complete=False)
        make_leg(run)
        make_entry(portfolio, run=run, order=order)
        make_occurrence(incident, run)
        make_decision(account, "checked")
    make_snapshot(run, "BTC")
    pks = {
        "account": account.pk,
        "portfolio": portfolio.pk,
        "discrepancy": lapse.pk,
        "exception": incident.pk,
    }

    with django_assert_max_num_queries(MAX_QUERIES):
        response = client.get(url_of(name, pks.get(name, run.pk)))

    assert response.status_code == 200
