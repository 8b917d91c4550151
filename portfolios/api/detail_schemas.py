"""Shapes of what is told of one thing alone: its page, as values."""

from __future__ import annotations

from typing import Literal

from ninja import Field, Schema

from portfolios.api import schemas


class LastVerdict(Schema):
    verdict: str
    low: str | None
    high: str | None
    tolerance: str | None


class Read(Schema):
    kind: str
    subject: str | None
    status: str
    complete: bool
    why_incomplete: str | None
    error: str | None
    rows: int | None
    pages: int
    requested_at: str | None
    responded_at: str | None


class Evidence(Read):
    run: int
    content: list[dict[str, object]] = Field(description="What it told of it, redacted.")


class Point(Schema):
    at: str | None
    amount: str


class Locked(Schema):
    asset: str
    amount: str


class FullDiscrepancy(schemas.Discrepancy):
    wallet: str | None
    low: str | None
    high: str | None
    confidence: str | None
    episode: int
    opened_at: str | None
    resolved_at: str | None
    acknowledged_until: str | None
    sentence: str
    advice: str
    last_verdict: LastVerdict | None
    attribution: dict[str, object] | None = Field(description="Proposed causes.")
    evidence: list[Evidence]
    trend: list[Point]
    match: str | None = Field(description="The order of the exchange that it can only be.")
    lapse: Locked | None = Field(description="What its order would make available as lapsed.")
    decisions: list[str] = Field(description="What can be decided about it.")


class Turn(Schema):
    episode: int
    before: str | None
    after: str
    difference: str | None
    reason: str | None
    run: int | None
    decision: int | None
    by: str | None
    at: str | None


class Occurrence(Schema):
    id: int
    run: int | None
    subject: str | None
    message: str
    trace: str | None
    occurred_at: str | None


class Stage(Schema):
    stage: str
    state: str = Field(description="done, now, next or failed.")
    began_at: str | None
    ended_at: str | None


class VerdictChange(Schema):
    wallet: str
    asset: str
    before: str | None
    after: str


class DiscrepancyChange(Schema):
    id: int
    code: str
    before: str | None
    after: str
    reason: str | None


class RunChanges(Schema):
    fills: int
    flows: int
    verdicts: list[VerdictChange] | None = Field(description="null if nothing was judged.")
    discrepancies: list[DiscrepancyChange]


class FullRun(schemas.Run):
    message: str | None
    attempts: int
    waited_seconds: float
    queued_at: str | None
    stages: list[Stage]
    changes: RunChanges


class PastVerdict(Schema):
    wallet: str
    asset: str
    verdict: str
    reason: str | None
    expected: str | None
    total: str | None
    residual: str | None
    residual_low: str | None
    residual_high: str | None
    tolerance: str | None
    effects: list[str]


class Covered(Schema):
    account: str
    what: Literal["hole", "quarantine", "cursor"]
    kind: str
    subject: str | None
    status: str | None
    why: str | None
    times_seen: int | None
    last_seen: str | None
    covered_until: str | None


class AtBoth(Schema):
    before: str | None
    after: str | None
    change: str | None


class CauseSum(Schema):
    cause: str
    count: int
    amount: str


class AssetChange(Schema):
    asset: str
    amount: AtBoth
    cost: AtBoth
    causes: list[CauseSum]
    unexplained: str | None


class Comparison(Schema):
    before: schemas.Snapshot
    after: schemas.Snapshot
    figures: dict[str, AtBoth]
    assets: list[AssetChange]
    entries: list[schemas.Entry]
    entry_count: int | None = Field(description="null if they are too many to be added up.")
