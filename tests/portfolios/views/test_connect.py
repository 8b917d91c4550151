"""Connecting an exchange, step by step, with the practice exchange over real HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.forms import BaseForm
from django.test import Client
from django_q.models import OrmQ
from pytest_django import DjangoAssertNumQueries

from portfolios.forms import NewAccountForm, NewPortfolioForm
from portfolios.models import AuditEvent, ExchangeAccount, MarketCredential, Portfolio, SyncRun
from portfolios.services.connection_test import execute_connection_test
from portfolios.services.manual_sync import sync_now
from providers.sandbox.books import Permission
from providers.sandbox.server import SandboxServer
from tests.builders import make_account, make_credential, make_portfolio, make_run
from tests.desk import KEY, SECRET
from tests.portfolios.views.pages import html_of, shown, text_of

FORM = {"label": "main", "apiKey": KEY, "secret": SECRET, "endpoint": ""}
State = MarketCredential.State


def begin(client: Client, sandbox: SandboxServer, **values: str) -> ExchangeAccount:
    """Do the first step at the practice exchange, and what the worker does then."""
    client.post("/connect/new/binance/", FORM | {"endpoint": sandbox.url} | values)
    account = ExchangeAccount.objects.get()
    execute_connection_test(account.pk)
    return account


def test_a_market_is_found_by_a_part_of_its_name(client: Client) -> None:
    page = shown(client, "/connect/?q=krak")

    assert "Kraken" in page
    assert "Binance" not in page


def test_the_form_asks_for_what_the_market_requires(client: Client) -> None:
    page = html_of(client.get("/connect/new/okx/"))

    assert [
        name for name in ("apiKey", "secret", "password", "uid") if f'name="{name}"' in page
    ] == [
        "apiKey",
        "secret",
        "password",
    ]


def test_a_market_that_nobody_knows_has_no_form(client: Client) -> None:
    assert client.get("/connect/new/nowhere/").status_code == 404


def test_a_name_and_a_key_begin_a_connection_and_its_test(client: Client) -> None:
    response = client.post("/connect/new/binance/", FORM)

    account = ExchangeAccount.objects.get()
    assert response.headers["Location"] == f"/connect/{account.pk}/test/"
    assert (account.label, account.market) == ("main", "binance")
    assert (account.connecting, account.paused) == (True, True)
    assert [task.func() for task in OrmQ.objects.all()] == ["portfolios.tasks.test_connection"]


@pytest.mark.parametrize("missing", ["label", "apiKey", "secret"])
def test_what_is_missing_is_asked_for_and_nothing_is_made(client: Client, missing: str) -> None:
    response = client.post("/connect/new/binance/", FORM | {missing: " "})

    assert "This field is required." in text_of(response)
    assert not ExchangeAccount.objects.exists()


def test_secrets_of_the_environment_need_not_be_entered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", KEY)
    monkeypatch.setenv("BINANCE_SECRET_KEY", SECRET)

    client.post("/connect/new/binance/", FORM | {"apiKey": "", "secret": ""})

    account = ExchangeAccount.objects.get()
    assert client.get(f"/connect/{account.pk}/").headers["Location"].endswith("/test/")


def test_no_secret_is_shown_again_after_an_error(client: Client) -> None:
    response = client.post("/connect/new/binance/", FORM | {"label": ""})

    assert KEY not in html_of(response)
    assert SECRET not in html_of(response)


def test_an_endpoint_that_is_not_allowed_is_refused(client: Client) -> None:
    response = client.post("/connect/new/binance/", FORM | {"endpoint": "https://evil.example"})

    assert "This endpoint is not allowed" in text_of(response)
    assert not ExchangeAccount.objects.exists()


def test_a_name_that_is_taken_is_refused(client: Client) -> None:
    make_account(label="main")

    response = client.post("/connect/new/binance/", FORM)

    assert "already exists" in text_of(response)


def test_a_second_click_makes_no_second_account_and_says_why(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    beaten_by(monkeypatch, NewAccountForm, lambda: make_account(label="main"))

    page = text_of(client.post("/connect/new/binance/", FORM))

    assert page.count("An account of this name was made a moment ago. This one was not added.") == 1
    assert ExchangeAccount.objects.count() == 1
    assert not AuditEvent.objects.exclude(kind=AuditEvent.Kind.SIGN_IN).exists()
    assert not OrmQ.objects.exists()


def test_a_second_click_makes_no_second_portfolio_and_says_why(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = make_account(connecting=True)
    beaten_by(monkeypatch, NewPortfolioForm, lambda: make_portfolio(account, name="alpha"))

    sent = {"name": "alpha", "trading_symbol": "EUR", "initial_balance": ""}
    page = text_of(client.post(f"/connect/{account.pk}/books/", sent))

    assert (
        page.count("A portfolio of this name was made a moment ago. This one was not added.") == 1
    )
    assert Portfolio.objects.count() == 1
    assert not AuditEvent.objects.exclude(kind=AuditEvent.Kind.SIGN_IN).exists()


def beaten_by(
    monkeypatch: pytest.MonkeyPatch, form: type[BaseForm], other: Callable[[], object]
) -> None:
    """Let another request do its work between the check of a form and what is made of it."""
    check = form.is_valid

    def is_valid(self: BaseForm) -> bool:
        answer = check(self)
        other()
        return answer

    monkeypatch.setattr(form, "is_valid", is_valid)


def test_a_test_under_way_is_asked_for_again_and_again(client: Client) -> None:
    client.post("/connect/new/binance/", FORM)
    account = ExchangeAccount.objects.get()

    page = html_of(client.get(f"/connect/{account.pk}/test/"))

    assert f'hx-get="/accounts/{account.pk}/test/result/?seen=' in page
    assert "Testing the connection" in page


def test_the_panel_stays_as_long_as_nothing_has_changed(client: Client) -> None:
    client.post("/connect/new/binance/", FORM)
    account = ExchangeAccount.objects.get()

    response = client.get(f"/accounts/{account.pk}/test/result/?seen=1-1")

    assert response.status_code == 204


def test_a_test_that_found_the_key_in_use_says_so(client: Client) -> None:
    account = make_account(connecting=True)
    make_credential(account)
    MarketCredential.objects.update(state=State.ACCEPTED, findings={"was_busy": True})

    page = shown(client, f"/connect/{account.pk}/test/")

    assert "Nothing was tested: a sync used the key all the time." in page


def test_an_accepted_key_shows_what_was_learned(client: Client, sandbox: SandboxServer) -> None:
    sandbox.engine.deposit(KEY, "BTC", "1")
    account = begin(client, sandbox)

    page = shown(client, f"/connect/{account.pk}/test/")

    assert "The exchange accepts the key." in page
    assert "read: 1 asset" in page
    assert "Trade: not allowed" in page
    assert "Deposits and withdrawals can be read" in page


@pytest.mark.parametrize(
    ("right", "told"),
    [
        (Permission.TRADE, "Trade: allowed PosSync never trades."),
        (Permission.WITHDRAW, "Withdraw or transfer: allowed Whoever got hold of this key"),
    ],
)
def test_a_key_that_may_do_more_is_warned_of(
    client: Client, sandbox: SandboxServer, right: Permission, told: str
) -> None:
    sandbox.engine.change_key(KEY, permissions=[Permission.READ, right])
    account = begin(client, sandbox)

    page = shown(client, f"/connect/{account.pk}/test/")

    assert "The key is not as safe as it could be." in page
    assert told in page


def test_a_key_as_it_should_be_is_told_so(client: Client, sandbox: SandboxServer) -> None:
    sandbox.engine.change_key(KEY, addresses=["192.0.2.7"])
    account = begin(client, sandbox)

    page = shown(client, f"/connect/{account.pk}/test/")

    assert "The key may read, and nothing more than that." in page


def test_a_wrong_key_leads_to_the_right_one(client: Client, sandbox: SandboxServer) -> None:
    account = begin(client, sandbox, apiKey="no-such-key")
    assert "The exchange refuses the key." in shown(client, f"/connect/{account.pk}/test/")

    client.post(f"/connect/{account.pk}/key/", {"apiKey": KEY, "secret": ""})
    execute_connection_test(account.pk)

    assert MarketCredential.objects.get().state == State.ACCEPTED


def test_a_market_that_does_not_tell_rights_is_said_to(client: Client) -> None:
    account = make_account(market="bitstamp", connecting=True)
    found = {"assets": 0, "clock_offset": None, "requests": 2, "rights": None}
    MarketCredential.objects.create(account=account, state=State.ACCEPTED, findings=found)

    page = shown(client, f"/connect/{account.pk}/test/")

    assert "Bitstamp does not tell what a key may do." in page


def test_a_portfolio_is_added(client: Client) -> None:
    account = make_account(connecting=True)

    client.post(
        f"/connect/{account.pk}/books/",
        {"name": "alpha", "trading_symbol": "usdt", "initial_balance": ""},
    )

    portfolio = Portfolio.objects.get()
    assert (portfolio.account, portfolio.trading_symbol) == (account, "USDT")
    assert portfolio.initial_balance is None


def test_a_negative_balance_is_refused(client: Client) -> None:
    account = make_account(connecting=True)

    response = client.post(
        f"/connect/{account.pk}/books/",
        {"name": "alpha", "trading_symbol": "USDT", "initial_balance": "-1"},
    )

    assert "Expected zero or more." in text_of(response)
    assert not Portfolio.objects.exists()


def test_finishing_gives_the_account_to_its_schedule(client: Client) -> None:
    account = make_account(connecting=True, paused=True)

    response = client.post(
        f"/connect/{account.pk}/schedule/", {"by": "interval", "interval_seconds": "600"}
    )

    account.refresh_from_db()
    assert response.headers["Location"] == account.get_absolute_url()
    assert (account.connecting, account.paused) == (False, False)
    assert account.interval_seconds == 600


def test_a_look_at_the_next_runs_finishes_nothing(client: Client) -> None:
    account = make_account(connecting=True, paused=True)
    form = {"by": "interval", "interval_seconds": "600", "look": "1"}

    client.post(f"/connect/{account.pk}/schedule/", form)

    account.refresh_from_db()
    assert account.connecting


def test_a_half_done_connection_goes_on_where_it_was_left(
    client: Client, sandbox: SandboxServer
) -> None:
    account = begin(client, sandbox)
    stops = [client.get(f"/connect/{account.pk}/").headers["Location"]]
    client.post(f"/connect/{account.pk}/books/", {"name": "alpha", "trading_symbol": "USDT"})
    stops.append(client.get(f"/connect/{account.pk}/").headers["Location"])
    sync_now([account])
    stops.append(client.get(f"/connect/{account.pk}/").headers["Location"])

    assert [url.split("/")[3] for url in stops] == ["books", "sync", "schedule"]


def test_a_half_done_connection_is_listed(client: Client) -> None:
    account = make_account(connecting=True, label="half")

    page = html_of(client.get("/connect/"))

    assert f'href="/connect/{account.pk}/"' in page


def test_what_is_given_up_leaves_nothing(client: Client) -> None:
    client.post("/connect/new/binance/", FORM)
    account = ExchangeAccount.objects.get()

    client.post(f"/connect/{account.pk}/discard/")

    assert not ExchangeAccount.objects.exists()
    assert not MarketCredential.objects.exists()
    assert AuditEvent.objects.first().kind == AuditEvent.Kind.DISCARD  # type: ignore[union-attr]


def test_what_was_read_stays(client: Client) -> None:
    account = make_account(connecting=True)
    SyncRun.objects.create(account=account, trigger=SyncRun.Trigger.MANUAL)

    client.post(f"/connect/{account.pk}/discard/")

    assert ExchangeAccount.objects.filter(pk=account.pk).exists()


@pytest.mark.parametrize("step", ["", "key/", "test/", "books/", "sync/", "schedule/"])
def test_an_account_that_is_connected_has_no_steps(client: Client, step: str) -> None:
    account = make_account()

    assert client.get(f"/connect/{account.pk}/{step}").status_code == 404


@pytest.mark.parametrize("step", ["key", "test", "books", "sync", "schedule"])
def test_a_step_asks_the_database_as_often_for_much_as_for_little(
    client: Client, step: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    account = make_credential(make_account(connecting=True)).account
    for _number in range(20):
        make_portfolio(account)
        make_run(account)

    with django_assert_max_num_queries(12):
        client.get(f"/connect/{account.pk}/{step}/")


def test_choosing_a_market_asks_as_often_for_many_half_done_ones(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _number in range(20):
        make_run(make_account(connecting=True))

    with django_assert_max_num_queries(12):
        client.get("/connect/")


@pytest.mark.parametrize("step", ["key", "test", "books", "sync", "schedule"])
def test_a_reader_sees_no_step(reader: Client, step: str) -> None:
    account = make_account(connecting=True)

    assert reader.get(f"/connect/{account.pk}/{step}/").status_code == 403


def test_who_may_not_add_accounts_may_not_connect(reader: Client) -> None:
    assert reader.get("/connect/").status_code == 403
    assert reader.post("/connect/new/binance/", FORM).status_code == 403
    assert not ExchangeAccount.objects.exists()
