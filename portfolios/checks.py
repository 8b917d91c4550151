"""System checks that refuse a queue or a database that would lose work or do it twice.

Where the limits come from: django-q2's database broker starts the retry clock when a task is fetched, acknowledges no
failure by default, and answers a crash with endless redelivery.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from providers.fetching import longest_read

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that `options` must satisfy; `hint` says what to set."""

    id: str
    holds: Callable[[Options], bool]
    message: str | Promise
    hint: str | Promise

    def error(self, subject: str) -> Error:
        return Error(f"{subject}: {self.message}", hint=str(self.hint), id=self.id)


def minimum_retry(options: Options) -> float:
    """Seconds after which no waiting task can still be about to start.

    A task may wait behind `queue_limit` others and the one that is running, each for `timeout` seconds.
    """
    workers = options.get("workers") or 1
    queue_limit = options.get("queue_limit") or workers**2
    return float(options["timeout"] * (1 + math.ceil((queue_limit + 1) / workers)))


def _wakes_through_the_database(options: Options) -> bool:
    # Of brokers that are named, this one wins, whatever else is.
    ours = {"orm": "default", "broker_class": "portfolios.queue.Broker"}
    return all(options.get(name) == value for name, value in ours.items())


def _has_timeout(options: Options) -> bool:
    timeout = options.get("timeout")
    return isinstance(timeout, int) and timeout > 0


def _retries_late_enough(options: Options) -> bool:
    return _has_timeout(options) and options.get("retry", 60) >= minimum_retry(options)


def _ends_before_the_timeout(options: Options) -> bool:
    return _has_timeout(options) and options["timeout"] > longest_read(
        settings.POSSYNC_SYNC_DEADLINE
    )


QUEUE_RULES = (
    Rule(
        "possync.E001",
        _wakes_through_the_database,
        _("the queue is not kept in PosSync's own database, so tasks in flight can be lost."),
        _('Set "orm": "default", "broker_class": "portfolios.queue.Broker".'),
    ),
    Rule(
        "possync.E002",
        _has_timeout,
        _("no whole number of seconds ends a task that hangs."),
        _('Set "timeout", for example 180.'),
    ),
    Rule(
        "possync.E003",
        _retries_late_enough,
        _("a task that still waits or works would be delivered a second time."),
        _('Set "retry" to at least timeout * (1 + ceil((queue_limit + 1) / workers)).'),
    ),
    Rule(
        "possync.E004",
        lambda options: options.get("max_attempts", 0) == 1,
        _("the broker would repeat a failed task; sync runs count their attempts themselves."),
        _('Set "max_attempts": 1.'),
    ),
    Rule(
        "possync.E005",
        lambda options: options.get("ack_failures", False) is True,
        _("a failed task would stay in the queue and be delivered again."),
        _('Set "ack_failures": True.'),
    ),
    Rule(
        "possync.E006",
        lambda options: options.get("catch_up", True) is False,
        _("after a night switched off, every missed tick would be run."),
        _('Set "catch_up": False.'),
    ),
    Rule(
        "possync.E007",
        lambda options: options.get("save_limit", 250) == -1,
        _("finished tasks would be kept as unsigned pickles beside the sync runs."),
        _('Set "save_limit": -1.'),
    ),
    Rule(
        "possync.E008",
        lambda options: isinstance(options.get("ALT_CLUSTERS"), Mapping),
        _("an inherited Q_CLUSTER_NAME would stop every process at its start."),
        _('Set "ALT_CLUSTERS": {}.'),
    ),
    Rule(
        "possync.E009",
        _ends_before_the_timeout,
        _("the queue would kill a sync before its own deadline can end it in order."),
        _("Set POSSYNC_SYNC_DEADLINE well below half of the queue's timeout."),
    ),
)

SQLITE_RULES = (
    Rule(
        "possync.E010",
        lambda options: "journal_mode=wal" in _words(options.get("init_command", "")),
        _("readers would block the writer."),
        _('Put "PRAGMA journal_mode=WAL;" into OPTIONS["init_command"].'),
    ),
    Rule(
        "possync.E011",
        lambda options: options.get("transaction_mode") == "IMMEDIATE",
        _('two writers would meet in "database is locked", and tasks would stay unacknowledged.'),
        _('Set OPTIONS["transaction_mode"] to "IMMEDIATE".'),
    ),
    Rule(
        "possync.E012",
        lambda options: options.get("timeout", 5) >= 20,
        _("a writer gives up while another one is still at work."),
        _('Set OPTIONS["timeout"] to 20 seconds or more.'),
    ),
)

SQLITE_ENGINES = ("django.db.backends.sqlite3", "possync_site.databases.sqlite")
EVERY_DATABASE_RULES = (
    Rule(
        "possync.E013",
        lambda options: not options.get("ATOMIC_REQUESTS"),
        _("a page would hold a transaction open, and with it the write lock."),
        _("Remove ATOMIC_REQUESTS."),
    ),
)


@register(Tags.compatibility)
def check_queue(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    return [
        rule.error(subject)
        for subject, options in _clusters()
        for rule in QUEUE_RULES
        if not rule.holds(options)
    ]


@register(Tags.compatibility)
def check_databases(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    errors: list[CheckMessage] = []
    for alias, database in settings.DATABASES.items():
        subject = f'DATABASES["{alias}"]'
        errors += [x.error(subject) for x in EVERY_DATABASE_RULES if not x.holds(database)]
        if database["ENGINE"] in SQLITE_ENGINES:
            options = database.get("OPTIONS", {})
            errors += [x.error(subject) for x in SQLITE_RULES if not x.holds(options)]
    return errors


def _clusters() -> Iterator[tuple[str, Options]]:
    queue: Options = getattr(settings, "Q_CLUSTER", {})
    yield "Q_CLUSTER", queue
    for name, changes in (queue.get("ALT_CLUSTERS") or {}).items():
        yield f'Q_CLUSTER["ALT_CLUSTERS"]["{name}"]', {**queue, **changes}


def _words(text: str) -> str:
    return "".join(text.lower().split())
