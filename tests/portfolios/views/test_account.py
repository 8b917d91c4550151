from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.test import Client
from django.utils import timezone

from portfolios.models import ExchangeAccount, MarketCredential
from portfolios.models.choices import Verdict
from tests.builders import (
    make_account,
    make_balance,
    make_credential,
    make_discrepancy,
    make_order,
    make_portfolio,
    make_run,
)
from tests.portfolios.views.pages import html_of, shown


def page_of(client: Client, account: ExchangeAccount, rest: str = "") -> str:
    return shown(client, f"/accounts/{account.pk}/{rest}")


def test_it_shows_book_and_exchange_to_the_last_digit(client: Client) -> None:
    account = make_account()
    make_balance(
        account,
        asset="ETH",
        expected=Decimal("1234567.000000000000000001"),
        total=Decimal("1234567.5"),
        free=Decimal("1234567.5"),
        used=Decimal(0),
        residual=Decimal("0.499999999999999999"),
        verdict=Verdict.DIFFERS,
    )

    page = page_of(client, account)

    assert "ETH spot Differs 1234567.000000000000000001 1234567.5 1234567.5 0" in page
    assert "+0.499999999999999999" in page


def test_what_the_exchange_did_not_report_is_not_zero(client: Client) -> None:
    account = make_account()
    make_balance(account, asset="BNB", total=None, free=None, used=None, residual=None)

    assert (
        "BNB spot Verified 0.5 —not reported —not reported —not reported —not reported"
        in page_of(client, account)
    )


def test_a_difference_says_since_when(client: Client) -> None:
    account = make_account()
    make_balance(account, asset="BTC", residual=Decimal("-0.1"), verdict=Verdict.DIFFERS)
    make_discrepancy(account, asset="BTC", first_seen=timezone.now() - timedelta(hours=3))

    assert "-0.1 3 h" in page_of(client, account)


def test_a_settled_difference_says_nothing_about_the_present_one(client: Client) -> None:
    account = make_account()
    make_balance(account, asset="BTC", residual=Decimal("-0.1"), verdict=Verdict.DIFFERS)
    make_discrepancy(account, asset="BTC", state="RESOLVED")

    assert "-0.1 —" in page_of(client, account)


def test_it_shows_external_orders_as_such(client: Client) -> None:
    account = make_account()
    make_order(account, external_id="by-hand")

    assert "external by-hand" in page_of(client, account, "orders/")


def test_it_narrows_orders_to_those_of_the_books(client: Client) -> None:
    account = make_account()
    make_order(account, external_id="by-hand")
    make_order(make_portfolio(account), external_id="by-bot")

    page = page_of(client, account, "orders/?owner=books")

    assert "by-bot" in page
    assert "by-hand" not in page


def test_orders_that_are_over_are_shown_on_request(client: Client) -> None:
    account = make_account()
    make_order(account, external_id="done", status="closed")

    assert "done" not in page_of(client, account, "orders/")
    assert "done" in page_of(client, account, "orders/?orders=over")


def test_it_shows_when_a_credential_was_set_and_its_fingerprint(client: Client) -> None:
    credential = make_credential()

    page = page_of(client, credential.account)

    assert f"fingerprint {credential.fingerprint}" in page
    assert "apiKey, secret" in page


def test_it_shows_no_secret_sealed_or_open(client: Client) -> None:
    credential = make_credential(apiKey="canary-key", secret="canary-secret")

    page = html_of(client.get(f"/accounts/{credential.account_id}/"))

    assert "canary" not in page
    assert not any(sealed in page for sealed in credential.sealed.values())


def test_it_says_why_a_credential_was_refused(client: Client) -> None:
    credential = make_credential()
    credential.state = MarketCredential.State.REJECTED
    credential.state_detail = "binance does not accept the key."
    credential.save()

    page = page_of(client, credential.account)

    assert "Rejected" in page
    assert "binance does not accept the key." in page


def test_an_account_without_a_credential_says_so(client: Client) -> None:
    assert "Credential Not set" in page_of(client, make_account())


def test_it_shows_the_last_runs(client: Client) -> None:
    run = make_run()

    assert f"{run.pk} Succeeded Schedule" in page_of(client, run.account)


def test_a_paused_account_offers_to_resume(client: Client) -> None:
    page = page_of(client, make_account(paused=True))

    assert "Resume" in page
    assert "Pause" not in page.replace("Paused", "")


def test_a_new_account_says_that_nothing_was_read(client: Client) -> None:
    page = page_of(client, make_account())

    assert "No balance has been read yet." in page
    assert "This account has not been synced yet." in page


def test_it_names_the_state_that_the_overview_names(client: Client) -> None:
    account = make_account(label="desk")
    make_credential(account)
    make_run(account, balances_read=True)
    make_discrepancy(account)

    heading = html_of(client.get(f"/accounts/{account.pk}/")).partition("</h1>")[0]

    assert "Differs" in heading.partition("<h1")[2]
    assert "Differs" in shown(client, "/")
