"""What decisions are made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.amounts import plain
from portfolios.fields import AmountFormField
from portfolios.models import Decision, ExchangeAccount, Portfolio
from portfolios.services.claims import possible_owners
from portfolios.services.decisions.amounts import open_residuals
from portfolios.services.decisions.openings import cash_there

Kind = Decision.Kind


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
    Kind.ACCEPT_BUST: DiscrepancyForm,
    Kind.ASSIGN_FLOW: AssignForm,
    Kind.ADJUST: AdjustForm,
    Kind.REBASELINE: RebaselineForm,
    Kind.ACCEPT_OPENING: OpeningForm,
    Kind.DISMISS: DiscrepancyForm,
    Kind.ACKNOWLEDGE: AcknowledgeForm,
    Kind.REOPEN: DiscrepancyForm,
    Kind.REVERSE: ReverseForm,
}
