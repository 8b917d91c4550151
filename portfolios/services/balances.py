"""Every asset of an account compared: what the exchange holds, what the books expect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import QuerySet

from portfolios.amounts import difference, exact_sum, sums_by
from portfolios.models import AssetBalance, Discrepancy, ExchangeAccount, LedgerEntry, Portfolio
from portfolios.models.choices import Severity, Verdict
from portfolios.reconciliation.balances import NEW_ASSET, Judgement, balance_cause, judgement
from portfolios.services.discrepancies import Finding, Findings, record_findings
from portfolios.services.flows import pending_sums
from portfolios.services.ledger import later_effects
from providers.reports import BalanceReport, Leg, LegKind, LegStatus

ZERO = Decimal(0)
UNREAD = "balances were not read"
NOT_LISTED = "not listed by an incomplete read"
NO_BASELINE = "the account has no baseline yet"
# What each look writes anew.
JUDGED_FIELDS = (
    "free",
    "used",
    "total",
    "expected",
    "residual",
    "verdict",
    "reason",
    "observed_at",
)


@dataclass(slots=True)
class Look:
    """One look at an account, and what it found.

    Parameters
    ----------
    expected : Mapping of str to Mapping of str to Decimal
        What the books expect of each asset, by wallet.
    is_whole : bool
        Whether every asset of every wallet could be judged.
    """

    account: ExchangeAccount
    seen_at: datetime
    expected: Mapping[str, Mapping[str, Decimal]]
    findings: Findings = field(default_factory=Findings)
    is_whole: bool = True


def observed_balances(leg: Leg) -> dict[str, BalanceReport]:
    return {row.asset: row for row in leg.rows if isinstance(row, BalanceReport)}


def balance_legs(legs: Iterable[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.kind is LegKind.BALANCES]


def expected_totals(account: ExchangeAccount) -> dict[str, Decimal]:
    """Sum what the account should hold of each asset: the sum of its portfolios and the unassigned part.

    A backtest holds nothing at an exchange.
    """
    real = account.positions.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    return sums_by(real.values_list("asset", "amount"))


def expected_by_wallet(account: ExchangeAccount) -> dict[str, dict[str, Decimal]]:
    """Tell what each wallet should hold: books are kept of the first one, the others stay as their baseline was."""
    trading, *others = account.wallets
    expected = {wallet: sums_by(_baseline_of(account, wallet)) for wallet in others}
    aside = sums_by(pair for wallet in others for pair in expected[wallet].items())
    expected[trading] = {
        asset: difference(total, aside.get(asset, ZERO))
        for asset, total in expected_totals(account).items()
    }
    return expected


def _baseline_of(account: ExchangeAccount, wallet: str) -> Iterable[tuple[str, Decimal]]:
    entries = account.ledger_entries.filter(
        cause=LedgerEntry.Cause.BASELINE, key__startswith=baseline_key(wallet)
    )
    return entries.values_list("asset", "amount")


def baseline_key(wallet: str, asset: str = "") -> str:
    return f"baseline:{wallet}:{asset}"


def judge_account(
    account: ExchangeAccount,
    legs: Iterable[Leg],
    now: datetime,
    findings: Findings | None = None,
) -> None:
    """Compare every asset of every wallet and bring verdicts and discrepancies up to date.

    What could not be read keeps its numbers and says that it is not verifiable; it resolves nothing.

    Parameters
    ----------
    findings : Findings or None
        What the same look found of orders, fills and flows.
    """
    look = Look(account, now, expected_by_wallet(account))
    read = {leg.subject: leg for leg in balance_legs(legs) if leg.status is LegStatus.OBSERVED}
    for wallet in account.wallets:
        if wallet in read:
            _judge_wallet(look, read[wallet])
        else:
            look.is_whole = False
            _mark_not_verifiable(account.balances.filter(wallet=wallet), UNREAD)
    if look.is_whole and not look.findings.found:
        account.verified_at = now
        ExchangeAccount.objects.filter(pk=account.pk).update(verified_at=now)
    _judge_claims(look)
    of_facts = findings or Findings()
    record_findings(
        account,
        [*look.findings.found, *of_facts.found],
        look.findings.judged | of_facts.judged,
        now,
    )


def _judge_wallet(look: Look, leg: Leg) -> None:
    held = observed_balances(leg)
    expected = expected_then(look.account, look.expected[leg.subject], leg)
    of_wallet = look.account.balances.filter(wallet=leg.subject)
    stored = set(of_wallet.values_list("asset", flat=True))
    agreed_before = stored - _new_assets(look.account, leg.subject)
    rows = []
    for asset in sorted(held.keys() | expected.keys() | stored):
        if asset in held or leg.complete:
            judged = _judged(look, expected.get(asset, ZERO), held.get(asset))
            judged = _pending(look, asset, judged)
            rows.append(_balance_row(look, leg.subject, asset, held.get(asset), judged))
            _note(look, leg.subject, asset, judged, known_before=asset in agreed_before)
    AssetBalance.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "wallet", "asset"],
        update_fields=JUDGED_FIELDS,
    )
    if not leg.complete:
        look.is_whole = False
        _mark_not_verifiable(of_wallet.exclude(asset__in=held), NOT_LISTED)


def expected_then(
    account: ExchangeAccount, expected: Mapping[str, Decimal], leg: Leg
) -> Mapping[str, Decimal]:
    """Tell what a wallet should have held when it was read: without what the books know to have happened later."""
    if leg.subject != account.wallets[0]:
        return expected
    read_at = leg.responded_at + timedelta(seconds=leg.clock_offset)
    later = later_effects(account, read_at)
    return {
        asset: difference(expected.get(asset, ZERO), later.get(asset, ZERO))
        for asset in sorted(expected.keys() | later.keys())
    }


def _judged(look: Look, expected: Decimal, reported: BalanceReport | None) -> Judgement:
    judged = judgement(expected, reported)
    if look.account.baseline_at is None:
        return replace(judged, residual=None, reason=NO_BASELINE)
    return judged


def _pending(look: Look, asset: str, judged: Judgement) -> Judgement:
    """Take a difference that movements on their way make up exactly as none: some exchanges count them at once."""
    if judged.residual and judged.residual in pending_sums(look.account, asset):
        expected = exact_sum((judged.expected, judged.residual))
        return replace(judged, expected=expected, residual=ZERO)
    return judged


def _balance_row(
    look: Look, wallet: str, asset: str, reported: BalanceReport | None, judged: Judgement
) -> AssetBalance:
    verdict = Verdict.NOT_VERIFIABLE
    if judged.residual is not None:
        verdict = Verdict.VERIFIED if judged.agrees else Verdict.DIFFERS
    return AssetBalance(
        account=look.account,
        wallet=wallet,
        asset=asset,
        free=reported.free if reported else ZERO,
        used=reported.used if reported else ZERO,
        total=judged.total,
        expected=judged.expected,
        residual=judged.residual,
        verdict=verdict,
        reason=judged.reason,
        observed_at=look.seen_at,
    )


def _note(look: Look, wallet: str, asset: str, judged: Judgement, *, known_before: bool) -> None:
    if judged.residual is None:
        look.is_whole = False
        return
    look.findings.judged.add(_key(wallet, asset))
    if judged.agrees:
        return
    is_short = judged.residual < 0
    look.findings.add(
        Finding(
            key=_key(wallet, asset),
            code=Discrepancy.Code.BALANCE_SHORT if is_short else Discrepancy.Code.BALANCE_SURPLUS,
            severity=Severity.ERROR if is_short else Severity.WARNING,
            wallet=wallet,
            asset=asset,
            book=judged.expected,
            exchange=judged.total,
            difference=judged.residual,
            cause=balance_cause(judged, known_before=known_before),
        )
    )


def _new_assets(account: ExchangeAccount, wallet: str) -> set[str]:
    """Assets that appeared from nowhere and have not agreed since: at the next look they are still new."""
    appeared = account.discrepancies.filter(
        state__in=Discrepancy.LIVE, wallet=wallet, cause=NEW_ASSET
    )
    return set(appeared.values_list("asset", flat=True))


def _mark_not_verifiable(balances: QuerySet[AssetBalance], reason: str) -> None:
    balances.update(verdict=Verdict.NOT_VERIFIABLE, reason=reason)


def _judge_claims(look: Look) -> None:
    """Find what the portfolios claim beyond what the account holds; a fact of the books, certain at once."""
    if look.account.baseline_at is None:
        return
    held = expected_totals(look.account)
    unassigned = look.account.positions.filter(portfolio=None).values_list("asset", "amount")
    for asset, amount in unassigned:
        key = f"alloc:{asset}"
        look.findings.judged.add(key)
        if amount < 0:
            look.findings.add(
                Finding(
                    key=key,
                    code=Discrepancy.Code.ALLOC_OVERCOMMITTED,
                    severity=Severity.ERROR,
                    asset=asset,
                    book=difference(held[asset], amount),
                    exchange=held[asset],
                    difference=amount,
                    cause="portfolios claim more than the account holds",
                    is_certain=True,
                )
            )


def _key(wallet: str, asset: str) -> str:
    return f"balance:{wallet}:{asset}"
