from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount
from portfolios.services.book import BookError, export_book, import_book

pytestmark = pytest.mark.django_db
CRON = {"cron": "0 8 * * 1-5", "time_zone": "Europe/Berlin"}


def account(**values: Any) -> dict[str, Any]:
    return {"accounts": [{"label": "main", "market": "binance"} | values]}


def test_an_account_may_go_by_a_cron() -> None:
    import_book(account(**CRON))

    made = ExchangeAccount.objects.get()
    assert (made.cron, made.time_zone) == ("0 8 * * 1-5", "Europe/Berlin")


def test_it_is_exported_as_it_was_imported() -> None:
    import_book(account(**CRON))

    [row] = export_book()["accounts"]

    assert {name: row[name] for name in CRON} == CRON
    assert import_book(export_book()).unchanged == 1


def test_an_account_that_goes_by_its_interval_is_exported_without() -> None:
    import_book(account())

    [row] = export_book()["accounts"]

    assert not CRON.keys() & row.keys()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cron": "every day"}, "accounts[0].cron: Expected five fields"),
        ({"cron": "99 8 * * *"}, "accounts[0].cron: This is no cron expression"),
        ({"time_zone": "Nowhere"}, "accounts[0].time_zone: There is no time zone of this name."),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(BookError) as refused:
        import_book(account(**CRON | given))

    assert told in str(refused.value)


def test_a_new_cron_counts_at_once() -> None:
    import_book(account(interval_seconds=86_400))
    tomorrow = timezone.now() + timedelta(days=1)
    ExchangeAccount.objects.update(next_sync_at=tomorrow)

    import_book(account(cron="* * * * *"))

    due = ExchangeAccount.objects.get().next_sync_at
    assert due is not None
    assert due <= timezone.now() + timedelta(minutes=1)
