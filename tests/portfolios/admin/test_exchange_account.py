from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models.signals import post_save
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings

from portfolios.models import ExchangeAccount, SyncRun
from tests.builders import make_account, make_credential, make_run
from tests.portfolios.views.pages import html_of, text_of

ADD = "/admin/portfolios/exchangeaccount/add/"
FORM = {"label": "main", "market": "binance", "wallets": "spot", "interval_seconds": "300"}


def change(account: ExchangeAccount) -> str:
    return f"/admin/portfolios/exchangeaccount/{account.pk}/change/"


def test_an_account_is_added(admin_client: Client) -> None:
    admin_client.post(ADD, FORM | {"wallets": "spot, margin spot"})

    account = ExchangeAccount.objects.get()
    assert (account.label, account.market) == ("main", "binance")
    assert account.wallets == ["spot", "margin"]


@pytest.mark.parametrize("market", ["errors", "base", "Exchange", "", "nowhere"])
def test_what_is_no_market_is_refused(admin_client: Client, market: str) -> None:
    response = admin_client.post(ADD, FORM | {"market": market})

    assert "Please correct the error below." in text_of(response)
    assert not ExchangeAccount.objects.exists()


@pytest.mark.parametrize(
    "endpoint",
    ["https://evil.example", "http://127.0.0.1:8080/path", "ftp://127.0.0.1", "127.0.0.1"],
)
def test_an_endpoint_that_is_not_allowed_is_refused(admin_client: Client, endpoint: str) -> None:
    response = admin_client.post(ADD, FORM | {"endpoint": endpoint})

    assert "This endpoint is not allowed" in text_of(response)
    assert not ExchangeAccount.objects.exists()


def test_an_endpoint_on_the_list_is_taken(admin_client: Client, settings: Settings) -> None:
    settings.POSSYNC_ENDPOINT_ALLOWLIST = ["proxy.example"]

    admin_client.post(ADD, FORM | {"endpoint": "https://proxy.example:8443"})

    assert ExchangeAccount.objects.get().endpoint == "https://proxy.example:8443"


def test_a_sandbox_is_refused_where_the_exchange_has_none(admin_client: Client) -> None:
    response = admin_client.post(ADD, FORM | {"market": "kraken", "sandbox": "on"})

    assert "This exchange has no test network." in text_of(response)


@pytest.mark.parametrize("wallets", ["", "Spot", "spot;drop", "../x"])
def test_wallets_are_words(admin_client: Client, wallets: str) -> None:
    admin_client.post(ADD, FORM | {"wallets": wallets})

    assert not ExchangeAccount.objects.exists()


def test_further_symbols_are_a_list_of_words(admin_client: Client) -> None:
    admin_client.post(ADD, FORM | {"symbols": "ADA/EUR, BTC/USDT:USDT ADA/EUR"})

    assert ExchangeAccount.objects.get().symbols == ["ADA/EUR", "BTC/USDT:USDT"]


def test_what_is_no_symbol_is_refused(admin_client: Client) -> None:
    response = admin_client.post(ADD, FORM | {"symbols": "ADA/EUR, BTC"})

    assert "“BTC” is no symbol: expected one such as BTC/USDT." in text_of(response)
    assert not ExchangeAccount.objects.exists()


def test_orders_lapse_by_themselves_only_where_somebody_said_so(admin_client: Client) -> None:
    account = make_account()
    assert account.lapses_by_itself is False

    admin_client.post(change(account), FORM | {"lapses_by_itself": "on"})

    account.refresh_from_db()
    assert account.lapses_by_itself is True


def test_an_interval_below_ten_seconds_is_refused(admin_client: Client) -> None:
    admin_client.post(ADD, FORM | {"interval_seconds": "9"})

    assert not ExchangeAccount.objects.exists()


def test_a_new_endpoint_warns_that_the_credential_no_longer_opens(admin_client: Client) -> None:
    account = make_credential().account
    form = FORM | {"label": account.label, "endpoint": "http://127.0.0.1:1"}

    response = admin_client.post(change(account), form, follow=True)

    assert "Enter it again." in text_of(response)


def test_a_new_label_does_not_warn(admin_client: Client) -> None:
    account = make_credential().account

    response = admin_client.post(change(account), FORM | {"label": "new name"}, follow=True)

    assert "Enter it again." not in text_of(response)


def test_its_page_has_buttons(admin_client: Client) -> None:
    account = make_account()

    page = html_of(admin_client.get(change(account)))

    assert f'action="/admin/portfolios/exchangeaccount/{account.pk}/sync_now/"' in page
    assert f'action="/admin/portfolios/exchangeaccount/{account.pk}/test_connection/"' in page


def test_sync_now_opens_a_run(admin_client: Client) -> None:
    account = make_account()

    response = admin_client.post(f"/admin/portfolios/exchangeaccount/{account.pk}/sync_now/")

    run = SyncRun.objects.get()
    assert run.account == account
    assert run.requested_by == User.objects.get(username="admin")
    assert response.headers["Location"] == change(account)


def test_test_connection_queues_a_test(admin_client: Client) -> None:
    account = make_account()

    admin_client.post(f"/admin/portfolios/exchangeaccount/{account.pk}/test_connection/")

    assert [task.func() for task in OrmQ.objects.all()] == ["portfolios.tasks.test_connection"]


@pytest.mark.parametrize("button", ["sync_now", "test_connection"])
def test_a_button_takes_a_post_only(admin_client: Client, button: str) -> None:
    account = make_account()

    url = f"/admin/portfolios/exchangeaccount/{account.pk}/{button}/"

    assert admin_client.get(url).status_code == 405


@pytest.mark.parametrize("button", ["sync_now", "test_connection"])
def test_a_button_wants_the_token_of_its_form(admin_client: Client, button: str) -> None:
    account = make_account()
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = admin_client.cookies

    url = f"/admin/portfolios/exchangeaccount/{account.pk}/{button}/"

    assert careful.post(url).status_code == 403


@pytest.mark.django_db
def test_a_button_wants_the_right_to_change_accounts() -> None:
    account = make_account()
    client = Client()
    client.force_login(User.objects.create_user("staff", is_staff=True))

    response = client.post(f"/admin/portfolios/exchangeaccount/{account.pk}/sync_now/")

    assert response.status_code == 403
    assert not SyncRun.objects.exists()


@pytest.mark.django_db
def test_sync_now_wants_the_right_to_sync() -> None:
    account = make_account()
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="change_exchangeaccount"))
    client = Client()
    client.force_login(staff)

    response = client.post(f"/admin/portfolios/exchangeaccount/{account.pk}/sync_now/")

    assert response.status_code == 403
    assert not SyncRun.objects.exists()


def test_sync_now_works_for_several_accounts_at_once(admin_client: Client) -> None:
    accounts = [make_account(), make_account()]
    form = {"action": "sync_now", "_selected_action": [account.pk for account in accounts]}

    admin_client.post("/admin/portfolios/exchangeaccount/", form)

    assert SyncRun.objects.count() == 2


def test_a_cron_is_saved_and_followed_at_once(admin_client: Client) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    account = make_account(next_sync_at=tomorrow)
    form = FORM | {"cron": "* * * * *", "time_zone": "Europe/Berlin"}

    admin_client.post(change(account), form)

    account.refresh_from_db()
    assert (account.cron, account.time_zone) == ("* * * * *", "Europe/Berlin")
    assert account.next_sync_at is not None
    assert account.next_sync_at < tomorrow - timedelta(hours=23)


def test_what_is_no_cron_is_refused(admin_client: Client) -> None:
    response = admin_client.post(ADD, FORM | {"cron": "daily"})

    assert "Expected five fields" in text_of(response)
    assert not ExchangeAccount.objects.exists()


def test_saving_leaves_alone_what_belongs_to_a_sync(admin_client: Client) -> None:
    account = make_account()
    written: list[set[str] | None] = []

    def note(update_fields: frozenset[str] | None, **_facts: object) -> None:
        written.append(None if update_fields is None else set(update_fields))

    post_save.connect(note, sender=ExchangeAccount)
    try:
        entered = {"label": "new name", "time_zone": "UTC", "policy": "standard"}
        admin_client.post(change(account), FORM | entered)
    finally:
        post_save.disconnect(note, sender=ExchangeAccount)

    assert written == [{"label"}]


def test_an_account_that_was_read_is_not_deleted(admin_client: Client) -> None:
    account = make_run().account

    response = admin_client.post(
        f"/admin/portfolios/exchangeaccount/{account.pk}/delete/", {"post": "yes"}
    )

    assert response.status_code == 403
    assert ExchangeAccount.objects.exists()


def test_one_that_was_never_read_is(admin_client: Client) -> None:
    account = make_account()

    admin_client.post(f"/admin/portfolios/exchangeaccount/{account.pk}/delete/", {"post": "yes"})

    assert not ExchangeAccount.objects.exists()


def test_the_list_deletes_nothing(admin_client: Client) -> None:
    account = make_account()
    form = {"action": "delete_selected", "_selected_action": [account.pk], "post": "yes"}

    admin_client.post("/admin/portfolios/exchangeaccount/", form)

    assert ExchangeAccount.objects.exists()
