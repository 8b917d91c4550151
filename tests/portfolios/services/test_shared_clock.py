from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from portfolios.services import shared_clock
from portfolios.services.shared_clock import shared_now

pytestmark = pytest.mark.django_db
# Bound before the fixture of all tests puts the travelling clock in its place.
SERVERS_NOW = shared_clock._servers_now


@pytest.mark.skipif(connection.vendor == "sqlite", reason="its clock is this host's")
def test_hosts_whose_clocks_differ_are_told_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_clock, "_servers_now", SERVERS_NOW)
    now = timezone.now()

    with time_machine.travel(now + timedelta(days=30)):
        ahead = shared_now()

    assert timedelta(0) <= ahead - now < timedelta(minutes=1)
    assert shared_now() > ahead  # time passes within a transaction


@pytest.mark.skipif(connection.vendor != "sqlite", reason="its clock is the server's")
def test_on_sqlite_the_time_is_this_hosts() -> None:
    now = timezone.now()

    with time_machine.travel(now + timedelta(days=30)):
        assert shared_now() - now >= timedelta(days=30)
