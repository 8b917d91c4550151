"""What may have caused the differences that stand open: proposed with its evidence, never booked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from portfolios.amounts import plain
from portfolios.models import AssetBalance, Discrepancy, ExchangeAccount
from portfolios.models.choices import Verdict
from portfolios.reconciliation.attribution import (
    SHOWN,
    Attribution,
    Candidate,
    CandidateKind,
    Explanation,
    Holding,
    Outcome,
    Part,
    Residual,
    attribute,
    independent,
)
from portfolios.reconciliation.balances import UNEXPLAINED
from portfolios.reconciliation.verdicts import Interval, quantum_of
from portfolios.services.candidates import (
    STANDING,
    ZERO,
    Scope,
    Suspect,
    movement_suspects,
    roundings,
)
from portfolios.services.discrepancies import BALANCE_CODES, Live, live_of
from portfolios.services.order_candidates import order_suspects
from providers.mapping import base_and_quote

EXPLAINED: Final = "explained: "
AMBIGUOUS: Final = "ambiguous: "
# So much work at most, shared by the groups of differences that candidates connect; no more groups than these.
_STEPS: Final = 100_000
_STEPS_OF_ONE: Final = 2_000
_MOST_GROUPS: Final = 50
_MOST_GAPS: Final = 5

Suspects = Mapping[str, Suspect]

_NOTHING: Final[tuple[Attribution, Suspects]] = (Attribution(Outcome.UNEXPLAINED), {})


def attribute_open(account: ExchangeAccount, now: datetime, live: Live | None = None) -> None:
    """Propose what may have caused the account's open balance discrepancies; writes only what has changed.

    Parameters
    ----------
    now : datetime
        When the account was judged.
    live : dict or None
        What `live_of` the account gives, if it is known.
    """
    live = live_of(account) if live is None else live
    differing = [row for row in live.values() if row.code in BALANCE_CODES]
    rows = {(row.wallet, row.asset): row for row in differing if row.state in STANDING}
    if not rows:
        return
    balances = list(account.balances.all())
    scope = Scope(
        account,
        residuals=_residuals(differing, balances),
        standing=frozenset(rows),
        quanta=_quanta(rows.values(), balances),
        since=min(row.first_seen for row in rows.values()),
        until=now,
    )
    found = _attributed(scope)
    gaps = _gaps(account)
    for holding, row in rows.items():
        attribution, suspects = found.get(holding, _NOTHING)
        _write(row, _as_json(attribution, suspects, gaps.get(row.asset, ())))


def _residuals(
    differing: Iterable[Discrepancy], balances: Iterable[AssetBalance]
) -> dict[Holding, Residual]:
    """Tell by how much each balance differs: what is only suspected may also be nothing."""
    residuals: dict[Holding, Residual] = {}
    for balance in balances:
        if balance.verdict != Verdict.VERIFIED:
            residuals[balance.wallet, balance.asset] = None
        elif balance.tolerance:
            off = balance.tolerance.copy_abs()
            residuals[balance.wallet, balance.asset] = Interval(off.copy_negate(), off, ZERO)
    for row in differing:
        if row.difference is not None:
            residuals[row.wallet, row.asset] = _residual(row)
    return residuals


def _residual(row: Discrepancy) -> Residual:
    point = row.difference
    if point is None:
        return None
    low = point if row.low is None else row.low
    high = point if row.high is None else row.high
    if row.state == Discrepancy.State.SUSPECTED:
        low, high = min(low, ZERO), max(high, ZERO)
    return low if low == high else Interval(low, high, point)


def _quanta(rows: Iterable[Discrepancy], balances: Iterable[AssetBalance]) -> dict[str, Decimal]:
    """Find the smallest unit seen of each asset."""
    seen: defaultdict[str, list[Decimal | None]] = defaultdict(list)
    for balance in balances:
        seen[balance.asset] += [balance.total, balance.free, balance.used, balance.expected]
    for row in rows:
        seen[row.asset] += [row.difference, row.book, row.exchange]
    quanta = {
        asset: quantum_of(value for value in values if value is not None)
        for asset, values in seen.items()
    }
    return {asset: quantum for asset, quantum in quanta.items() if quantum is not None}


def _attributed(scope: Scope) -> dict[Holding, tuple[Attribution, Suspects]]:
    """Attribute each group of differences that candidates connect, and say it of each of them by itself."""
    suspects = [*order_suspects(scope), *movement_suspects(scope)]
    suspects += roundings(scope, [one.candidate for one in suspects if one.is_computed])
    by_key = {suspect.candidate.key: suspect for suspect in suspects}
    groups = independent(scope.residuals, [suspect.candidate for suspect in by_key.values()])
    found: dict[Holding, tuple[Attribution, Suspects]] = {}
    steps = _STEPS // max(len(groups), 1)
    for residuals, candidates in groups[:_MOST_GROUPS]:
        joint = _search(residuals, candidates, by_key, steps)
        judged = [holding for holding, residual in residuals.items() if residual is not None]
        for holding in judged:
            one = _concerning(holding, joint)
            if joint.outcome is Outcome.UNEXPLAINED and len(judged) > 1:
                one = _by_itself(holding, residuals, candidates, by_key, steps)
            found[holding] = one, by_key
    return found


def _search(
    residuals: Mapping[Holding, Residual],
    candidates: Sequence[Candidate],
    suspects: Suspects,
    steps: int,
) -> Attribution:
    """Look for one candidate that explains all, then for several; exactly first, then as the exchange may round."""
    exact = [one for one in candidates if one.kind is not CandidateKind.ROUNDING]
    rounding = [one for one in candidates if one.kind is CandidateKind.ROUNDING]
    wanted = {holding for holding, residual in residuals.items() if _is_some(residual)}
    enough = [one for one in exact if wanted <= one.vector.keys()]
    single = _single(residuals, ([one] for one in enough)) or _single(
        residuals, ([one, *rounding] for one in enough if suspects[one.key].is_computed), suspects
    )
    if single is not None:
        return single
    found = _possible(attribute(residuals, exact, steps=steps), suspects)
    if found.outcome is not Outcome.UNEXPLAINED or not rounding:
        return found
    return _possible(attribute(residuals, candidates, steps=steps), suspects)


def _is_some(residual: Residual) -> bool:
    """Whether it cannot be zero."""
    if isinstance(residual, Interval):
        return residual.low > 0 or residual.high < 0
    return bool(residual)


def _single(
    residuals: Mapping[Holding, Residual],
    choices: Iterable[Sequence[Candidate]],
    suspects: Suspects | None = None,
) -> Attribution | None:
    """Find what explains all by itself: nothing has fewer parts, however many candidates there are."""
    tried = [attribute(residuals, choice, steps=_STEPS_OF_ONE) for choice in choices]
    found = [_possible(one, suspects) if suspects else one for one in tried]
    fitting = [explanation for one in found for explanation in one.explanations]
    return _of(fitting[:SHOWN], len(fitting)) if fitting else None


def _possible(found: Attribution, suspects: Suspects) -> Attribution:
    """Leave out what cannot be: one order that is filled in two ways, or a rounding of nothing that was computed."""
    if not found.explanations:
        return found
    kept = [one for one in found.explanations if _can_be(one, suspects)]
    if len(kept) == len(found.explanations):
        return found
    return _of(kept, len(kept))


def _can_be(explanation: Explanation, suspects: Suspects) -> bool:
    parts = [(part.candidate, suspects[part.candidate.key]) for part in explanation.parts]
    subjects = [suspect.subject for _candidate, suspect in parts if suspect.subject]
    rounded = {
        holding
        for candidate, _suspect in parts
        if candidate.kind is CandidateKind.ROUNDING
        for holding in candidate.vector
    }
    computed = {
        holding
        for candidate, suspect in parts
        if suspect.is_computed
        for holding in candidate.vector
    }
    return len(subjects) == len(set(subjects)) and rounded <= computed


def _by_itself(
    holding: Holding,
    residuals: Mapping[Holding, Residual],
    candidates: Iterable[Candidate],
    suspects: Suspects,
    steps: int,
) -> Attribution:
    """Attribute one of several differences by what moves nothing else that was judged."""
    unknown = {other for other, residual in residuals.items() if residual is None}
    own = [one for one in candidates if one.vector.keys() - unknown == {holding}]
    some: dict[Holding, Residual] = dict.fromkeys(unknown)
    return _search(some | {holding: residuals[holding]}, own, suspects, steps)


def _concerning(holding: Holding, joint: Attribution) -> Attribution:
    """Leave of explanations of several differences the parts that have to do with one of them."""
    if joint.count > len(joint.explanations):
        return joint
    distinct = {
        tuple((part.candidate.key, part.low, part.high) for part in parts): Explanation(
            parts, explanation.unchecked
        )
        for explanation in joint.explanations
        for parts in [_touching(holding, explanation.parts)]
    }
    if () in distinct:
        return joint if len(distinct) > 1 else Attribution(Outcome.UNEXPLAINED)
    return _of(list(distinct.values()), len(distinct)) if distinct else joint


def _touching(holding: Holding, parts: Iterable[Part]) -> tuple[Part, ...]:
    known = list(parts)
    reach = {
        other
        for part in known
        if holding in part.candidate.vector
        for other in part.candidate.vector
    }
    return tuple(part for part in known if reach & part.candidate.vector.keys())


def _of(explanations: Sequence[Explanation], count: int) -> Attribution:
    if not explanations:
        return Attribution(Outcome.UNEXPLAINED)
    outcome = Outcome.EXPLAINED if count == 1 else Outcome.AMBIGUOUS
    return Attribution(outcome, tuple(explanations), count)


# --- as it is stored ----------------------------------------------------------------------------


def _gaps(account: ExchangeAccount) -> dict[str, list[str]]:
    """Tell by asset which fills were never read: nobody knows what they moved, so they are no candidates."""
    code = Discrepancy.Code.FILL_COVERAGE_GAP
    gaps: defaultdict[str, list[str]] = defaultdict(list)
    for row in account.discrepancies.filter(code=code, state__in=Discrepancy.LIVE).order_by("key"):
        for asset in base_and_quote(row.symbol):
            gaps[asset].append(f"{row.symbol}: {row.cause}")
    return dict(gaps)


def _as_json(attribution: Attribution, suspects: Suspects, gaps: Sequence[str]) -> dict[str, Any]:
    shown = [one.parts for one in attribution.explanations]
    unchecked = {asset for one in attribution.explanations for _wallet, asset in one.unchecked}
    return {
        "outcome": attribution.outcome.value,
        "count": attribution.count,
        "explanations": [
            [_part_as_json(part, suspects[part.candidate.key]) for part in parts] for parts in shown
        ],
        "unchecked": sorted(unchecked),
        "gaps": list(gaps[:_MOST_GAPS]),
    }


def _part_as_json(part: Part, suspect: Suspect) -> dict[str, Any]:
    is_range = part.candidate.most is not None
    return {
        "key": part.candidate.key,
        "kind": part.candidate.kind.value,
        "says": suspect.words(part),
        "low": plain(part.low) if is_range else None,
        "high": plain(part.high) if is_range else None,
        "evidence": list(part.candidate.evidence),
    }


def _write(row: Discrepancy, attribution: dict[str, Any]) -> None:
    cause = _cause(row.cause, attribution)
    if (row.attribution, row.cause) != (attribution, cause):
        row.attribution, row.cause = attribution, cause
        row.save(update_fields=["attribution", "cause"])


def _cause(known: str, attribution: Mapping[str, Any]) -> str:
    """Say the one cause, or that there are several; else what the numbers alone say."""
    if attribution["outcome"] == Outcome.EXPLAINED:
        [parts] = attribution["explanations"]
        return (EXPLAINED + "; ".join(part["says"] for part in parts))[:200]
    if attribution["outcome"] == Outcome.AMBIGUOUS:
        return f"{AMBIGUOUS}{attribution['count']} explanations"
    return UNEXPLAINED if known.startswith((EXPLAINED, AMBIGUOUS)) else known
