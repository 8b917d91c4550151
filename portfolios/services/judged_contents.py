"""What was said of each asset of a snapshot, and by what: written so that the same can be reckoned again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from portfolios.amounts import amount, plain
from portfolios.models import ExchangeAccount, JudgedContent, JudgedSnapshot, StoredLeg
from portfolios.reconciliation.balances import (
    NONE,
    Evidence,
    expected_then,
    judged,
    provisional,
)
from portfolios.reconciliation.verdicts import Effect, Interval, Judgement, Verdict, Window
from portfolios.services.asset_rules import Rules
from portfolios.services.effects import expected_by_wallet
from portfolios.services.legs import leg_rows
from providers.reports import BalanceReport, LegKind, LegStatus

ZERO = Decimal(0)
Row = dict[str, Any]
Rows = dict[str, dict[str, Row]]


@dataclass(frozen=True, slots=True)
class Read:
    """One wallet as it was read; what a complete read does not list is none held."""

    held: dict[str, BalanceReport]
    complete: bool


@dataclass(frozen=True, slots=True)
class AssetJudgement:
    """What is said of one asset, as if all that happened up to the read were known.

    Parameters
    ----------
    also : tuple of str
        Other names that count as this asset.
    """

    reported: BalanceReport | None
    evidence: Evidence
    judgement: Judgement
    also: tuple[str, ...] = ()


def reads_of(run_id: int, wallets: Iterable[str]) -> dict[str, Read]:
    """Give what a run read of `wallets`, from its stored legs."""
    legs = StoredLeg.objects.filter(
        run_id=run_id,
        kind=LegKind.BALANCES,
        status=LegStatus.OBSERVED,
        subject__in=list(wallets),
    )
    return {
        leg.subject: Read(
            {row["asset"]: _report(row) for row in leg_rows(leg)}, complete=leg.complete
        )
        for leg in legs.select_related("content")
    }


def _report(row: Row) -> BalanceReport:
    free, used, total = (_amount(row[name]) for name in ("free", "used", "total"))
    return BalanceReport(row["asset"], free, used, total, row["wallet"])


def plain_row(of_asset: AssetJudgement, *, is_settled: bool) -> Row:
    """Write what is said of an asset, and of what it is said by all that neither legs nor ledger tell."""
    evidence, told = of_asset.evidence, of_asset.judgement
    said = told if is_settled else provisional(told)
    reported = of_asset.reported
    row: Row = {
        "free": _plain(reported.free if reported else ZERO),
        "used": _plain(reported.used if reported else ZERO),
        "total": _plain(evidence.total),
        "expected": plain(expected_then(evidence, told)),
        "residual": _plain(said.residual),
        "low": _plain(said.low),
        "high": _plain(said.high),
        "tolerance": plain(evidence.tolerance),
        "verdict": said.verdict.value,
        "reason": said.reason,
    }
    # Left out where there is none, and so nearly always: the same account is written by the same bytes.
    if evidence.effects:
        row["effects"] = [_plain_effect(effect) for effect in evidence.effects]
        low, high = evidence.window.low, evidence.window.high
        row["window"] = [_plain_time(low), _plain_time(high), evidence.lag.total_seconds()]
    if evidence.pending:
        row["pending"] = plain(evidence.pending)
    if evidence.on_way:
        row["on_way"] = [plain(each) for each in evidence.on_way]
    if evidence.doubt != NONE:
        row["doubt"] = [plain(evidence.doubt.low), plain(evidence.doubt.high)]
    if evidence.corrections:
        row["corrections"] = [plain(each) for each in evidence.corrections]
    if evidence.is_listed:
        row["is_listed"] = True
    if of_asset.also:
        row["also"] = list(of_asset.also)
    return row


def judgement_of(row: Row) -> Judgement:
    """Give back what a row says."""
    return Judgement(
        Verdict(row["verdict"]),
        low=_amount(row["low"]),
        high=_amount(row["high"]),
        residual=_amount(row["residual"]),
        reason=row["reason"],
    )


def store_content(account: ExchangeAccount, rows: Rows) -> JudgedContent:
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    # The account is locked: nobody else stores it in between.
    found = JudgedContent.objects.filter(account=account, digest=digest).only("digest").first()
    return found or JudgedContent.objects.create(account=account, digest=digest, rows=rows)


def recomputed(snapshot: JudgedSnapshot) -> Rows:
    """Judge a snapshot again by its legs, by the ledger as it was then, and by the effects that were known then.

    The result is what is stored, to the last byte, whatever was booked since.
    """
    stored: Rows = snapshot.content.rows if snapshot.content else {}
    reads = reads_of(snapshot.run_id, stored)
    expected = expected_by_wallet(snapshot.account, snapshot.last_entry)
    return {
        wallet: _recomputed_wallet(
            snapshot, reads.get(wallet) or Read({}, complete=False), expected[wallet], rows
        )
        for wallet, rows in stored.items()
    }


def _recomputed_wallet(
    snapshot: JudgedSnapshot, read: Read, booked: Mapping[str, Decimal], rows: dict[str, Row]
) -> dict[str, Row]:
    rules = Rules({alias: asset for asset, row in rows.items() for alias in row.get("also", ())})
    held, expected = rules.counted(read.held), rules.folded(booked)
    again = {}
    for asset, row in rows.items():
        reported = held.get(asset)
        total = ZERO if reported is None else reported.total
        evidence = _evidence(snapshot, row, total, expected.get(asset, ZERO))
        of_asset = AssetJudgement(reported, evidence, judged(evidence), tuple(row.get("also", ())))
        again[asset] = plain_row(of_asset, is_settled=snapshot.settled_at is not None)
    return again


def _evidence(
    snapshot: JudgedSnapshot, row: Row, total: Decimal | None, expected: Decimal
) -> Evidence:
    window, lag = Window(snapshot.window_low, snapshot.window_high), timedelta(0)
    if "window" in row:
        low, high, seconds = row["window"]
        window = Window(datetime.fromisoformat(low), datetime.fromisoformat(high))
        lag = timedelta(seconds=seconds)
    low, high = (amount(text) for text in row.get("doubt", ("0", "0")))
    return Evidence(
        total=total,
        expected=expected,
        window=window,
        lag=lag,
        effects=tuple(_effect(*each) for each in row.get("effects", ())),
        tolerance=amount(row["tolerance"]),
        pending=amount(row.get("pending", "0")),
        on_way=tuple(amount(text) for text in row.get("on_way", ())),
        doubt=Interval(low, high, ZERO),
        corrections=tuple(amount(text) for text in row.get("corrections", ())),
        is_listed=row.get("is_listed", False),
    )


def _plain_effect(effect: Effect) -> list[str | None]:
    return [
        _plain_time(effect.at),
        plain(effect.amount),
        effect.stream,
        _plain_time(effect.until),
    ]


def _effect(at: str | None, changed: str, stream: str, until: str | None) -> Effect:
    return Effect(_time(at), amount(changed), stream, _time(until))


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else amount(text)


def _plain_time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
