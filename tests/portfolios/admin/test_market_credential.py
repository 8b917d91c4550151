from __future__ import annotations

import re

from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from portfolios.models import MarketCredential
from portfolios.services.credentials import opened_credentials
from providers.credentials import CREDENTIAL_NAMES
from tests.builders import make_account, make_credential
from tests.portfolios.views.pages import html_of, text_of

ADD = "/admin/portfolios/marketcredential/add/"


def change(credential: MarketCredential) -> str:
    return f"/admin/portfolios/marketcredential/{credential.pk}/change/"


def secrets_of(credential: MarketCredential) -> dict[str, str]:
    opened = opened_credentials(credential.account)
    return {name: secret.reveal() for name, secret in opened.items()}


def test_a_credential_is_stored_and_opens_again(admin_client: Client) -> None:
    account = make_account(market="okx")

    admin_client.post(ADD, {"account": account.pk, "apiKey": " k ", "secret": "s", "password": "p"})

    credential = MarketCredential.objects.get()
    assert secrets_of(credential) == {"apiKey": "k", "secret": "s", "password": "p"}


def test_every_name_that_ccxt_knows_has_a_field(admin_client: Client) -> None:
    page = html_of(admin_client.get(ADD))

    for name in CREDENTIAL_NAMES:
        assert re.search(rf'<input type="password" name="{name}"[^>]*autocomplete="', page), name


def test_a_missing_secret_is_named(admin_client: Client) -> None:
    account = make_account(market="okx")

    response = admin_client.post(ADD, {"account": account.pk, "apiKey": "k", "secret": "s"})

    assert "OKX requires the Password or passphrase of the key." in text_of(response)
    assert not MarketCredential.objects.exists()


def test_what_the_market_does_not_require_is_not_demanded(admin_client: Client) -> None:
    account = make_account(market="binance")

    admin_client.post(ADD, {"account": account.pk, "apiKey": "k", "secret": "s"})

    assert MarketCredential.objects.exists()


def test_blanks_are_no_secret(admin_client: Client) -> None:
    account = make_account()

    response = admin_client.post(ADD, {"account": account.pk, "apiKey": "k", "secret": "   "})

    assert "Binance requires the Secret." in text_of(response)


def test_a_blank_field_keeps_what_is_stored(admin_client: Client) -> None:
    credential = make_credential(apiKey="old key", secret="old secret")

    admin_client.post(change(credential), {"apiKey": "new key", "secret": ""})

    assert secrets_of(credential) == {"apiKey": "new key", "secret": "old secret"}


def test_saving_nothing_new_changes_nothing(admin_client: Client) -> None:
    credential = make_credential()
    before = MarketCredential.objects.values().get()

    admin_client.post(change(credential), dict.fromkeys(CREDENTIAL_NAMES, ""))

    assert MarketCredential.objects.values().get() == before


def test_a_stored_secret_is_never_shown(admin_client: Client) -> None:
    credential = make_credential(apiKey="canary-key", secret="canary-secret")

    page = html_of(admin_client.get(change(credential)))

    assert "canary" not in page
    assert not any(sealed in page for sealed in credential.sealed.values())
    assert credential.fingerprint in page


def test_a_secret_that_was_refused_is_not_shown_again(admin_client: Client) -> None:
    account = make_account(market="okx")

    response = admin_client.post(ADD, {"account": account.pk, "apiKey": "canary-key"})

    assert response.status_code == 200
    assert "canary" not in html_of(response)


def test_the_history_of_changes_holds_no_secret(admin_client: Client) -> None:
    credential = make_credential()

    admin_client.post(change(credential), {"apiKey": "canary-key", "secret": "canary-secret"})

    entry = LogEntry.objects.get()
    assert "canary" not in entry.change_message + entry.object_repr


def test_a_stored_credential_stays_with_its_account(admin_client: Client) -> None:
    credential = make_credential()
    other = make_account()

    admin_client.post(change(credential), {"account": other.pk, "apiKey": "k"})

    credential.refresh_from_db()
    assert credential.account != other


def test_an_account_has_one_credential(admin_client: Client) -> None:
    credential = make_credential()
    form = {"account": credential.account_id, "apiKey": "k", "secret": "s"}

    response = admin_client.post(ADD, form)

    assert "already exists" in text_of(response)
    assert MarketCredential.objects.count() == 1


def test_fields_say_what_the_chosen_account_needs(admin_client: Client) -> None:
    account = make_account(market="okx")

    page = text_of(admin_client.get(f"{ADD}?account={account.pk}"))

    assert "Password or passphrase of the key: Required by this exchange." in page
    assert "Private key: Not needed for this exchange." in page


def test_a_number_that_is_the_key_of_no_account_is_left_aside(admin_client: Client) -> None:
    assert admin_client.get(f"{ADD}?account={'9' * 5000}").status_code == 200


def test_a_lost_key_file_is_an_error_of_the_form(admin_client: Client, settings: Settings) -> None:
    credential = make_credential()
    settings.POSSYNC_CREDENTIAL_KEY_FILE.unlink()

    response = admin_client.post(change(credential), {"apiKey": "k", "secret": "s"})

    assert response.status_code == 200
    assert "Put the file back" in text_of(response)
