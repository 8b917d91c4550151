from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from portfolios.models import MarketCredential
from portfolios.services.book import export_book, import_book
from providers.sandbox.server import SandboxServer
from tests.desk import KEY, SECRET, Desk


@pytest.fixture
def desk(desk: Desk) -> Desk:
    return furnished(desk)


def furnished(desk: Desk) -> Desk:
    """Give the desk two assets and an open, a partly filled, a filled, a canceled, a waiting and a foreign order."""
    desk.deposit("EUR", "1000")
    desk.open_portfolio("950")
    desk.open_portfolio("0", name="beta", mode="backtest")
    desk.hold("DOT", "7.25", "50.000000000000000001")
    for filled in ("0", "40", "100"):
        order = desk.buy("100", "1", created_at="2026-11-22T08:00:00Z")
        if filled != "0":
            desk.engine.fill_order(order.id, filled)
    canceled = desk.buy("100", "1")
    desk.engine.cancel_order(canceled.id)
    desk.note("", "buy", "5", "1", "ADA/EUR", client_order_id="waiting-1")
    desk.engine.buy(KEY, "ADA/EUR", "10", "1")
    return desk


def test_an_export_before_the_first_sync_is_what_was_imported(desk: Desk) -> None:
    [position] = export_book()["positions"]

    assert position == {
        "portfolio": "alpha",
        "asset": "DOT",
        "amount": "7.25",
        "cost": "50.000000000000000001",
    }


def test_an_export_imported_again_changes_nothing(desk: Desk) -> None:
    document = export_book()

    result = import_book(_through_json(document))

    assert (result.created, result.updated) == (0, 0)
    assert export_book() == document


def test_an_export_after_syncs_imported_again_changes_nothing(desk: Desk) -> None:
    desk.sync()
    desk.sync()
    document = export_book()

    result = import_book(_through_json(document))

    assert (result.created, result.updated) == (0, 0)
    assert export_book() == document


def test_the_first_book_may_still_be_imported_after_an_export_was(desk: Desk) -> None:
    first = export_book()
    desk.sync()
    import_book(_through_json(export_book()))

    assert import_book(_through_json(first)).updated == 0


def test_an_export_opens_the_same_books_in_an_empty_database(
    sandbox: SandboxServer, db: None
) -> None:
    with emptied_again():
        furnished(Desk(sandbox)).sync()
        document = export_book()

    import_book(_through_json(document))

    assert export_book() == document


def test_books_taken_over_by_an_export_agree_with_the_exchange(
    sandbox: SandboxServer, db: None
) -> None:
    with emptied_again():
        desk = furnished(Desk(sandbox))
        desk.sync()
        before = (desk.unallocated(), desk.position("ADA").amount, desk.position("ADA").cost)
        document = export_book()
    document["accounts"][0]["credential"] = {"apiKey": KEY, "secret": SECRET}
    import_book(_through_json(document))

    run = desk.sync()

    # Partial for the one order that was sent and has never arrived there.
    assert [leg.subject for leg in run.legs.filter(status="FAILED")] == ["waiting-1"]
    assert [row.code for row in desk.differences()] == ["ORDER_UNACKED"]
    assert (desk.unallocated(), desk.position("ADA").amount, desk.position("ADA").cost) == before


def test_cash_of_a_portfolio_that_could_not_be_opened_is_exported_as_its_orders_left_it(
    desk: Desk,
) -> None:
    desk.open_portfolio("2000")
    desk.sync()

    [alpha, _beta] = export_book()["portfolios"]

    assert not desk.portfolio().initialized
    assert alpha["initial_balance"] == "1860"


def test_such_an_export_imported_again_changes_nothing(desk: Desk) -> None:
    desk.open_portfolio("2000")
    desk.sync()

    assert import_book(_through_json(export_book())).updated == 0


def test_times_are_utc_with_a_z(desk: Desk) -> None:
    assert export_book()["orders"][0]["created_at"] == "2026-11-22T08:00:00Z"


def test_f08_credentials_are_never_exported(desk: Desk) -> None:
    desk.sync()
    stored = MarketCredential.objects.get()

    text = json.dumps(export_book())

    assert "credential" not in text
    for secret in (KEY, SECRET, stored.fingerprint, *stored.sealed.values()):
        assert secret not in text


@contextmanager
def emptied_again() -> Iterator[None]:
    """Take back what is written inside; what happened at the exchange has happened."""
    before = transaction.savepoint()
    yield
    transaction.savepoint_rollback(before)


def _through_json(document: dict[str, list[dict[str, Any]]]) -> Any:
    return json.loads(json.dumps(document))
