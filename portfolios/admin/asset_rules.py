from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from portfolios.models import AssetRule
from portfolios.services.asset_rules import require_sound_rule


class AssetRuleForm(forms.ModelForm[AssetRule]):
    class Meta:
        model = AssetRule
        fields = ("account", "kind", "asset", "counts_as", "amount")
        help_texts = {
            "kind": _(
                "An alias is another name of an asset, such as LDBTC of BTC. In earn: what the total has beyond free "
                "and used is lent out, and still held. Dust: a smaller difference is told as information only."
            ),
            "asset": _("As the exchange's balances name it, such as LDBTC."),
            "counts_as": _("For an alias only: the asset that it is counted as, such as BTC."),
            "amount": _("For dust only: units of the asset below which a difference is dust."),
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            values = {name: cleaned[name] for name in self.Meta.fields}
            try:
                require_sound_rule(AssetRule(pk=self.instance.pk, **values))
            except ValidationError as e:
                self.add_error(None, e)
        return cleaned


@admin.register(AssetRule)
class AssetRuleAdmin(admin.ModelAdmin[AssetRule]):
    form = AssetRuleForm
    list_display = ("account", "asset", "kind", "counts_as", "amount")
    list_display_links = ("asset",)
    list_filter = ("kind",)
    list_select_related = ("account",)
    raw_id_fields = ("account",)
    search_fields = ("asset", "counts_as", "account__label")
