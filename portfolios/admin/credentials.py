from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portfolios.forms import MarketCredentialForm
from portfolios.models import MarketCredential
from portfolios.services.credentials import store_credential
from providers.credentials import CREDENTIAL_NAMES

_SHOWN = ("state", "state_detail", "set_at", "tested_at", "fingerprint")


@admin.register(MarketCredential)
class MarketCredentialAdmin(admin.ModelAdmin[MarketCredential]):
    form = MarketCredentialForm
    list_display = ("account", "state", "set_at", "tested_at", "fingerprint")
    list_filter = ("state",)
    list_select_related = ("account",)
    raw_id_fields = ("account",)
    search_fields = ("account__label",)
    readonly_fields = _SHOWN
    fieldsets = (
        (None, {"fields": ("account", *_SHOWN)}),
        (
            _("Secrets"),
            {
                "description": _(
                    "Use a key that may read and nothing else. Secrets are stored encrypted and never shown again."
                ),
                "fields": CREDENTIAL_NAMES,
            },
        ),
    )

    def get_readonly_fields(
        self, request: HttpRequest, obj: MarketCredential | None = None
    ) -> tuple[str, ...]:
        return _SHOWN if obj is None else ("account", *_SHOWN)

    def save_model(
        self, request: HttpRequest, obj: MarketCredential, form: Any, change: bool
    ) -> None:
        obj.pk = store_credential(obj.account, form.secrets()).pk
        obj.refresh_from_db()
