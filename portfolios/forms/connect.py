"""What is entered while an exchange is connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.forms.accounts import ExchangeAccountForm
from portfolios.forms.credentials import SECRETS_OF_LINES, SecretLines, secret_field
from portfolios.models import ExchangeAccount, Portfolio
from portfolios.services.credentials import environment_credentials, key_ring, stored_names
from providers import catalogue
from providers.errors import CredentialUnreadable


class SecretsForm(forms.Form):
    """The secrets that a market requires; never shown again, not even those that were refused a moment ago."""

    def __init__(self, *args: Any, account: ExchangeAccount, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What is stored, or told by the environment, may stay as it is.
        stored = stored_names(account) if account.pk else []
        known = stored or environment_credentials(account.market)
        self.secret_names = catalogue.market(account.market).required_credentials
        for name in self.secret_names:
            widget = SecretLines() if name in SECRETS_OF_LINES else None
            self.fields[name] = secret_field(name, widget)
            self.fields[name].required = name not in known
            if name in stored:
                self.fields[name].help_text = _("Stored. Leave it blank to keep it.")
            elif name in known:
                self.fields[name].help_text = _(
                    "Set in the environment. Leave it blank to use that."
                )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            key_ring()
        except CredentialUnreadable as e:
            self.add_error(None, str(e))
        return cleaned

    def secrets(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name) or "" for name in self.secret_names}


class NewAccountForm(ExchangeAccountForm):
    """The account itself; its market is part of the address."""

    # The only wallet that is read so far is the default.
    market = wallets = symbols = policy = time_zone = None  # type: ignore[assignment]  # so Django leaves out fields

    class Meta:
        model = ExchangeAccount
        fields = ("label", "sandbox", "endpoint")
        labels = {"label": gettext_lazy("Name")}
        help_texts = {"label": gettext_lazy("How you call this account; it can be changed later.")}

    def __init__(self, data: Mapping[str, Any] | None = None, *, market: str) -> None:
        super().__init__(data, instance=ExchangeAccount(market=market))
        if not catalogue.market(market).has_sandbox:
            del self.fields["sandbox"]

    def given(self) -> dict[str, Any]:
        return {"market": self.instance.market} | {x: self.cleaned_data[x] for x in self.fields}


class NewPortfolioForm(forms.ModelForm[Portfolio]):
    class Meta:
        model = Portfolio
        fields = ("name", "trading_symbol", "initial_balance")
        help_texts = {
            "initial_balance": gettext_lazy(
                "Its cash at the start, including what its open orders lock. Empty: all that is there."
            )
        }

    def clean_trading_symbol(self) -> str:
        symbol: str = self.cleaned_data["trading_symbol"]
        return symbol.upper()

    def clean_initial_balance(self) -> Any:
        balance = self.cleaned_data["initial_balance"]
        if balance is not None and balance < 0:
            raise forms.ValidationError(_("Expected zero or more."))
        return balance
