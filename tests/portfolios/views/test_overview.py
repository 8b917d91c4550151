from __future__ import annotations

import re
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from portfolios.models import Incident, SyncRun, WorkerBeat
from portfolios.models.choices import Severity
from tests.builders import (
    NOON,
    make_account,
    make_credential,
    make_discrepancy,
    make_incident,
    make_portfolio,
    make_run,
)
from tests.portfolios.views.pages import html_of, shown


def test_an_empty_installation_shows_the_first_steps(client: Client) -> None:
    page = shown(client, "/")

    assert "First steps" in page
    assert "Choose an exchange and enter a key" in page


def test_an_administrator_is_led_to_the_next_step(admin_client: Client) -> None:
    make_account()

    page = html_of(admin_client.get("/"))

    assert "/admin/portfolios/marketcredential/add/" in page
    assert "/admin/portfolios/exchangeaccount/add/" not in page


def test_somebody_else_is_not_led_into_the_administration(client: Client) -> None:
    make_account()

    assert "/admin/" not in html_of(client.get("/"))


def test_the_first_steps_are_gone_once_a_sync_has_succeeded(client: Client) -> None:
    make_run()

    assert "First steps" not in shown(client, "/")


def test_it_shows_accounts_with_their_portfolios(client: Client) -> None:
    account = make_account(label="main", market="okx", interval_seconds=300)
    make_portfolio(account, name="alpha")

    page = shown(client, "/")

    assert "main OKX" in page
    assert "alpha" in page
    assert "every 5 min" in page


def test_it_shows_an_account_of_a_market_that_ccxt_has_dropped(client: Client) -> None:
    make_account(market="gone")

    assert "gone" in shown(client, "/")


def test_tiles_link_to_lists_that_are_filtered(client: Client) -> None:
    make_discrepancy(make_account(paused=True), severity=Severity.CRITICAL)

    page = html_of(client.get("/"))

    assert 'href="/discrepancies/?state=OPEN&amp;severity=critical"' in page
    assert 'href="/accounts/?state=paused"' in page


def test_a_suspicion_is_not_counted_as_open(client: Client) -> None:
    make_discrepancy(state="SUSPECTED")

    assert "Nothing differs." in shown(client, "/")


def test_unresolved_and_regressed_exceptions_are_counted(client: Client) -> None:
    account = make_account()
    for state in Incident.State.values:
        make_incident(account, state=state)

    assert "Unresolved exceptions 2" in shown(client, "/")


def test_what_needs_somebody_stands_first(client: Client) -> None:
    make_run(make_account(label="a fine one"))
    make_run(make_account(label="z broken one"), status=SyncRun.Status.FAILED)

    page = shown(client, "/")

    table = page[page.index("Accounts and their portfolios") :]
    assert table.index("z broken one") < table.index("a fine one")


def test_the_title_counts_failing_accounts(client: Client) -> None:
    make_run(status=SyncRun.Status.FAILED)

    page = html_of(client.get("/"))

    assert "(1)" in page[page.index("<title>") : page.index("</title>")]
    assert "favicon-alert" in page


def test_the_title_tells_of_silent_workers_as_the_icon_does(client: Client) -> None:
    make_run(make_account())

    page = html_of(client.get("/"))

    assert re.search(r"<title>\s*\(!\) Overview", page)


def test_it_says_so_if_everything_agrees(client: Client) -> None:
    make_run(make_account(verified_at=NOON))

    assert "Books and exchanges agree" in shown(client, "/")


def test_it_does_not_say_so_of_what_was_never_compared(client: Client) -> None:
    make_run()

    page = shown(client, "/")

    assert "Not verified yet" in page
    assert "Books and exchanges agree" not in page


def test_the_icon_tells_as_well_when_the_page_is_brought_up_to_date(client: Client) -> None:
    make_run(status=SyncRun.Status.FAILED)

    page = html_of(client.get("/"))

    live = page[page.index('id="live"') :]
    assert re.search(r'data-icon="/static/portfolios/favicon-alert', live)


def test_the_list_is_narrowed_and_the_tiles_count_all(client: Client) -> None:
    make_run(make_account(label="broken"), status=SyncRun.Status.FAILED)
    make_account(label="sleeping", paused=True)

    page = shown(client, "/?state=paused&q=sleep")

    assert "Accounts 2" in page
    assert "Sync now sleeping" in page
    assert "Sync now broken" not in page


def test_an_account_under_way_is_told_apart_from_its_state(client: Client) -> None:
    account = make_credential().account
    make_run(account, status=SyncRun.Status.FAILED)
    make_run(account, status=SyncRun.Status.RUNNING)

    page = shown(client, "/")

    assert "1 Failing" in page
    assert "1 Running" in page
    assert 'href="/accounts/?state=running"' in html_of(client.get("/"))


def test_a_paused_account_can_be_resumed_from_the_list(client: Client) -> None:
    account = make_account(label="sleeping", paused=True)

    assert f'action="/accounts/{account.pk}/resume/"' in html_of(client.get("/"))


def test_it_does_not_say_so_if_something_differs(client: Client) -> None:
    run = make_run(make_account(verified_at=NOON))
    make_discrepancy(run.account)

    assert "Books and exchanges agree" not in shown(client, "/")


def test_an_account_that_never_was_verified_counts_as_the_oldest(client: Client) -> None:
    make_account(label="old", verified_at=timezone.now() - timedelta(days=9))
    make_account(label="fresh")

    assert "Verified longest ago never fresh" in shown(client, "/")


def test_a_paused_account_is_not_the_oldest(client: Client) -> None:
    make_account(label="sleeping", paused=True)
    make_account(label="awake", verified_at=timezone.now() - timedelta(hours=3))

    assert "Verified longest ago 3 h ago awake" in shown(client, "/")


def test_a_worker_without_a_beat_is_silent(client: Client) -> None:
    make_account()

    assert "Worker Silent" in shown(client, "/")


def test_a_worker_with_a_recent_beat_is_alive(client: Client) -> None:
    make_account()
    WorkerBeat.objects.create(name="dispatch", beat_at=timezone.now())

    assert "Worker Alive" in shown(client, "/")


def test_it_shows_the_progress_of_every_open_run(client: Client) -> None:
    run = make_run(status=SyncRun.Status.RUNNING, stage=SyncRun.Stage.FETCHING)

    assert f'hx-get="/runs/{run.pk}/progress/' in html_of(client.get("/"))


def test_the_theme_of_the_cookie_is_rendered(client: Client) -> None:
    client.cookies["theme"] = "dark"

    assert 'data-theme="dark"' in html_of(client.get("/"))


def test_a_theme_that_does_not_exist_is_ignored(client: Client) -> None:
    client.cookies["theme"] = "neon"

    assert "data-theme" not in html_of(client.get("/"))


def test_the_credential_step_is_ticked_once_one_is_stored(admin_client: Client) -> None:
    make_credential()

    assert "Enter credential" not in shown(admin_client, "/")


def test_a_half_done_connection_is_taken_up_at_its_next_step(client: Client) -> None:
    account = make_account(connecting=True)

    assert f'href="/connect/{account.pk}/key/"' in html_of(client.get("/"))


def test_an_empty_installation_leads_to_the_exchanges(client: Client) -> None:
    assert 'href="/connect/"' in html_of(client.get("/"))
