from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from portfolios.forms import ClaimRuleForm
from portfolios.models import ClaimRule, Portfolio
from portfolios.services.openings import has_books

# What the books are kept of, and were opened on, cannot be changed under them.
_FIXED_BY_BOOKS = ("account", "trading_symbol", "mode")
_FIXED_BY_OPENING = ("initial_balance",)
_SHOWN = ("initialized", "initialized_at", "opening_cash", "realized_gain")


@admin.register(Portfolio)
class PortfolioAdmin(admin.ModelAdmin[Portfolio]):
    list_display = ("name", "account", "trading_symbol", "mode", "initialized")
    list_filter = ("mode", "initialized")
    list_select_related = ("account",)
    search_fields = ("name", "account__label")
    raw_id_fields = ("account",)
    fields = ("name", "account", "trading_symbol", "initial_balance", "mode", *_SHOWN)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Portfolio | None = None
    ) -> tuple[str, ...]:
        of_books = _FIXED_BY_BOOKS if obj is not None and has_books(obj) else ()
        of_opening = _FIXED_BY_OPENING if obj is not None and obj.initialized else ()
        return (*of_books, *of_opening, *_SHOWN)


@admin.register(ClaimRule)
class ClaimRuleAdmin(admin.ModelAdmin[ClaimRule]):
    form = ClaimRuleForm
    list_display = ("account", "kind", "value", "portfolio")
    list_display_links = ("kind", "value")
    list_filter = ("kind",)
    list_select_related = ("account", "portfolio")
    raw_id_fields = ("account", "portfolio")
    search_fields = ("value", "account__label", "portfolio__name")
