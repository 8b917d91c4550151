"""How the assets of an account are to be understood, as a person has said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from portfolios.amounts import exact_sum, sums_by
from portfolios.models import AssetRule, ExchangeAccount
from providers.reports import BalanceReport

Kind = AssetRule.Kind


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one account.

    Parameters
    ----------
    aliases : Mapping of str to str
        Asset to the one that it counts as, which is never itself an alias.
    dust_below : Mapping of str to Decimal
        Differences smaller than this are information only.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    earn: frozenset[str] = frozenset()
    dust_below: Mapping[str, Decimal] = field(default_factory=dict)

    def counts_as(self, asset: str) -> str:
        return self.aliases.get(asset, asset)

    def counted(self, balances: Mapping[str, BalanceReport]) -> dict[str, BalanceReport]:
        """Add what is held under another name to the asset it counts as; a number not told leaves the sum unknown."""
        held: dict[str, BalanceReport] = {}
        for asset, row in balances.items():
            name = self.counts_as(asset)
            known = held.get(name)
            if known is None:
                held[name] = BalanceReport(name, row.free, row.used, row.total, row.wallet)
            else:
                held[name] = _added(known, row)
        return held

    def folded(self, amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Add likewise what the books hold under another name."""
        return sums_by((self.counts_as(asset), amount) for asset, amount in amounts.items())

    def dust(self, asset: str) -> Decimal | None:
        return self.dust_below.get(asset)

    def is_earn(self, asset: str) -> bool:
        return asset in self.earn


def _added(row: BalanceReport, other: BalanceReport) -> BalanceReport:
    return BalanceReport(
        row.asset,
        _sum(row.free, other.free),
        _sum(row.used, other.used),
        _sum(row.total, other.total),
        row.wallet,
    )


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else exact_sum((one, other))


def rules_of(account: ExchangeAccount) -> Rules:
    rules = list(account.asset_rules.all())
    return Rules(
        aliases={rule.asset: rule.counts_as for rule in rules if rule.kind == Kind.ALIAS},
        earn=frozenset(rule.asset for rule in rules if rule.kind == Kind.EARN),
        dust_below={
            rule.asset: rule.amount
            for rule in rules
            if rule.kind == Kind.DUST and rule.amount is not None
        },
    )


def require_sound_rule(rule: AssetRule) -> None:
    """Refuse a rule that says nothing, too much, or that contradicts another one of its account.

    Raises
    ------
    ValidationError
        Naming the field that is wrong.
    """
    wrong = _wrong_fields(rule)
    if not wrong and rule.kind == Kind.ALIAS:
        wrong = _wrong_alias(rule)
    if wrong:
        raise ValidationError(wrong)


def _wrong_fields(rule: AssetRule) -> dict[str, str]:
    wrong = {}
    if rule.kind == Kind.ALIAS and not rule.counts_as:
        wrong["counts_as"] = _("Enter the asset that it counts as.")
    if rule.kind != Kind.ALIAS and rule.counts_as:
        wrong["counts_as"] = _("Leave it empty: only an alias counts as another asset.")
    if rule.kind == Kind.DUST and not (rule.amount is not None and rule.amount > 0):
        wrong["amount"] = _("Enter an amount above 0.")
    if rule.kind != Kind.DUST and rule.amount is not None:
        wrong["amount"] = _("Leave it empty: only dust has an amount.")
    return wrong


def _wrong_alias(rule: AssetRule) -> dict[str, str]:
    if rule.counts_as == rule.asset:
        return {"counts_as": _("An asset cannot be an alias of itself.")}
    others = AssetRule.objects.filter(account=rule.account, kind=Kind.ALIAS).exclude(pk=rule.pk)
    if others.filter(asset=rule.counts_as).exists():
        return {"counts_as": _("This is an alias itself: name the asset that it counts as.")}
    if others.filter(counts_as=rule.asset).exists():
        return {"asset": _("Another asset counts as this one, which therefore is no alias.")}
    return {}
