from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.models import ExchangeAccount, MarketCredential
from portfolios.selectors.listing import is_key
from portfolios.services.credentials import key_ring, missing_names, stored_names
from providers import catalogue
from providers.credentials import CREDENTIAL_NAMES
from providers.errors import CredentialUnreadable

CREDENTIAL_WORDS = {
    "apiKey": gettext_lazy("API key"),
    "secret": gettext_lazy("Secret"),
    "password": gettext_lazy("Password or passphrase of the key"),
    "uid": gettext_lazy("User id"),
    "accountId": gettext_lazy("Account id"),
    "login": gettext_lazy("Log-in"),
    "twofa": gettext_lazy("Two-factor secret"),
    "token": gettext_lazy("Token"),
    "walletAddress": gettext_lazy("Wallet address"),
    "privateKey": gettext_lazy("Private key"),
}
# Some exchanges give these as a PEM file, whose line breaks a password field would drop.
SECRETS_OF_LINES: Final = ("secret", "privateKey")
# Browsers take "off" for no answer on password fields.
_SECRET_ATTRIBUTES: Final = {"autocomplete": "new-password", "spellcheck": "false"}


class SecretLines(forms.Textarea):
    """Takes a secret of several lines; like a password field, it never shows one."""

    def __init__(self) -> None:
        super().__init__(attrs=_SECRET_ATTRIBUTES | {"rows": 2, "class": "secret"})

    def format_value(self, value: Any) -> str:
        return ""


def secret_field(name: str, widget: forms.Widget | None = None) -> forms.CharField:
    return forms.CharField(
        label=CREDENTIAL_WORDS[name],
        required=False,
        max_length=10_000,
        widget=widget or forms.PasswordInput(render_value=False, attrs=_SECRET_ATTRIBUTES),
    )


def _hint(is_stored: bool, is_required: bool) -> str:
    if is_stored:
        return _("Stored. Leave it blank to keep it.")
    return _("Required by this exchange.") if is_required else _("Not needed for this exchange.")


class MarketCredentialForm(forms.ModelForm[MarketCredential]):
    """Takes secrets and never shows one again, not even one that was refused a moment ago.

    A blank field keeps what is stored. Saving is up to the admin, which hands `secrets` to the service.
    """

    class Meta:
        model = MarketCredential
        fields = ("account",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        account = self._known_account()
        if account is None:
            return
        stored = stored_names(account)
        required = missing_names(account.market, set())
        for name in CREDENTIAL_NAMES:
            self.fields[name].help_text = _hint(name in stored, name in required)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        account = self._account(cleaned)
        if account is not None:
            self._require_what_the_market_requires(account)
            self._require_a_key_ring()
        return cleaned

    def secrets(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name) or "" for name in CREDENTIAL_NAMES}

    def _require_what_the_market_requires(self, account: ExchangeAccount) -> None:
        given = {name for name, value in self.secrets().items() if value.strip()}
        for name in missing_names(account.market, given | set(stored_names(account))):
            self.add_error(
                name,
                _("%(market)s requires the %(name)s.")
                % {"market": catalogue.market(account.market).name, "name": CREDENTIAL_WORDS[name]},
            )

    def _require_a_key_ring(self) -> None:
        try:
            key_ring()
        except CredentialUnreadable as e:
            self.add_error(None, str(e))

    def _account(self, cleaned: dict[str, Any]) -> ExchangeAccount | None:
        # Once stored, a credential stays with its account: its seal names it.
        return self.instance.account if self.instance.pk else cleaned.get("account")

    def _known_account(self) -> ExchangeAccount | None:
        if self.instance.pk:
            return self.instance.account
        chosen = str(self.initial.get("account", ""))
        return ExchangeAccount.objects.filter(pk=chosen).first() if is_key(chosen) else None


_SECRET_FIELDS = {name: secret_field(name) for name in CREDENTIAL_NAMES}
MarketCredentialForm.declared_fields.update(_SECRET_FIELDS)
MarketCredentialForm.base_fields.update(_SECRET_FIELDS)
