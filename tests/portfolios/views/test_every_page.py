from __future__ import annotations

import gzip
import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portfolios.models import (
    Decision,
    Discrepancy,
    ExchangeAccount,
    JudgedContent,
    JudgedSnapshot,
    LedgerEntry,
    MarketCredential,
    Order,
    SyncRun,
)
from portfolios.models.choices import Verdict
from portfolios.selectors.listing import PER_PAGE
from portfolios.urls import urlpatterns
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_credential,
    make_cursor,
    make_discrepancy,
    make_entry,
    make_fill,
    make_flow,
    make_incident,
    make_leg,
    make_occurrence,
    make_order,
    make_portfolio,
    make_portfolio_snapshot,
    make_position,
    make_quarantine,
    make_run,
    make_version,
)
from tests.kept import kept
from tests.portfolios.views.pages import html_of, user_of_every_button

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
LISTS = (
    *("overview", "accounts", "discrepancies", "exceptions", "runs", "decisions"),
    *("audit", "connect"),
)
ACCOUNT_PAGES = (
    "account",
    *(f"account_{name}" for name in ("orders", "fills", "ledger", "flows", "ownership")),
    *("account_decisions", "account_coverage"),
)
PORTFOLIO_PAGES = (
    "portfolio",
    *(f"portfolio_{name}" for name in ("orders", "fills", "ledger", "history", "compare")),
)
DETAILS = (*ACCOUNT_PAGES, *PORTFOLIO_PAGES, "discrepancy", "exception", "run", "verdicts")
# With a form that is sent to the same address; a step is one of an account that is being connected.
FORMS = ("account_test", "account_schedule")
STEPS = tuple(f"connect_{name}" for name in ("key", "test", "books", "sync", "schedule"))
PARTS = ("run_progress", "account_test_result")
POSTS = (
    "account_sync",
    "account_pause",
    "account_resume",
    "portfolio_sync",
    "exception_resolve",
    "exception_mute",
    "exception_unmute",
    "connect_discard",
)
OTHERS = ("sync_all", "decision", "connect_new", "connect_resume")
EXPORTED = ("export_csv", "export_json", "export_of")  # test_exports reads them
PUBLIC = ("login", "logout", "set_language", "healthz", "readyz", "metrics")
MAX_QUERIES = 12
MAX_BYTES = 60_000


def url_of(name: str, pk: int = 1) -> str:
    if name == "decision":
        return reverse(name, args=[pk, "adjust"])
    if name == "connect_new":
        return reverse(name, args=["kraken"])
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
    make_portfolio_snapshot(portfolio, run, asset=text[:20])
    flow = make_flow(account, asset=text[:64], external_id=text, raw_kind=text[:64])
    decision = make_decision(account, text)
    made_by = {"run": run, "order": order, "flow": flow, "decision": decision}
    make_entry(portfolio, asset=text[:20], **made_by)
    make_portfolio_snapshot(portfolio, run, asset=text[:20], amount="2")
    make_fill(order, external_id=text)
    make_occurrence(incident, run, subject=text, message=text, trace=text)
    half = make_half_connected(text)
    details = {
        **dict.fromkeys(ACCOUNT_PAGES, account.pk),
        **dict.fromkeys(PORTFOLIO_PAGES, portfolio.pk),
        "discrepancy": lapse.pk,
        "exception": incident.pk,
        "run": run.pk,
        "verdicts": make_snapshot(run, text).run_id,
        "run_progress": run.pk,
        **dict.fromkeys(FORMS, account.pk),
        **dict.fromkeys((*STEPS, "account_test_result"), half.pk),
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
    make_cursor(account, subject=text)
    make_quarantine(account, subject=text)


def make_half_connected(text: str) -> ExchangeAccount:
    account = make_account(label=f"{text[:90]} half", connecting=True)
    make_portfolio(account, name=f"{text[:90]} half")
    MarketCredential.objects.create(account=account, state="rejected", state_detail=text)
    return account


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
    known = {*LISTS, *DETAILS, *FORMS, *STEPS, *PARTS, *POSTS, *OTHERS, *PUBLIC, *EXPORTED}
    known |= {"bulk_decision"}  # test_bulk_decision opens it

    # The API, a tree of its own, has its own tests.
    assert {page.name for page in urlpatterns} == known


@pytest.mark.parametrize("name", [*LISTS, *DETAILS, *FORMS, *STEPS, *PARTS, *POSTS, *OTHERS])
def test_it_wants_a_log_in(stranger: Client, name: str) -> None:
    url = url_of(name)

    response = stranger.post(url) if name in (*POSTS, "sync_all") else stranger.get(url)

    assert response.status_code == 302
    assert response.headers["Location"] == f"{reverse('login')}?next={url}"


@pytest.mark.parametrize("name", [*LISTS, *DETAILS, *PARTS, "connect_test", "connect_sync"])
def test_a_page_rejects_post(client: Client, name: str) -> None:
    assert client.post(url_of(name)).status_code == 405


@pytest.mark.parametrize("name", [*POSTS, "sync_all"])
def test_an_action_rejects_get(client: Client, name: str) -> None:
    assert client.get(url_of(name)).status_code == 405


@pytest.mark.parametrize("pk", [999, 10**30])
@pytest.mark.parametrize("name", [*DETAILS, *FORMS, *STEPS, *POSTS, *PARTS, "decision"])
def test_it_does_not_find_what_is_not_there(client: Client, name: str, pk: int) -> None:
    url = url_of(name, pk)

    response = client.post(url) if name in POSTS else client.get(url)

    assert response.status_code == 404
    assert "There is no such page" in html_of(response)


@pytest.mark.parametrize("name", [*POSTS, *FORMS, "connect_new", "decision"])
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


@kept
def pages() -> dict[str, str]:
    """Show each page of one row of everything, one with a filter, and the one for what is not there."""
    client = user_of_every_button()
    others = {"a filter": reverse("overview") + "?a=b", "nowhere": "/nowhere/"}
    return {name: html_of(client.get(url)) for name, url in (a_world() | others).items()}


def test_no_page_carries_script_or_style_of_its_own(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        assert not re.search(r"<script(?![^>]*\ssrc=)", page), name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page), name


def test_every_table_says_what_it_is_and_what_its_headers_head(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        assert page.count("<table") == page.count("<caption"), name
        assert not re.search(r"<th(?![^>]*\sscope=)[\s>]", page), name


def test_every_page_has_one_heading_and_a_title(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        if name in PARTS:
            continue  # a part of pages

        assert page.count("<h1") == 1, name
        assert re.search(r"<title>\s*[^<]*PosSync\s*</title>", page), name


def make_many(account: ExchangeAccount, run: SyncRun, numbers: range) -> dict[str, int]:
    """Add one row for each number of everything that a list shows; return the key of what each page shows."""
    portfolio = account.portfolios.get()
    incident = make_incident(account)
    for number in numbers:
        other = make_account()
        make_portfolio(other)
        make_run(other)
        make_run(other, status=SyncRun.Status.RUNNING)
        make_incident(other)
        asset = f"A{number}"
        make_balance(account, asset=asset, residual=Decimal("0.1"), verdict=Verdict.DIFFERS)
        make_position(portfolio, asset=asset)
        order = make_order(portfolio, amount=Decimal(number + 1))
        make_version(order)
        make_fill(order)
        lapse = make_lapse(order, "")
        make_version(make_order(account))
        flow = make_flow(account)
        make_cursor(account, subject=f"{asset}/EUR")
        make_quarantine(account, subject=f"{asset}/EUR")
        make_leg(run, complete=False)
        decision = make_decision(account, "checked")
        about = {"run": run, "order": order, "flow": flow, "decision": decision}
        make_entry(portfolio, asset=asset, cause=LedgerEntry.Cause.ADJUSTMENT, **about)
        make_portfolio_snapshot(portfolio, run, asset=asset, amount=str(number))
        make_occurrence(incident, run)
    return {
        **dict.fromkeys((*ACCOUNT_PAGES, *FORMS), account.pk),
        **dict.fromkeys(PORTFOLIO_PAGES, portfolio.pk),
        "discrepancy": lapse.pk,
        "exception": incident.pk,
        "run": run.pk,
        "verdicts": run.pk,
    }


def queries_by_page(client: Client, keys: dict[str, int]) -> dict[str, int]:
    counts = {}
    for name in (*LISTS, *DETAILS, *FORMS):
        with CaptureQueriesContext(connection) as asked:
            assert client.get(url_of(name, keys.get(name, 1))).status_code == 200, name
        counts[name] = len(asked)
    return counts


def weight(client: Client, url: str) -> int:
    """Add up the compressed bytes of a page and of all that it loads."""
    page = html_of(client.get(url))
    loaded = re.findall(r'(?:href|src)="/static/([^"]+\.(?:css|js|svg))"', page)
    files = [Path(str(finders.find(name))).read_bytes() for name in set(loaded)]
    return sum(len(gzip.compress(content)) for content in (page.encode(), *files))


@pytest.fixture
def busy(db: None) -> tuple[ExchangeAccount, SyncRun]:
    """Make an account with a key and one portfolio, a run that is over and one that is on its way."""
    account = make_credential().account
    run = make_run(account)
    make_portfolio_snapshot(make_portfolio(account), run)
    make_snapshot(run, "BTC")
    make_run(account, status=SyncRun.Status.RUNNING)
    return account, run


def test_a_page_asks_the_database_seldom_and_as_often_for_many_rows_as_for_one(
    client: Client, busy: tuple[ExchangeAccount, SyncRun]
) -> None:
    of_one = queries_by_page(client, make_many(*busy, range(1)))
    of_many = queries_by_page(client, make_many(*busy, range(1, PER_PAGE)))

    assert of_many == of_one
    assert {name: each for name, each in of_one.items() if each > MAX_QUERIES} == {}


def test_a_first_page_is_light(client: Client, busy: tuple[ExchangeAccount, SyncRun]) -> None:
    keys = make_many(*busy, range(PER_PAGE))

    weights = {name: weight(client, url_of(name, keys.get(name, 1))) for name in (*LISTS, *DETAILS)}

    assert {name: each for name, each in weights.items() if each > MAX_BYTES} == {}
