from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from portfolios.models import AuditEvent, Order, Portfolio, SyncRun
from portfolios.services.api_tokens import make_token
from tests.builders import make_account, make_order, make_portfolio

Bot = Callable[..., Client]
SENT = {
    "symbol": "BTC/USDT",
    "side": "buy",
    "price": "50000",
    "amount": "0.01",
    "created_at": "2026-11-22T08:00:00Z",
}


@pytest.fixture
def trader(bot: Bot) -> Client:
    make_portfolio(name="alpha")
    return bot("book")


def put(client: Client, client_id: str = "a-1", portfolio: str = "alpha", **given: Any) -> Any:
    path = f"/api/v1/portfolios/{portfolio}/orders/{client_id}"
    return client.put(path, {**SENT, **given}, content_type="application/json")


def test_an_order_that_is_sent_is_booked(trader: Client) -> None:
    response: HttpResponse = put(trader)

    assert response.status_code == 201
    order = Order.objects.get()
    assert (order.client_order_id, order.status, str(order.price)) == ("a-1", "created", "50000")


def test_told_again_it_changes_nothing(trader: Client) -> None:
    put(trader)
    before = Order.objects.values().get()

    assert put(trader).status_code == 200
    assert Order.objects.values().get() == before


def test_the_exchanges_id_is_noted_when_it_is_known(trader: Client) -> None:
    put(trader)

    response = put(trader, external_id="77")

    assert (response.status_code, response.json()["status"]) == (200, "open")
    assert Order.objects.get().external_id == "77"


def test_what_was_sent_cannot_become_another_order(trader: Client) -> None:
    put(trader)

    response = put(trader, amount="0.02")

    assert response.status_code == 422
    assert "amount" in response.json()["detail"]
    assert str(Order.objects.get().amount) == "0.01"


def test_an_order_whose_own_id_the_exchange_calls_otherwise_is_told(trader: Client) -> None:
    account = Portfolio.objects.get().account
    make_order(account, external_id="77", client_order_id="x-a-1")

    answers = [put(trader, external_id="77") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["portfolio"] for answer in answers] == ["alpha", "alpha"]


def test_what_is_left_out_stays_as_it_was_told(trader: Client) -> None:
    put(trader, external_id="77", type="stop_limit")

    again = put(trader)

    assert (again.status_code, again.json()["external_id"]) == (200, "77")


def test_an_id_that_was_used_again_means_its_newest_order(trader: Client) -> None:
    later = "2026-11-22T09:00:00Z"
    put(trader, external_id="9")
    Order.objects.update(status="closed")
    put(trader, external_id="10", created_at=later)
    refused = put(trader, external_id="11", created_at=later)

    again = put(trader, created_at=later)

    assert (again.status_code, again.json()["external_id"]) == (200, "10")
    assert refused.status_code == 422  # the newest one is open
    assert Order.objects.count() == 2


def test_names_may_have_a_slash(bot: Bot) -> None:
    make_portfolio(make_account(label="desk/1"), name="btc/usdt")
    client = bot("read", "sync", "book")

    assert client.get("/api/v1/accounts/desk%2F1").json()["label"] == "desk/1"
    assert client.get("/api/v1/portfolios/btc%2Fusdt").json()["name"] == "btc/usdt"
    assert client.post("/api/v1/accounts/desk%2F1/sync").status_code == 202
    assert put(client, "a/1", "btc%2Fusdt").status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "much"},
        {"amount": 0.1},
        {"side": "hold"},
        {"symbol": "BTCUSDT"},
        {"created_at": "today"},
        {"price": "-1"},
        {"extrnal_id": "77"},
    ],
)
def test_a_wrong_value_books_nothing(trader: Client, wrong: dict[str, Any]) -> None:
    assert put(trader, **wrong).status_code == 422
    assert not Order.objects.exists()


def test_a_portfolio_that_does_not_exist_is_named(trader: Client) -> None:
    response = put(trader, portfolio="beta")

    assert (response.status_code, response.json()["detail"]) == (
        404,
        "No portfolio has this name. Nothing was booked.",
    )


def test_another_portfolios_order_is_not_touched(trader: Client) -> None:
    other = make_order(make_portfolio(name="beta"), external_id="1", client_order_id="a-1")

    assert put(trader).status_code == 201
    assert Order.objects.get(pk=other.pk).portfolio_id == other.portfolio_id


def test_a_booking_names_the_token_and_a_repeat_leaves_no_trace(trader: Client) -> None:
    put(trader)
    put(trader)
    put(trader, external_id="77")
    put(trader, amount="0.02")

    told = AuditEvent.objects.filter(kind=AuditEvent.Kind.BOOK).order_by("pk")
    bot = "bot of ('book',)"
    assert [(row.subject, row.detail) for row in told] == [
        ("alpha: a-1", f"{bot}: buy 0.01 BTC/USDT"),
        ("alpha: a-1", f"{bot}: buy 0.01 BTC/USDT 77"),
    ]


@pytest.mark.usefixtures("db")
def test_a_sync_names_the_token_that_started_it_once(bot: Bot) -> None:
    make_account(label="main")
    client = bot("sync")

    for _press in range(2):
        client.post("/api/v1/accounts/main/sync")

    [told] = AuditEvent.objects.filter(kind=AuditEvent.Kind.SYNC)
    assert (told.subject, told.detail) == ("main", "bot of ('sync',)")


@pytest.mark.usefixtures("db")
def test_a_sync_is_started_and_told(bot: Bot) -> None:
    make_account(label="main")

    response = bot("sync").post("/api/v1/accounts/main/sync")

    assert response.status_code == 202
    run = SyncRun.objects.get()
    assert (response.json()["id"], run.trigger) == (run.pk, SyncRun.Trigger.API)


@pytest.mark.usefixtures("db")
def test_a_sync_is_asked_for_by_whoever_made_the_token() -> None:
    make_account(label="main")
    alice = User.objects.create_user("alice")
    _token, text = make_token("her bot", ["sync"], alice)

    Client(headers={"authorization": f"Bearer {text}"}).post("/api/v1/accounts/main/sync")

    assert SyncRun.objects.get().requested_by == alice


@pytest.mark.usefixtures("db")
def test_a_sync_that_is_under_way_is_joined(bot: Bot) -> None:
    make_account(label="main")
    client = bot("sync")

    ids = {client.post("/api/v1/accounts/main/sync").json()["id"] for _ in range(3)}

    assert len(ids) == 1


def test_an_account_that_does_not_exist_is_not_synced(bot: Bot) -> None:
    assert bot("sync").post("/api/v1/accounts/none/sync").status_code == 404
