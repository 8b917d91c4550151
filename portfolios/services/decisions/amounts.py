"""Amounts that a person books: an adjustment, and a new baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.amounts import plain, sums_by
from portfolios.models import AssetBalance, Discrepancy, ExchangeAccount, LedgerEntry, Portfolio
from portfolios.models.choices import Verdict
from portfolios.services.asset_rules import rules_of
from portfolios.services.claims import possible_owners
from portfolios.services.decisions.booking import Cause, Line, book
from portfolios.services.decisions.doing import Doing
from portfolios.services.discrepancies import resolve

NEW_BASELINE = "a new baseline was accepted"
_JUDGED = (Verdict.VERIFIED, Verdict.CONSISTENT, Verdict.DIFFERS)


def about_adjustment(doing: Doing) -> str:
    owner = _owner(doing)
    return f"{doing.given.get('asset')} of {owner or 'the unassigned part'}"


def adjust(doing: Doing) -> None:
    """Book a signed amount of one asset of a portfolio, or of the unassigned part if `portfolio` is None."""
    owner = _owner(doing)
    asset, amount = doing.given.get("asset"), doing.amount(doing.given.get("amount"))
    if not isinstance(asset, str) or not 0 < len(asset) <= 64:
        raise doing.refused(_("No asset was named."))
    if not amount:
        raise doing.refused(_("An adjustment by zero changes nothing."))
    book(doing.account, doing.decision, [Line(owner, asset, amount, Cause.ADJUSTMENT)])


def _owner(doing: Doing) -> Portfolio | None:
    if doing.given.get("portfolio") is None:
        return None
    return doing.find("portfolio", possible_owners(doing.account))


def open_residuals(account: ExchangeAccount) -> dict[str, Decimal]:
    """Tell by asset what the unassigned part would take up, where that can be accepted now."""
    rows = account.balances.filter(wallet=account.wallets[0], verdict__in=_JUDGED)
    settled = [row for row in rows.filter(provisional=False) if row.residual and _is_exact(row)]
    booked = _booked_since(account, settled)
    return {row.asset: row.residual for row in settled if row.residual and not booked[row.asset]}


def about_baseline(doing: Doing) -> str:
    residuals = doing.given.get("residuals")
    return ", ".join(sorted(residuals))[:200] if isinstance(residuals, Mapping) else ""


def rebaseline(doing: Doing) -> None:
    """Let the unassigned part take up the residuals of the last settled verdicts, which are given by asset."""
    residuals = doing.given.get("residuals")
    if not isinstance(residuals, Mapping) or not residuals:
        raise doing.refused(_("No asset was named."))
    lines = [_line(doing, asset, residuals[asset]) for asset in sorted(residuals)]
    book(doing.account, doing.decision, lines)
    wallet = doing.account.wallets[0]
    codes = (Discrepancy.Code.BALANCE_SHORT, Discrepancy.Code.BALANCE_SURPLUS)
    rows = doing.account.discrepancies.filter(
        state__in=Discrepancy.LIVE, wallet=wallet, asset__in=list(residuals), code__in=codes
    )
    for row in rows.order_by("pk"):
        resolve(row, NEW_BASELINE, timezone.now(), decision=doing.decision)


def _line(doing: Doing, asset: str, given: object) -> Line:
    row = doing.account.balances.filter(wallet=doing.account.wallets[0], asset=asset).first()
    names = {"asset": asset}
    if row is None or row.verdict not in _JUDGED or row.residual is None:
        raise doing.refused(_("%(asset)s has not been judged.") % names)
    if row.provisional or not _is_exact(row) or _is_stale(doing.account, row):
        raise doing.refused(
            _("The verdict on %(asset)s is not settled; sync the account and try again.") % names
        )
    if not row.residual or row.residual != doing.amount(given):
        names["residual"] = plain(row.residual)
        raise doing.refused(_("The difference of %(asset)s is %(residual)s by now.") % names)
    return Line(None, asset, row.residual, Cause.REBASELINE)


def _is_exact(row: AssetBalance) -> bool:
    """Whether the residual is one amount, not the likeliest of those that the moment of the read leaves open."""
    return row.residual_low == row.residual_high


def _is_stale(account: ExchangeAccount, row: AssetBalance) -> bool:
    """Whether a person has booked the asset since the balance was read: its verdict knows nothing of that."""
    return bool(_booked_since(account, [row])[row.asset])


def _booked_since(account: ExchangeAccount, rows: Sequence[AssetBalance]) -> dict[str, Decimal]:
    """Sum by asset what persons have booked of it, by any of its names, since its balance was read."""
    since = {row.asset: row.observed_at for row in rows}
    if not since:
        return {}
    aliases = rules_of(account).aliases
    entries = LedgerEntry.objects.filter(
        account=account,
        cause__in=(Cause.ADJUSTMENT, Cause.REBASELINE),
        booked_at__gte=min(since.values()),
    )
    booked = [
        (asset, amount)
        for name, at, amount in entries.values_list("asset", "booked_at", "amount")
        for asset in {name, aliases.get(name, name)}
        if asset in since and at >= since[asset]
    ]
    return dict.fromkeys(since, Decimal(0)) | sums_by(booked)
