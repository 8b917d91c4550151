from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from portfolios.admin.facts import BoundedPaginator
from portfolios.models import (
    AssetBalance,
    Discrepancy,
    Fill,
    Flow,
    Incident,
    LedgerEntry,
    Occurrence,
    Order,
    OrderVersion,
    Position,
    ReadCursor,
    StoredLeg,
    SyncRun,
)
from tests.builders import (
    make_account,
    make_balance,
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
    make_position,
    make_run,
    make_version,
)

FACTS = (
    AssetBalance,
    Discrepancy,
    Fill,
    Flow,
    Incident,
    LedgerEntry,
    Occurrence,
    Order,
    OrderVersion,
    Position,
    ReadCursor,
    StoredLeg,
    SyncRun,
)
MAX_QUERIES = 12


def url_of(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:portfolios_{model.__name__.lower()}_{page}", args=args)


def make_facts(count: int) -> None:
    for number in range(count):
        account = make_account()
        portfolio = make_portfolio(account)
        run = make_run(account)
        order = make_order(portfolio)
        make_fill(order)
        make_version(order)
        make_flow(account)
        make_cursor(account)
        make_position(portfolio)
        make_balance(account)
        make_discrepancy(account, key=f"k{number}")
        make_entry(portfolio, run=run)
        make_leg(run)
        make_occurrence(make_incident(account), run)


def test_the_raw_tables_of_the_queue_are_not_in_the_admin(admin_client: Client) -> None:
    labels = {model._meta.app_label for model in admin.site._registry}

    assert "django_q" not in labels
    assert admin_client.get("/admin/django_q/ormq/").status_code == 404


def test_it_carries_our_name(admin_client: Client) -> None:
    assert b"PosSync administration" in admin_client.get("/admin/").content


@pytest.mark.parametrize("model", FACTS)
def test_facts_are_listed_and_shown(admin_client: Client, model: type[Order]) -> None:
    make_facts(1)
    fact = model._default_manager.get()

    assert admin_client.get(url_of(model, "changelist")).status_code == 200
    assert admin_client.get(url_of(model, "change", fact.pk)).status_code == 200


@pytest.mark.parametrize("model", FACTS)
def test_facts_are_read_only(admin_client: Client, model: type[Order]) -> None:
    make_facts(1)
    fact = model._default_manager.get()

    assert admin_client.get(url_of(model, "add")).status_code == 403
    assert admin_client.post(url_of(model, "change", fact.pk)).status_code == 403
    assert admin_client.post(url_of(model, "delete", fact.pk)).status_code == 403


@pytest.mark.parametrize("model", FACTS)
def test_a_list_asks_as_often_for_many_facts(
    admin_client: Client, model: type[Order], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_facts(15)

    with django_assert_max_num_queries(MAX_QUERIES):
        admin_client.get(url_of(model, "changelist"))


@pytest.mark.parametrize("model", FACTS)
def test_a_search_that_finds_nothing_is_an_empty_list(
    admin_client: Client, model: type[Order]
) -> None:
    make_facts(1)

    response = admin_client.get(url_of(model, "changelist"), {"q": "no such thing"})

    assert response.context["cl"].result_list.count() == 0


def test_an_order_is_found_by_its_whole_id(admin_client: Client) -> None:
    wanted, _other = make_order(make_account()), make_order(make_account())

    response = admin_client.get(url_of(Order, "changelist"), {"q": wanted.external_id})

    assert list(response.context["cl"].result_list) == [wanted]


@pytest.mark.django_db
def test_no_list_is_counted_further_than_anybody_turns_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_facts(3)
    monkeypatch.setattr(BoundedPaginator, "MOST", 2)

    assert BoundedPaginator(Order.objects.all(), 50).count == 2
