from __future__ import annotations

import re
from typing import Any

from django import forms
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.forms.schedules import clean_schedule, zone_choices
from portfolios.models import ExchangeAccount
from portfolios.models.account import market_choices
from providers import catalogue
from providers.endpoints import allowed_endpoint
from providers.errors import EndpointRefused

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

    # Those that a form does not name stay as they are.
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=zone_choices,
        required=False,
        help_text=gettext_lazy("By whose clock the cron is meant."),
    )
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
            "cron",
            "time_zone",
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

    def clean_time_zone(self) -> str:
        return self.cleaned_data["time_zone"] or self.instance.time_zone

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        market = cleaned.get("market") or self.instance.market
        if market and cleaned.get("sandbox") and not catalogue.market(market).has_sandbox:
            self.add_error("sandbox", _("This exchange has no test network."))
        clean_schedule(self, cleaned)
        return cleaned
