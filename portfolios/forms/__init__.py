"""What a person enters: accounts and their secrets, schedules, rules, and decisions."""

from __future__ import annotations

from portfolios.forms.accounts import ExchangeAccountForm
from portfolios.forms.connect import NewAccountForm, NewPortfolioForm, SecretsForm
from portfolios.forms.credentials import MarketCredentialForm
from portfolios.forms.decisions import DECISION_FORMS, DecisionForm
from portfolios.forms.rules import ClaimRuleForm
from portfolios.forms.schedules import ScheduleForm

__all__ = [
    "DECISION_FORMS",
    "ClaimRuleForm",
    "DecisionForm",
    "ExchangeAccountForm",
    "MarketCredentialForm",
    "NewAccountForm",
    "NewPortfolioForm",
    "ScheduleForm",
    "SecretsForm",
]
