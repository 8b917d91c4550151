"""What a person enters: accounts and their secrets, rules, and decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.amounts import plain
from portfolios.fields import AmountFormField
from portfolios.models import ClaimRule, Decision, ExchangeAccount, MarketCredential, Portfolio
from portfolios.models.account import market_choices
from portfolios.services.claims import possible_owners
from portfolios.services.credentials import key_ring, missing_names, stored_names
from portfolios.services.decisions.amounts import open_residuals
from portfolios.services.decisions.openings import cash_there
from providers import catalogue
from providers.credentials import CREDENTIAL_NAMES
from providers.endpoints import allowed_endpoint
from providers.errors import CredentialUnreadable, EndpointRefused

Kind = Decision.Kind
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
_WALLET = re.compile(r"[a-z][a-z_]{0,19}")
_SYMBOL = re.compile(r"[^\s,/:]{1,20}/[^\s,/:]{1,20}(:[^\s,/]{1,40})?")


class WordsField(forms.CharField):
    """A list of words, written with commas."""

    def __init__(self, *, word: re.Pattern[str], wrong: str | Promise, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.word, self.wrong = word, wrong

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        words = list(dict.fromkeys(text.replace(",", " ").split()))
        wrong = [word for word in words if not self.word.fullmatch(word)]
        if wrong:
            raise forms.ValidationError(str(self.wrong) % {"word": wrong[0]})
        return words

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class ExchangeAccountForm(forms.ModelForm[ExchangeAccount]):
    market = forms.ChoiceField(label=gettext_lazy("Market"), choices=market_choices)
    wallets = WordsField(
        word=_WALLET,
        wrong=gettext_lazy("“%(word)s” is no wallet: expected words such as spot, margin."),
        label=gettext_lazy("Wallets"),
        initial=["spot"],
        help_text=gettext_lazy("Separated by commas."),
    )
    symbols = WordsField(
        word=_SYMBOL,
        wrong=gettext_lazy("“%(word)s” is no symbol: expected one such as BTC/USDT."),
        label=gettext_lazy("Further symbols"),
        required=False,
        help_text=gettext_lazy(
            "Separated by commas. Read besides those that the books and balances name, "
            "where the exchange lists by symbol only."
        ),
    )

    # One that a form does not name stays as it is.
    policy = forms.ChoiceField(
        label=gettext_lazy("Policy"),
        choices=ExchangeAccount.Policy.choices,
        required=False,
        help_text=gettext_lazy(
            "Observe only: facts are booked and findings shown, but no rule and no person decides anything."
        ),
    )

    class Meta:
        model = ExchangeAccount
        fields = (
            "label",
            "market",
            "wallets",
            "sandbox",
            "endpoint",
            "interval_seconds",
            "lag_seconds",
            "grace_seconds",
            "symbols",
            "policy",
            "lapses_by_itself",
            "paused",
        )

    def clean_endpoint(self) -> str:
        endpoint: str = self.cleaned_data["endpoint"]
        try:
            return endpoint and allowed_endpoint(endpoint, settings.POSSYNC_ENDPOINT_ALLOWLIST)
        except EndpointRefused as e:
            raise forms.ValidationError(str(e)) from None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        market = cleaned.get("market")
        if market and cleaned.get("sandbox") and not catalogue.market(market).has_sandbox:
            self.add_error("sandbox", _("This exchange has no test network."))
        return cleaned


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


def _secret_field(name: str) -> forms.CharField:
    return forms.CharField(
        label=CREDENTIAL_WORDS[name],
        required=False,
        max_length=10_000,
        widget=forms.PasswordInput(
            render_value=False,
            # Browsers take "off" for no answer on password fields.
            attrs={"autocomplete": "new-password", "spellcheck": "false"},
        ),
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
        return ExchangeAccount.objects.filter(pk=chosen).first() if chosen.isdecimal() else None


_SECRET_FIELDS = {name: _secret_field(name) for name in CREDENTIAL_NAMES}
MarketCredentialForm.declared_fields.update(_SECRET_FIELDS)
MarketCredentialForm.base_fields.update(_SECRET_FIELDS)


def _row() -> forms.IntegerField:
    return forms.IntegerField(min_value=1, widget=forms.HiddenInput)


def _offer_owners(form: DecisionForm) -> None:
    field = form.fields["portfolio"]
    if isinstance(field, forms.ModelChoiceField):
        field.queryset = possible_owners(form.account)


class DecisionForm(forms.Form):
    """What one kind of decision on `account` is made with; of itself nothing but rows that the page has named."""

    def __init__(self, account: ExchangeAccount, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.account = account
        self.prepare()

    def prepare(self) -> None:
        """Fill in what can be chosen."""

    def given(self) -> dict[str, Any]:
        """Return plain values, as a proposal wants them."""
        return dict(self.cleaned_data)


class OrderForm(DecisionForm):
    order = _row()


class ClaimForm(OrderForm):
    portfolio = forms.ModelChoiceField(Portfolio.objects.none(), label=gettext_lazy("Portfolio"))

    def prepare(self) -> None:
        _offer_owners(self)

    def given(self) -> dict[str, Any]:
        return self.cleaned_data | {"portfolio": self.cleaned_data["portfolio"].pk}


class MatchForm(OrderForm):
    candidate = _row()


class AssignForm(DecisionForm):
    """Takes an amount of the flow's own asset for each portfolio."""

    flow = _row()

    def prepare(self) -> None:
        self.names = {f"share_{row.pk}": row for row in possible_owners(self.account)}
        for name, portfolio in self.names.items():
            self.fields[name] = AmountFormField(label=portfolio.name, required=False)

    def clean(self) -> dict[str, Any]:
        if not any(self.cleaned_data.get(name) for name in self.names):
            raise forms.ValidationError(_("Enter an amount for at least one portfolio."))
        return self.cleaned_data

    def given(self) -> dict[str, Any]:
        flow = self.account.flows.filter(pk=self.cleaned_data["flow"]).first()
        shares = [
            {"portfolio": row.pk, "asset": flow.asset if flow else "", "amount": plain(amount)}
            for name, row in self.names.items()
            if (amount := self.cleaned_data[name])
        ]
        return {"flow": self.cleaned_data["flow"], "shares": shares}


class AdjustForm(DecisionForm):
    portfolio = forms.ModelChoiceField(
        Portfolio.objects.none(),
        label=gettext_lazy("Portfolio"),
        required=False,
        empty_label=gettext_lazy("none: the unassigned part"),
    )
    asset = forms.CharField(label=gettext_lazy("Asset"), max_length=64)
    amount = AmountFormField(
        label=gettext_lazy("Amount"),
        help_text=gettext_lazy("What is added; with a minus, what is taken away."),
    )

    def prepare(self) -> None:
        _offer_owners(self)

    def given(self) -> dict[str, Any]:
        owner = self.cleaned_data["portfolio"]
        return {
            "portfolio": owner.pk if owner else None,
            "asset": self.cleaned_data["asset"],
            "amount": plain(self.cleaned_data["amount"]),
        }


class RebaselineForm(DecisionForm):
    def prepare(self) -> None:
        self.residuals = {
            asset: plain(residual) for asset, residual in open_residuals(self.account).items()
        }
        choices = [(asset, f"{asset} {residual}") for asset, residual in self.residuals.items()]
        self.fields["assets"] = forms.MultipleChoiceField(
            label=_("Assets"), choices=choices, widget=forms.CheckboxSelectMultiple
        )

    def given(self) -> dict[str, Any]:
        return {"residuals": {name: self.residuals[name] for name in self.cleaned_data["assets"]}}


class OpeningForm(DecisionForm):
    portfolio = _row()

    def given(self) -> dict[str, Any]:
        owner = possible_owners(self.account).filter(pk=self.cleaned_data["portfolio"]).first()
        there = cash_there(owner) if owner else None
        return self.cleaned_data | {
            "asset": owner.trading_symbol if owner else "",
            "amount": "0" if there is None else plain(there),
        }


class DiscrepancyForm(DecisionForm):
    discrepancy = _row()


class AcknowledgeForm(DiscrepancyForm):
    until = forms.DateTimeField(
        label=gettext_lazy("Until (UTC)"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=gettext_lazy("Empty: for as long as it lasts."),
    )

    def given(self) -> dict[str, Any]:
        until = self.cleaned_data["until"]
        return self.cleaned_data | {"until": until.isoformat() if until else None}


class ReverseForm(DecisionForm):
    decision = _row()


DECISION_FORMS: Final[Mapping[str, type[DecisionForm]]] = {
    Kind.CLAIM_ORDER: ClaimForm,
    Kind.RELEASE_ORDER: OrderForm,
    Kind.MATCH_ORDER: MatchForm,
    Kind.ACCEPT_LAPSE: OrderForm,
    Kind.ASSIGN_FLOW: AssignForm,
    Kind.ADJUST: AdjustForm,
    Kind.REBASELINE: RebaselineForm,
    Kind.ACCEPT_OPENING: OpeningForm,
    Kind.DISMISS: DiscrepancyForm,
    Kind.ACKNOWLEDGE: AcknowledgeForm,
    Kind.REOPEN: DiscrepancyForm,
    Kind.REVERSE: ReverseForm,
}
