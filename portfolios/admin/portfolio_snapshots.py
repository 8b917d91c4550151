from __future__ import annotations

from django.contrib import admin

from portfolios.admin.facts import ReadOnlyAdmin
from portfolios.models import PortfolioSnapshot


@admin.register(PortfolioSnapshot)
class PortfolioSnapshotAdmin(ReadOnlyAdmin[PortfolioSnapshot]):
    list_display = ("id", "portfolio", "unallocated", "net_size", "pending", "taken_at")
    list_select_related = ("portfolio",)
    search_fields = ("portfolio__name__exact",)
