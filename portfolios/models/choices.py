from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _

from providers.reports import (
    FlowKind,
    FlowSource,
    FlowStatus,
    LegKind,
    LegStatus,
    OrderSide,
    OrderStatus,
    OrderType,
)


def choices(enum: type[StrEnum]) -> list[tuple[str, str]]:
    """Django choices of an enum that lives in providers, which know no Django."""
    return [(member.value, member.value) for member in enum]


def word_of(words: type[models.TextChoices], value: str) -> str:
    """Return the word of one choice; what Django makes for a model looks up all of them, for every row of a list."""
    try:
        return str(words(value).label)
    except ValueError:
        return value


def order_sides() -> list[tuple[str, str]]:
    return choices(OrderSide)


def order_types() -> list[tuple[str, str]]:
    return choices(OrderType)


def order_statuses() -> list[tuple[str, str]]:
    return choices(OrderStatus)


def leg_kinds() -> list[tuple[str, str]]:
    return choices(LegKind)


def leg_statuses() -> list[tuple[str, str]]:
    return choices(LegStatus)


def flow_kinds() -> list[tuple[str, str]]:
    return choices(FlowKind)


def flow_sources() -> list[tuple[str, str]]:
    return choices(FlowSource)


def flow_statuses() -> list[tuple[str, str]]:
    return choices(FlowStatus)


class Verdict(models.TextChoices):
    VERIFIED = "VERIFIED", _("Verified")
    CONSISTENT = "CONSISTENT", _("Consistent")
    DIFFERS = "DIFFERS", _("Differs")
    PROVISIONAL = "PROVISIONAL", _("Provisional")
    NOT_VERIFIABLE = "NOT_VERIFIABLE", _("Not verifiable")


class Severity(models.TextChoices):
    INFO = "info", _("Info")
    NOTICE = "notice", _("Notice")
    WARNING = "warning", _("Warning")
    ERROR = "error", _("Error")
    CRITICAL = "critical", _("Critical")


class AccountState(models.TextChoices):
    """What a list says of an account: its health, and whether the books agree; see selectors.standings."""

    CREDENTIALS = "credentials", _("Needs credentials")
    FAILING = "failing", _("Failing")
    DIFFERS = "differs", _("Differs")
    LATE = "late", _("Late")
    RUNNING = "running", _("Running")
    NEW = "new", _("New")
    UNVERIFIED = "unverified", _("Not verified yet")
    AGREES = "agrees", _("In agreement")
    PAUSED = "paused", _("Paused")


class Health(models.TextChoices):
    NEW = "new", _("New")
    OK = "ok", _("Up to date")
    LATE = "late", _("Late")
    FAILING = "failing", _("Failing")
    PAUSED = "paused", _("Paused")
    LOCKED = "locked", _("Credential locked")
    SUSPENDED = "suspended", _("Suspended")
