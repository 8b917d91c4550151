from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django.fixtures import Settings

from portfolios.models import ExchangeAccount, Incident, MarketCredential, SyncRun
from portfolios.models.choices import Health
from portfolios.selectors.report import full_report
from portfolios.services.book import BookError, import_book
from portfolios.services.credentials import (
    ENVIRONMENT_NAMES,
    _new_key_file,
    key_ring,
    note_credential_state,
    opened_credentials,
    store_credential,
)
from portfolios.services.providers import provider_lookup
from providers import catalogue
from providers.credentials import CREDENTIAL_NAMES, Credentials
from providers.errors import CredentialMissing, CredentialUnreadable
from providers.fetching import test_connection as connection_report
from providers.reports import SnapshotRequest
from tests.builders import make_account, make_credential
from tests.desk import KEY, SECRET, Desk

pytestmark = pytest.mark.django_db

State = MarketCredential.State


def opened(account: ExchangeAccount) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in opened_credentials(account).items()}


def imported(**credential: Any) -> MarketCredential:
    row = {"label": "main", "market": "binance", "credential": credential}
    import_book({"accounts": [row]})
    return MarketCredential.objects.select_related("account").get(account__label="main")


# --- storing


def test_f06_a_secret_is_stored_and_used_without_the_space_around_it() -> None:
    credential = make_credential(apiKey=" k ", secret="\ts\n")

    assert opened(credential.account) == {"apiKey": "k", "secret": "s"}


def test_f07_a_market_names_every_secret_that_it_requires() -> None:
    account = make_account(market="okx")

    with pytest.raises(CredentialMissing, match=r"okx requires password\. Nothing was stored\.$"):
        store_credential(account, {"apiKey": "k", "secret": "s"})

    assert not MarketCredential.objects.exists()


def test_f07_a_required_secret_may_be_of_any_kind() -> None:
    account = make_account(market="hyperliquid")

    store_credential(account, {"walletAddress": "0xabc", "privateKey": "0xdef"})

    assert opened(account) == {"walletAddress": "0xabc", "privateKey": "0xdef"}


def test_a_blank_secret_keeps_what_is_stored() -> None:
    account = make_credential(apiKey="k", secret="s").account

    store_credential(account, {"apiKey": "", "secret": "new"})

    assert opened(account) == {"apiKey": "k", "secret": "new"}


def test_f08_nothing_of_a_secret_is_in_its_row() -> None:
    make_credential(apiKey="visible-api-key", secret="visible-secret")

    [row] = MarketCredential.objects.values()

    assert "visible" not in repr(row)


def test_f08_opened_secrets_do_not_show_themselves() -> None:
    credential = make_credential(apiKey="visible-api-key", secret="visible-secret")

    secrets = opened_credentials(credential.account)

    assert "visible" not in f"{secrets} {secrets!r} {secrets['apiKey']} {dict(secrets)}"


# --- books


def test_an_equal_import_leaves_a_credential_as_it_is() -> None:
    credential = imported(apiKey="k", secret="s")
    note_credential_state(
        credential.account, State.ACCEPTED, "Balances read.", read_at=timezone.now()
    )
    before = MarketCredential.objects.values().get()

    imported(apiKey=" k", secret="s")

    assert MarketCredential.objects.values().get() == before


def test_an_import_of_other_secrets_replaces_them_all() -> None:
    imported(apiKey="k", secret="s", password="p")

    credential = imported(apiKey="k2", secret="s2")

    assert opened(credential.account) == {"apiKey": "k2", "secret": "s2"}
    assert credential.state == State.UNTESTED


def test_an_import_of_other_secrets_counts_as_an_update() -> None:
    imported(apiKey="k", secret="s")
    row = {"label": "main", "market": "binance", "credential": {"apiKey": "k2", "secret": "s2"}}

    assert import_book({"accounts": [row]}).updated == 1


def test_an_import_without_a_credential_keeps_the_stored_one() -> None:
    credential = imported(apiKey="k", secret="s")

    import_book({"accounts": [{"label": "main", "market": "binance"}]})

    assert opened(credential.account) == {"apiKey": "k", "secret": "s"}


def test_an_import_replaces_a_credential_that_cannot_be_opened() -> None:
    credential = imported(apiKey="k", secret="s")
    MarketCredential.objects.update(sealed={"apiKey": "ps1.k.AAAA", "secret": "x"})

    imported(apiKey="k", secret="s")

    assert opened(credential.account) == {"apiKey": "k", "secret": "s"}


def test_a_secret_may_be_named_by_its_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "from-the-environment")

    credential = imported(apiKey="env:DESK_KEY", secret="s")

    assert opened(credential.account)["apiKey"] == "from-the-environment"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("env:NOT_SET_ANYWHERE", "the environment variable NOT_SET_ANYWHERE is not set"),
        ("env:", "expected env: and the name of an environment variable"),
        ("env:a secret, perhaps", "expected env: and the name of an environment variable"),
    ],
)
def test_an_environment_variable_that_is_not_there_is_named(named: str, message: str) -> None:
    with pytest.raises(BookError) as refused:
        imported(apiKey=named, secret="s")

    assert str(refused.value) == f"$.accounts[0].credential.apiKey: {message}"


def test_f09_two_accounts_on_one_market_each_use_their_own_key(desk: Desk) -> None:
    desk.deposit("EUR", "10")
    desk.engine.add_account("second-key", "second-secret")
    desk.engine.deposit("second-key", "EUR", "20")
    second = Desk(
        desk.server, label="second", credential={"apiKey": "second-key", "secret": "second-secret"}
    )

    desk.sync()
    second.sync()

    totals = {row["account"]: row["total"] for row in full_report()["balances"]}
    assert totals == {"desk": "10", "second": "20"}


# --- the environment


def test_f06_secrets_come_from_the_environment_where_none_are_stored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    MarketCredential.objects.all().delete()
    monkeypatch.setenv("BINANCE_API_KEY", f" {KEY} ")
    monkeypatch.setenv("BINANCE_SECRET_KEY", f"{SECRET}\n")

    assert desk.sync().status == SyncRun.Status.SUCCEEDED


def test_f06_stored_secrets_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_credential(apiKey="stored", secret="stored too").account
    monkeypatch.setenv("BINANCE_API_KEY", "environment")

    assert opened(account)["apiKey"] == "stored"


@pytest.mark.parametrize(
    ("variable", "what"),
    [("BINANCE_API_KEY", "an api key"), ("BINANCE_SECRET_KEY", "a secret key")],
)
def test_f06_a_missing_secret_is_named_before_any_request(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, variable: str, what: str
) -> None:
    MarketCredential.objects.all().delete()
    monkeypatch.setenv("BINANCE_API_KEY", KEY)
    monkeypatch.setenv("BINANCE_SECRET_KEY", SECRET)
    monkeypatch.delenv(variable)

    run = desk.sync()

    assert (run.status, run.http_requests, desk.requests()) == ("failed", 0, [])
    assert run.message == (
        f"Market credential for market binance requires {what}, either as an argument or as an "
        f"environment variable named as {variable}"
    )


def test_f07_okx_without_a_password_is_refused_before_any_request(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"label": "okx", "market": "okx", "endpoint": desk.server.url}
    import_book({"accounts": [row]})
    monkeypatch.setenv("OKX_API_KEY", "k")
    monkeypatch.setenv("OKX_SECRET_KEY", "s")
    desk.label = "okx"

    run = desk.sync()

    assert (run.status, desk.requests()) == ("failed", [])
    assert "requires a password" in run.message
    assert run.message.endswith("an environment variable named as OKX_PASSWORD")


def test_f06_every_variable_that_an_error_names_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    required = {
        (market.id, name) for market in catalogue.markets() for name in market.required_credentials
    }
    by_name = {name: market for market, name in sorted(required)}
    for name, market in by_name.items():
        others = {other: "x" for other in CREDENTIAL_NAMES if other != name}
        request = SnapshotRequest("main", market, Credentials(others))

        report = connection_report(provider_lookup().for_market(market), request)

        assert report.error is not None
        variable = f"{market.upper()}_{ENVIRONMENT_NAMES[name]}"
        assert report.error.message.endswith(f"named as {variable}")


# --- a credential that cannot be opened


def _swap_with_another_account(credential: MarketCredential) -> None:
    other = make_credential(apiKey="other", secret="other")
    MarketCredential.objects.filter(pk=credential.pk).update(sealed=other.sealed)


def _swap_its_columns(credential: MarketCredential) -> None:
    sealed = credential.sealed
    MarketCredential.objects.update(sealed={"apiKey": sealed["secret"], "secret": sealed["apiKey"]})


def _edit_the_seal(credential: MarketCredential) -> None:
    sealed = credential.sealed
    last = "A" if sealed["secret"][-1] != "A" else "Q"
    MarketCredential.objects.update(sealed=sealed | {"secret": sealed["secret"][:-1] + last})


def _edit_the_endpoint(credential: MarketCredential) -> None:
    ExchangeAccount.objects.update(endpoint=credential.account.endpoint[:-1])


def _edit_the_market(credential: MarketCredential) -> None:
    ExchangeAccount.objects.update(market="binanceus")


def _give_the_row_away(credential: MarketCredential) -> None:
    other = make_account(endpoint=credential.account.endpoint)
    MarketCredential.objects.update(account=other)
    ExchangeAccount.objects.exclude(pk=other.pk).update(label="was desk")
    ExchangeAccount.objects.filter(pk=other.pk).update(label="desk")


def _write_no_text(credential: MarketCredential) -> None:
    MarketCredential.objects.update(sealed={"apiKey": 1, "secret": None})


def _write_a_list(credential: MarketCredential) -> None:
    MarketCredential.objects.update(sealed=["apiKey", "secret"])


def _lose_the_key(credential: MarketCredential) -> None:
    path: Path = django_settings.POSSYNC_CREDENTIAL_KEY_FILE
    path.rename(path.with_suffix(".lost"))


TAMPERINGS = [
    _swap_with_another_account,
    _swap_its_columns,
    _edit_the_seal,
    _edit_the_endpoint,
    _edit_the_market,
    _give_the_row_away,
    _write_no_text,
    _write_a_list,
    _lose_the_key,
]


@pytest.fixture
def own_key_file(settings: Settings, tmp_path: Path) -> Path:
    settings.POSSYNC_CREDENTIAL_KEY_FILE = tmp_path / "credentials.key"
    return tmp_path / "credentials.key"


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__.strip("_"))
def test_f08_a_credential_that_was_tampered_with_reaches_no_exchange(
    own_key_file: Path, desk: Desk, tamper: Any
) -> None:
    tamper(MarketCredential.objects.select_related("account").get())

    run = desk.sync()

    assert (run.status, run.http_requests, desk.requests()) == ("failed", 0, [])
    assert Incident.objects.get().type in ("CredentialUnreadable", "KeyFileError")
    assert MarketCredential.objects.get(account=desk.account).state == State.LOCKED
    [account] = full_report(["desk"])["accounts"]
    assert account["health"] == Health.LOCKED


def test_f08_a_credential_opens_again_when_its_key_is_put_back(
    own_key_file: Path, desk: Desk
) -> None:
    _lose_the_key(MarketCredential.objects.get())
    desk.sync()
    own_key_file.with_suffix(".lost").rename(own_key_file)

    assert desk.sync().status == SyncRun.Status.SUCCEEDED
    assert MarketCredential.objects.get().state == State.ACCEPTED


# --- the key file


def test_f08_a_lost_key_file_is_not_replaced_while_it_is_needed(own_key_file: Path) -> None:
    make_credential()
    own_key_file.unlink()

    with pytest.raises(CredentialUnreadable, match=r"^The key file credentials\.key is missing"):
        key_ring()

    assert not own_key_file.exists()


def test_a_credential_without_secrets_needs_no_key(own_key_file: Path) -> None:
    MarketCredential.objects.create(account=make_account())

    key_ring()

    assert own_key_file.exists()


def test_processes_that_need_the_first_key_at_once_agree_on_one(own_key_file: Path) -> None:
    rings: list[str] = []
    start = threading.Barrier(4)

    def make() -> None:
        start.wait()
        rings.append(repr(_new_key_file(own_key_file)))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(rings) == 4
    assert len(set(rings)) == 1


def test_a_key_file_that_cannot_be_made_is_one_clear_error(
    settings: Settings, tmp_path: Path
) -> None:
    settings.POSSYNC_CREDENTIAL_KEY_FILE = tmp_path / "not a folder" / "credentials.key"

    with pytest.raises(CredentialUnreadable, match="cannot be made: No such file or directory"):
        key_ring()
