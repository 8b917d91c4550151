"""What the exchange reported and what was concluded from it: to be looked at, never to be changed by hand."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    Fill,
    Flow,
    Incident,
    LedgerEntry,
    Occurrence,
    Order,
    OrderVersion,
    Position,
    ReadCursor,
    StoredLeg,
    SyncRun,
)

Fact = TypeVar("Fact", bound=Model)


# Searched by the whole word, which an index finds: a part of one would be looked for in every row.
_WHOLE_ID = _("A whole id, as the exchange or the bot wrote it.")
_WHOLE_NAME = _("A whole name.")


class BoundedPaginator(Paginator[Any]):
    """Counts no further than anybody turns pages: a whole count reads the whole table."""

    MOST: Final = 10_000

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # a list is never given
        return rows.order_by()[: self.MOST].count()


class ReadOnlyAdmin(admin.ModelAdmin[Fact]):
    # These tables grow for ever: no second count, and no delete action that would load them.
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin[Order]):
    list_display = (
        "external_id",
        "account",
        "portfolio",
        "symbol",
        "side",
        "status",
        "amount",
        "filled",
    )
    list_filter = ("status", "side", "external")
    list_select_related = ("account", "portfolio")
    search_fields = ("external_id__exact", "client_order_id__exact")
    search_help_text = _WHOLE_ID


@admin.register(OrderVersion)
class OrderVersionAdmin(ReadOnlyAdmin[OrderVersion]):
    list_display = ("order", "number", "amount", "price", "replaced_at")
    list_select_related = ("order",)
    search_fields = ("order__external_id__exact", "order__client_order_id__exact")
    search_help_text = _WHOLE_ID


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin[Fill]):
    list_display = ("external_id", "account", "symbol", "side", "amount", "price", "executed_at")
    list_select_related = ("account",)
    search_fields = ("external_id__exact",)
    search_help_text = _WHOLE_ID


@admin.register(Flow)
class FlowAdmin(ReadOnlyAdmin[Flow]):
    list_display = ("external_id", "account", "kind", "asset", "amount", "status", "occurred_at")
    list_filter = ("kind", "status", "source")
    list_select_related = ("account",)
    search_fields = ("external_id", "asset")


@admin.register(ReadCursor)
class ReadCursorAdmin(ReadOnlyAdmin[ReadCursor]):
    list_display = ("id", "account", "kind", "subject", "covered_until")
    list_filter = ("kind",)
    list_select_related = ("account",)
    search_fields = ("subject", "account__label")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin[LedgerEntry]):
    list_display = ("id", "account", "portfolio", "asset", "amount", "cause", "booked_at")
    list_filter = ("cause",)
    list_select_related = ("account", "portfolio")
    search_fields = ("portfolio__name__exact",)
    search_help_text = _WHOLE_NAME


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin[Position]):
    list_display = ("asset", "account", "portfolio", "amount", "reserved", "cost")
    list_select_related = ("account", "portfolio")
    search_fields = ("asset", "portfolio__name")


@admin.register(AssetBalance)
class AssetBalanceAdmin(ReadOnlyAdmin[AssetBalance]):
    list_display = ("asset", "account", "wallet", "expected", "total", "residual", "verdict")
    list_filter = ("verdict", "wallet")
    list_select_related = ("account",)
    search_fields = ("asset", "account__label")


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin[SyncRun]):
    list_display = (
        "id",
        "account",
        "trigger",
        "status",
        "queued_at",
        "finished_at",
        "http_requests",
    )
    list_filter = ("status", "trigger")
    list_select_related = ("account",)
    search_fields = ("account__label__exact",)
    search_help_text = _WHOLE_NAME


@admin.register(StoredLeg)
class StoredLegAdmin(ReadOnlyAdmin[StoredLeg]):
    list_display = ("id", "run", "kind", "subject", "status", "row_count", "complete")
    list_filter = ("status", "kind")
    list_select_related = ("run__account", "content")
    search_fields = ("run__account__label__exact",)
    search_help_text = _WHOLE_NAME
    exclude = ("content",)
    readonly_fields = ("rows_as_read",)

    @admin.display(description=_("Rows as they were read"))
    def rows_as_read(self, leg: StoredLeg) -> SafeString:
        rows = leg.content.rows if leg.content else []
        return format_html("<pre>{}</pre>", json.dumps(rows, indent=1, ensure_ascii=False))


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnlyAdmin[Discrepancy]):
    list_display = (
        "id",
        "account",
        "code",
        "asset",
        "difference",
        "severity",
        "state",
        "last_seen",
    )
    list_filter = ("state", "severity", "code")
    list_select_related = ("account",)
    search_fields = ("asset", "symbol", "account__label")


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin[Incident]):
    list_display = ("id", "account", "category", "type", "operation", "count", "state", "last_seen")
    list_filter = ("state", "category")
    list_select_related = ("account",)
    search_fields = ("message", "type")


@admin.register(Occurrence)
class OccurrenceAdmin(ReadOnlyAdmin[Occurrence]):
    list_display = ("id", "incident", "run", "subject", "occurred_at")
    list_select_related = ("incident", "run__account")
    search_fields = ("incident__account__label__exact",)
    search_help_text = _WHOLE_NAME
