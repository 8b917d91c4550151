from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from portfolios.admin import (
    accounts,
    asset_rules,
    credentials,
    decisions,
    facts,
    people,
    portfolio_snapshots,
    portfolios,
    tokens,
)

__all__ = [
    "accounts",
    "asset_rules",
    "credentials",
    "decisions",
    "facts",
    "people",
    "portfolio_snapshots",
    "portfolios",
    "tokens",
]

admin.site.site_header = _("PosSync administration")
admin.site.site_title = _("PosSync administration")
admin.site.index_title = _("Accounts, credentials and books")
