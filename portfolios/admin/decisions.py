"""What people decided and did, and how discrepancies moved: to be looked at, never to be changed by hand."""

from __future__ import annotations

from django.contrib import admin

from portfolios.admin.facts import ReadOnlyAdmin
from portfolios.models import AuditEvent, Decision, DiscrepancyEvent


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin[Decision]):
    list_display = ("id", "account", "kind", "subject", "reason", "actor_name", "at")
    list_filter = ("kind",)
    list_select_related = ("account",)
    search_fields = ("subject", "reason", "actor_name", "account__label")


@admin.register(DiscrepancyEvent)
class DiscrepancyEventAdmin(ReadOnlyAdmin[DiscrepancyEvent]):
    list_display = ("id", "discrepancy", "episode", "before", "after", "difference", "at")
    list_filter = ("after",)
    list_select_related = ("discrepancy__account", "run", "decision")
    search_fields = ("reason", "discrepancy__asset", "discrepancy__account__label")


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin[AuditEvent]):
    list_display = ("id", "kind", "subject", "detail", "account", "actor_name", "at")
    list_filter = ("kind",)
    list_select_related = ("account",)
    search_fields = ("subject", "detail", "actor_name")
