from __future__ import annotations

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.models import ExchangeAccount, JudgedSnapshot
from tests.kept import kept
from tests.portfolios.services.reads import balances, look, make_books, open_orders
from tests.portfolios.views.pages import shown


@kept
def account() -> ExchangeAccount:
    account = make_books(positions={"BTC": "0.5"})
    look(account, open_orders(), balances(BTC="0.5", EUR="1000"))
    look(account, open_orders(), balances(BTC="0.4863", EUR="1000"))
    return account


def page_of(client: Client, account: ExchangeAccount) -> str:
    return shown(client, f"/runs/{account.snapshots.latest('pk').run_id}/verdicts/")


def test_it_shows_what_was_said_of_each_asset_and_by_which_numbers(
    client: Client, account: ExchangeAccount
) -> None:
    page = page_of(client, account)

    assert "BTC spot Differs unexplained 0.5" in page or "BTC spot Differs 0.5 0.4863" in page
    assert "-0.0137" in page
    assert "EUR spot Verified" in page


def test_it_says_that_the_same_is_reckoned_again(client: Client, account: ExchangeAccount) -> None:
    assert "the result is the same to the last byte" in page_of(client, account)


def test_it_says_when_what_is_stored_was_changed(client: Client, account: ExchangeAccount) -> None:
    snapshot: JudgedSnapshot = account.snapshots.latest("pk")
    assert snapshot.content is not None
    snapshot.content.rows["spot"]["BTC"]["expected"] = "0.4"
    snapshot.content.save()

    assert "the result is another one" in page_of(client, account)


def test_it_asks_the_database_as_often_for_many_assets(
    client: Client, account: ExchangeAccount
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            page_of(client, account)
        return len(asked)

    of_two = queries()
    look(account, open_orders(), balances(complete=True, **dict.fromkeys(map(str, range(20)), "1")))

    assert queries() == of_two


def test_a_run_without_balances_has_no_verdicts(client: Client, account: ExchangeAccount) -> None:
    assert client.get("/runs/424242/verdicts/").status_code == 404


def test_the_run_links_to_its_verdicts(client: Client, account: ExchangeAccount) -> None:
    run = account.snapshots.latest("pk").run_id

    assert f'href="/runs/{run}/verdicts/"' in client.get(f"/runs/{run}/").content.decode()
