"""One discrepancy, one run, one comparison: all that its page shows, as plain values."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Final

from portfolios.amounts import plain
from portfolios.models import SyncRun
from portfolios.selectors.comparison import AssetChange, Comparison
from portfolios.selectors.decisions import discrepancy_offers
from portfolios.selectors.discrepancy import DiscrepancyPage, LastVerdict
from portfolios.selectors.discrepancy_evidence import Evidence
from portfolios.selectors.progress import STAGES, Step, run_progress
from portfolios.selectors.report import Row, discrepancy_row, run_row, time_text
from portfolios.selectors.rows import entry_row, leg_row, snapshot_row, text_of
from portfolios.selectors.run_changes import RunChanges, run_changes

_FIGURES: Final = ("unallocated", "pending", "net_size", "value_at_cost")


def full_discrepancy_row(page: DiscrepancyPage) -> Row:
    found = page.discrepancy
    return {
        "id": found.pk,
        **discrepancy_row(found),
        "wallet": found.wallet or None,
        "low": text_of(found.low),
        "high": text_of(found.high),
        "confidence": found.confidence or None,
        "episode": found.episode,
        "opened_at": time_text(found.opened_at),
        "resolved_at": time_text(found.resolved_at),
        "acknowledged_until": time_text(found.acknowledged_until),
        "sentence": page.sentence,
        "advice": str(page.advice),
        "last_verdict": _last_verdict(page.verdict),
        "attribution": found.attribution or None,
        "evidence": [_evidence(one) for one in page.evidence],
        "trend": [{"at": time_text(x.at), "amount": plain(x.amount)} for x in page.trend.points],
        "match": page.match.external_id if page.match else None,
        "lapse": {"asset": page.lapse.asset, "amount": plain(page.lapse.amount)}
        if page.lapse
        else None,
        "decisions": [offer.kind.value for offer in discrepancy_offers(found)],
    }


def _last_verdict(said: LastVerdict | None) -> Row | None:
    if said is None:
        return None
    return {
        "verdict": said.verdict,
        "low": text_of(said.low),
        "high": text_of(said.high),
        "tolerance": text_of(said.tolerance),
    }


def _evidence(one: Evidence) -> Row:
    return leg_row(one.leg) | {"run": one.leg.run_id, "content": json.loads(one.rows or "[]")}


def full_run_row(run: SyncRun, now: datetime) -> Row:
    steps = zip(STAGES, run_progress(run, now).steps, strict=True)
    return run_row(run) | {
        "message": run.message or None,
        "attempts": run.attempts,
        "waited_seconds": run.waited_seconds,
        "queued_at": time_text(run.queued_at),
        "stages": [_stage(stage.value, step) for stage, step in steps],
        "changes": _changes(run_changes(run)),
    }


def _stage(name: str, step: Step) -> Row:
    return {
        "stage": name,
        "state": step.state,
        "began_at": time_text(step.began_at),
        "ended_at": time_text(step.ended_at),
    }


def _changes(changes: RunChanges) -> Row:
    verdicts = changes.verdicts
    return {
        "fills": changes.fills,
        "flows": changes.flows,
        "verdicts": None
        if verdicts is None
        else [
            {"wallet": x.wallet, "asset": x.asset, "before": x.before or None, "after": x.after}
            for x in verdicts
        ],
        "discrepancies": [
            {
                "id": turn.discrepancy_id,
                "code": turn.discrepancy.code,
                "before": turn.before or None,
                "after": turn.after,
                "reason": turn.reason or None,
            }
            for turn in changes.turns
        ],
    }


def comparison_row(found: Comparison) -> Row:
    figures = zip(_FIGURES, found.figures, strict=True)
    return {
        "before": snapshot_row(found.before.snapshot),
        "after": snapshot_row(found.after.snapshot),
        "figures": {
            name: _at_both(figure.before, figure.after, figure.change) for name, figure in figures
        },
        "assets": [_asset(change) for change in found.assets],
        "entries": [entry_row(entry) for entry in found.entries],
        "entry_count": found.entry_count,
    }


def _at_both(before: Decimal | None, after: Decimal | None, change: Decimal | None) -> Row:
    return {"before": text_of(before), "after": text_of(after), "change": text_of(change)}


def _asset(change: AssetChange) -> Row:
    return {
        "asset": change.asset,
        "amount": _at_both(change.before, change.after, change.change),
        "cost": _at_both(change.cost_before, change.cost_after, change.cost_change),
        "causes": [
            {"cause": part.cause.value, "count": part.count, "amount": plain(part.amount)}
            for part in change.causes
        ],
        "unexplained": text_of(change.unexplained),
    }
