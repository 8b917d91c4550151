"""Facts and ledger entries are written once: both databases refuse to change or delete them, whoever asks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from portfolios.models import AuditEvent, Decision, DiscrepancyEvent, Fill, LedgerEntry
from tests.builders import NOON, make_discrepancy, make_entry, make_fill, make_order, make_portfolio

Row = Fill | LedgerEntry


@pytest.fixture(params=["fill", "ledger entry"])
def row(db: None, request: pytest.FixtureRequest) -> Row:
    portfolio = make_portfolio()
    if request.param == "fill":
        return make_fill(make_order(portfolio))
    return make_entry(portfolio)


@pytest.mark.parametrize("action", ["UPDATE {} SET asset = 'X'", "DELETE FROM {}"])
def test_sql_may_not_change_a_row(row: Row, action: str) -> None:
    table = row._meta.db_table
    statement = action.format(table).replace(
        "asset", "symbol" if isinstance(row, Fill) else "asset"
    )

    with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
        connection.cursor().execute(statement)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="others update what is in the way")
def test_sql_may_not_replace_a_row(row: Row) -> None:
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} WHERE id = %s", [row.pk])  # noqa: S608
        values = list(cursor.fetchone())
    marks = ", ".join(["%s"] * len(values))
    # Under its own number, and under a new one, as far as another one makes it the same.
    for number in (row.pk, row.pk + 1000):
        replace = f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608
        with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
            connection.cursor().execute(replace, [number, *values[1:]])


def test_a_row_may_not_be_saved_again(row: Row) -> None:
    row.amount = Decimal(424242)

    with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
        row.save()


def test_rows_may_not_be_updated_together(row: Row) -> None:
    with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
        type(row).objects.update(amount=Decimal(0))


def test_a_row_may_not_be_deleted(row: Row) -> None:
    with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
        row.delete()


def test_rows_may_not_be_deleted_together(row: Row) -> None:
    with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
        type(row).objects.all().delete()


def test_a_refused_change_leaves_the_row_as_it_was(row: Row) -> None:
    before = type(row).objects.values().get()

    with pytest.raises(DatabaseError), transaction.atomic():
        type(row).objects.update(amount=Decimal(0))

    assert type(row).objects.values().get() == before


def test_an_account_with_facts_may_not_be_deleted(row: Row) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        row.account.delete()


@pytest.mark.parametrize("page", ["change", "delete", "add"])
def test_the_admin_offers_no_way_to_change_a_row(row: Row, admin_client: Client, page: str) -> None:
    arguments = [] if page == "add" else [row.pk]
    url = reverse(f"admin:portfolios_{row._meta.model_name}_{page}", args=arguments)

    answer = admin_client.post(url, {"amount": "0", "post": "yes"})

    assert answer.status_code == 403
    assert type(row).objects.values().get()["amount"] == row.amount


def test_the_admins_action_to_delete_selected_rows_is_not_offered(
    row: Row, admin_client: Client
) -> None:
    url = reverse(f"admin:portfolios_{row._meta.model_name}_changelist")

    admin_client.post(url, {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})

    assert type(row).objects.count() == 1


@pytest.mark.django_db
def test_a_turn_that_a_person_decided_may_not_be_deleted() -> None:
    found = make_discrepancy()
    decision = Decision.objects.create(
        account=found.account, kind=Decision.Kind.DISMISS, subject="x", reason="x", actor_name="a"
    )
    turn = DiscrepancyEvent.objects.create(
        discrepancy=found, episode=1, after="DISMISSED", decision=decision, at=NOON
    )

    with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
        turn.delete()


@pytest.mark.django_db
def test_what_a_person_did_may_not_be_deleted() -> None:
    event = AuditEvent.objects.create(kind=AuditEvent.Kind.PAUSE)

    with pytest.raises(DatabaseError, match="is append-only"), transaction.atomic():
        event.delete()
