from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from portfolios.models import AssetRule, ClaimRule
from portfolios.services.asset_rules import require_sound_rule
from portfolios.services.book.changes import Import, update_row
from portfolios.services.book.document import BookError, Node
from portfolios.services.claims import possible_owners


def import_asset_rule(node: Node, under_way: Import) -> None:
    account = under_way.account(node)
    kind = node.one_of("kind", AssetRule.Kind.values)
    asset = node.text("asset", limit=64)
    given = {
        "counts_as": node.text("counts_as", "", limit=64),
        "amount": node.amount("amount", None),
    }
    node.refuse_unknown()
    under_way.refuse_twice(node, "asset", "asset rule", account.pk, kind, asset)
    rule = account.asset_rules.filter(kind=kind, asset=asset).first()
    is_new = rule is None
    if rule is None:
        rule = AssetRule(account=account, kind=kind, asset=asset, **given)
    as_given = {name: given[name] if node.names(name) else getattr(rule, name) for name in given}
    _require_sound(node, AssetRule(pk=rule.pk, account=account, kind=kind, asset=asset, **as_given))
    if is_new:
        rule.save()
        under_way.count_created()
    else:
        under_way.count_existing(is_changed=update_row(node, rule, given, ()))


def _require_sound(node: Node, rule: AssetRule) -> None:
    try:
        require_sound_rule(rule)
    except ValidationError as e:
        name, messages = next(iter(e.message_dict.items()))
        raise BookError(f"{node.path}.{name}", messages[0]) from None


def import_claim_rule(node: Node, under_way: Import) -> None:
    portfolio = under_way.portfolio(node)
    kind = node.one_of("kind", ClaimRule.Kind.values)
    value = node.text("value", "")
    node.refuse_unknown()
    if (kind == ClaimRule.Kind.ALL) == bool(value):
        said = _("leave it out: the rule takes all orders") if value else _("is missing")
        raise node.fail("value", said)
    account = portfolio.account
    under_way.refuse_twice(node, "value", "claim rule", account.pk, kind, value)
    if not possible_owners(account).filter(pk=portfolio.pk).exists():
        raise node.fail("portfolio", _("a backtest is given no orders"))
    rule = account.claim_rules.filter(kind=kind, value=value).first()
    if rule is None:
        account.claim_rules.create(portfolio=portfolio, kind=kind, value=value)
        under_way.count_created()
        return
    under_way.count_existing(is_changed=update_row(node, rule, {"portfolio": portfolio}, ()))
