from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.models import ClaimRule
from portfolios.services.claims import possible_owners


class ClaimRuleForm(forms.ModelForm[ClaimRule]):
    class Meta:
        model = ClaimRule
        fields = ("account", "portfolio", "kind", "value")
        help_texts = {
            "portfolio": gettext_lazy("A live portfolio of the same account."),
            "value": gettext_lazy(
                "The beginning of the client id, or the symbol; empty for all orders."
            ),
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        account, portfolio = cleaned.get("account"), cleaned.get("portfolio")
        if account and portfolio and portfolio not in possible_owners(account):
            self.add_error("portfolio", _("Choose a live portfolio of the same account."))
        is_all = cleaned.get("kind") == ClaimRule.Kind.ALL
        if is_all and cleaned.get("value"):
            self.add_error("value", _("Leave it empty: the rule takes all orders."))
        elif cleaned.get("kind") and not is_all and not cleaned.get("value"):
            self.add_error("value", _("Enter the beginning of the client id, or the symbol."))
        return cleaned
