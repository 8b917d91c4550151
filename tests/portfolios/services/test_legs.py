from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portfolios.models import LegContent, StoredLeg, SyncRun
from portfolios.services.legs import store_legs
from providers.credentials import Credentials
from providers.redaction import secrets_in_use
from providers.reports import LegKind, LegStatus
from tests.builders import make_run
from tests.portfolios.services.reads import (
    balances,
    failed,
    make_order_report,
    open_orders,
    order_leg,
    skipped,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> SyncRun:
    return make_run()


def test_a_leg_is_stored_as_it_was_read(run: SyncRun) -> None:
    store_legs(run, [balances(EUR="1000.50", used="0")])

    leg = StoredLeg.objects.get()
    assert (leg.kind, leg.subject, leg.status, leg.row_count) == ("balances", "spot", "OBSERVED", 1)
    assert leg.content is not None
    assert leg.content.rows == [
        {"asset": "EUR", "free": "1000.5", "used": "0", "total": "1000.5", "wallet": "spot"}
    ]


def test_what_was_read_before_is_referred_to_and_not_stored_again(run: SyncRun) -> None:
    for _sync in range(3):
        store_legs(run, [balances(EUR="1000")])

    assert StoredLeg.objects.count() == 3
    assert LegContent.objects.count() == 1


def test_rows_of_another_account_are_kept_apart(run: SyncRun) -> None:
    store_legs(run, [balances(EUR="1000")])
    store_legs(make_run(), [balances(EUR="1000")])

    assert LegContent.objects.count() == 2


def test_thousands_of_orders_are_stored_whole(run: SyncRun) -> None:
    orders = [make_order_report(str(number), client_order_id="x" * 60) for number in range(2000)]

    store_legs(run, [open_orders(*orders)])

    rows = LegContent.objects.get().rows
    assert [row["external_id"] for row in rows] == [str(number) for number in range(2000)]


def test_small_reads_are_written_together_and_a_large_one_by_itself(run: SyncRun) -> None:
    small = [order_leg(make_order_report(str(number))) for number in range(50)]
    large = open_orders(*(make_order_report(str(number)) for number in range(400)))

    with CaptureQueriesContext(connection) as asked:
        store_legs(run, [*small[:25], large, *small[25:]])

    written = [q for q in asked if q["sql"].startswith('INSERT INTO "portfolios_legcontent"')]
    assert len(written) == 3
    assert LegContent.objects.count() == 51


def test_a_secret_that_the_exchange_repeats_is_not_stored(run: SyncRun) -> None:
    with secrets_in_use(Credentials({"secret": 's3c"ret&canary'})):
        store_legs(run, [open_orders(make_order_report(client_order_id='s3c"ret&canary'))])

    assert LegContent.objects.get().rows[0]["client_order_id"] == "***"


def test_a_secret_that_is_a_number_hides_no_amount(run: SyncRun) -> None:
    with secrets_in_use(Credentials({"password": "1000"})):
        store_legs(run, [balances(EUR="1000")])

    assert LegContent.objects.get().rows[0]["total"] == "1000"


def test_amounts_are_stored_in_plain_notation_and_what_is_unknown_as_null(run: SyncRun) -> None:
    store_legs(run, [open_orders(make_order_report(amount=Decimal("1E-18"), cost=None))])

    row = LegContent.objects.get().rows[0]
    assert (row["amount"], row["cost"]) == ("0.000000000000000001", None)


def test_a_failed_leg_says_why_and_has_no_content(run: SyncRun) -> None:
    store_legs(run, [failed(LegKind.BALANCES, "maintenance")])

    leg = StoredLeg.objects.get()
    assert (leg.content, leg.complete, leg.error_category) == (None, False, "maintenance")
    assert (leg.error_kind, leg.error_message) == (
        "ExchangeUnavailable",
        "The exchange does not answer.",
    )


def test_an_empty_list_is_observed_and_a_skipped_leg_is_not(run: SyncRun) -> None:
    store_legs(run, [open_orders(), skipped(LegKind.BALANCES, why_incomplete="slow down")])

    empty, left_out = StoredLeg.objects.all()
    assert (empty.status, empty.complete, empty.row_count) == (LegStatus.OBSERVED, True, 0)
    assert (left_out.status, left_out.why_incomplete) == (LegStatus.SKIPPED, "slow down")
