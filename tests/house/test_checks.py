from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from pytest_django.fixtures import Settings

from portfolios.checks import check_databases, check_queue, minimum_retry

SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def queue_errors(wrapper: Settings, **changes: Any) -> list[str | None]:
    wrapper.Q_CLUSTER = {**settings.Q_CLUSTER, **changes}
    return [error.id for error in check_queue()]


def database_errors(patch: pytest.MonkeyPatch, **changes: Any) -> list[str | None]:
    default = {"ENGINE": "possync_site.databases.sqlite", "OPTIONS": SQLITE_OPTIONS, **changes}
    # Not through the settings fixture: Django warns of that, since it cannot reconnect.
    patch.setattr(settings, "DATABASES", {"default": default})
    return [error.id for error in check_databases()]


def test_the_products_own_settings_pass() -> None:
    assert check_queue() == []
    assert check_databases() == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"orm": "other"}, "possync.E001"),
        ({"orm": None, "redis": {"host": "127.0.0.1"}}, "possync.E001"),
        ({"broker_class": "somewhere.Broker"}, "possync.E001"),
        ({"broker_class": None}, "possync.E001"),
        ({"workers": 2, "retry": 539}, "possync.E003"),
        ({"workers": 2, "queue_limit": 6}, "possync.E003"),
        ({"max_attempts": 0}, "possync.E004"),
        ({"max_attempts": 2}, "possync.E004"),
        ({"ack_failures": False}, "possync.E005"),
        ({"catch_up": True}, "possync.E006"),
        ({"save_limit": 0}, "possync.E007"),
        ({"ALT_CLUSTERS": None}, "possync.E008"),
    ],
)
def test_a_queue_that_loses_or_repeats_work_is_refused(
    settings: Settings, changes: dict[str, Any], error: str
) -> None:
    assert queue_errors(settings, **changes) == [error]


@pytest.mark.parametrize("timeout", [None, 0, 179.5])
def test_a_queue_without_a_whole_timeout_is_refused(
    settings: Settings, timeout: float | None
) -> None:
    errors = queue_errors(settings, timeout=timeout)

    assert errors == ["possync.E002", "possync.E003", "possync.E009"]


def test_a_retry_of_exactly_the_minimum_is_accepted(settings: Settings) -> None:
    assert queue_errors(settings, workers=2, retry=540) == []


def test_one_worker_needs_a_later_retry_than_two() -> None:
    options = {"timeout": 100, "queue_limit": 2}

    assert minimum_retry({**options, "workers": 2}) == 300
    assert minimum_retry({**options, "workers": 1}) == 400


def test_a_queue_limit_that_is_not_set_is_the_square_of_the_workers() -> None:
    assert minimum_retry({"timeout": 100, "workers": 4}) == 600


def test_options_that_are_not_set_count_as_django_q_has_them(settings: Settings) -> None:
    settings.Q_CLUSTER = {}

    assert [error.id for error in check_queue()] == [f"possync.E00{n}" for n in range(1, 10)]


def test_an_alternative_cluster_is_checked_with_its_own_changes(settings: Settings) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "ALT_CLUSTERS": {"slow": {"timeout": 500}}}

    (error,) = check_queue()

    assert error.id == "possync.E003"
    assert error.msg.startswith('Q_CLUSTER["ALT_CLUSTERS"]["slow"]: ')


@pytest.mark.parametrize("deadline", [88, 180])
def test_a_sync_deadline_that_the_queue_would_cut_off_is_refused(
    settings: Settings, deadline: int
) -> None:
    settings.POSSYNC_SYNC_DEADLINE = deadline

    assert queue_errors(settings) == ["possync.E009"]


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("init_command", "PRAGMA synchronous=NORMAL;", "possync.E010"),
        ("transaction_mode", "DEFERRED", "possync.E011"),
        ("timeout", 5, "possync.E012"),
    ],
)
def test_a_sqlite_that_refuses_a_second_writer_is_refused(
    monkeypatch: pytest.MonkeyPatch, option: str, value: object, error: str
) -> None:
    assert database_errors(monkeypatch, OPTIONS={**SQLITE_OPTIONS, option: value}) == [error]


def test_sqlite_with_djangos_own_options_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = database_errors(monkeypatch, OPTIONS={})

    assert errors == ["possync.E010", "possync.E011", "possync.E012"]


def test_postgresql_needs_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        database_errors(monkeypatch, ENGINE="possync_site.databases.postgresql", OPTIONS={}) == []
    )


def test_a_transaction_around_every_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert database_errors(monkeypatch, ATOMIC_REQUESTS=True) == ["possync.E013"]


def test_every_error_says_what_to_set(settings: Settings) -> None:
    settings.Q_CLUSTER = {}

    assert all(error.hint for error in check_queue())
