"""What every other test relies on."""

from __future__ import annotations

import asyncio
import http.client
import socket
from decimal import Decimal

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError

from portfolios.models import LedgerEntry
from providers.sandbox.server import SandboxServer
from tests.both_databases import BOTH_DATABASES
from tests.builders import make_account
from tests.house.processes import ROOT


def test_its_data_folder_is_its_own() -> None:
    assert "possync-test-" in str(settings.DATA_DIR)


@pytest.mark.parametrize("place", BOTH_DATABASES)
def test_what_is_run_on_both_databases_is_there(place: str) -> None:
    file, _, test = place.partition("::")

    assert f"def {test}" in (ROOT / file).read_text()


def test_it_cannot_reach_another_machine() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match=r"was 192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 80))


def test_it_cannot_ask_for_another_machines_address() -> None:
    with pytest.raises(RuntimeError, match=r"was example\.org"):
        socket.getaddrinfo("example.org", 80)


def test_it_cannot_reach_another_machine_from_an_event_loop() -> None:
    async def reach() -> None:
        await asyncio.open_connection("192.0.2.1", 80)

    with pytest.raises(RuntimeError, match=r"was 192\.0\.2\.1"):
        asyncio.run(reach())


def test_the_practice_exchange_answers(sandbox: SandboxServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port)
    connection.request("GET", "/api/v3/ping")
    status = connection.getresponse().status
    connection.close()

    assert status == 200


def booked_entry() -> LedgerEntry:
    return LedgerEntry.objects.create(
        account=make_account(),
        asset="BTC",
        amount=Decimal("0.5"),
        cause=LedgerEntry.Cause.BASELINE,
        key="baseline:BTC",
    )


@pytest.mark.django_db(transaction=True)
def test_tables_that_refuse_deletion_are_emptied_between_tests() -> None:
    booked_entry()

    call_command("flush", interactive=False, verbosity=0)

    assert not LedgerEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_tables_refuse_deletion_again_after_they_were_emptied() -> None:
    call_command("flush", interactive=False, verbosity=0)
    entry = booked_entry()

    with pytest.raises(DatabaseError, match="append-only"):
        entry.delete()
