"""What may have happened unseen on an account: movements, transfers, other names of an asset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from portfolios.amounts import difference, exact_mul, plain, sums_by
from portfolios.models import Discrepancy, ExchangeAccount, Flow
from portfolios.reconciliation.attribution import Candidate, CandidateKind, Holding, Part, Residual
from portfolios.reconciliation.flows import flow_effect
from portfolios.services.discrepancies import BALANCE_CODES
from portfolios.services.fills import denied_fills, denied_key
from portfolios.services.ledger import flow_report, parts_of_fill
from providers.reports import FlowKind, FlowReport, FlowStatus

ZERO: Final = Decimal(0)
STANDING: Final = (Discrepancy.State.OPEN, Discrepancy.State.ACKNOWLEDGED)
# Of each kind no more than the newest of these are thought of.
MOST: Final = 50
# So many quanta at most may have been rounded otherwise.
_MOST_ROUNDED: Final = 3
# So long before a difference was first seen the other side of a transfer may have left.
_LONGEST_WAY: Final = timedelta(days=14)
# The two records of one transfer are no further apart.
_ABOUT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be explained on one account.

    Parameters
    ----------
    residuals : Mapping of Holding to Residual
        Of all that does not agree exactly; None where it could not be judged.
    standing : frozenset of Holding
        Those that an explanation is wanted for.
    quanta : Mapping of str to Decimal
        The smallest unit seen of each asset.
    since, until : datetime
        From when the oldest difference was first seen until it was judged last.
    """

    account: ExchangeAccount
    residuals: Mapping[Holding, Residual]
    standing: frozenset[Holding]
    quanta: Mapping[str, Decimal]
    since: datetime
    until: datetime

    @property
    def wallet(self) -> str:
        """Where the account trades."""
        return str(self.account.wallets[0])

    @property
    def assets(self) -> list[str]:
        return sorted({asset for _wallet, asset in self.standing})

    def exactly(self, holding: Holding) -> Decimal | None:
        """Tell the residual if it is known to the last digit."""
        residual = self.residuals.get(holding, ZERO)
        return residual if isinstance(residual, Decimal) else None

    def wanted(self) -> Iterator[tuple[Holding, Decimal]]:
        """Give what an explanation is wanted for and is known to the last digit."""
        for holding in sorted(self.standing):
            residual = self.exactly(holding)
            if residual:
                yield holding, residual


@dataclass(frozen=True, slots=True)
class Suspect:
    """A candidate, and how to say in words that it happened.

    Parameters
    ----------
    is_computed : bool
        Whether its amounts were computed by us: the exchange may have rounded them otherwise.
    subject : str
        What it is about, if only one of several candidates of the same can be true.
    """

    candidate: Candidate
    words: Callable[[Part], str]
    is_computed: bool = False
    subject: str = ""


def always(text: str) -> Callable[[Part], str]:
    """Say the same whatever the amount."""
    return lambda _part: text


def movement_suspects(scope: Scope) -> list[Suspect]:
    """Give all that may have moved without an order."""
    return [
        *_unsettled_flows(scope),
        *_undone_fills(scope),
        *_between_wallets(scope),
        *_other_wallets(scope),
        *_between_accounts(scope),
        *_records_elsewhere(scope),
        *_aliases(scope),
    ]


def _unsettled_flows(scope: Scope) -> Iterator[Suspect]:
    """Give what the exchange records, but not as done, or in words that are not known."""
    unsettled = Q(status__in=[FlowStatus.PENDING, ""]) | Q(kind=FlowKind.OTHER)
    is_back = Q(status=FlowStatus.FAILED)
    flows = scope.account.flows.filter(
        (unsettled & ~is_back) | (is_back & Q(kind=FlowKind.WITHDRAWAL)), in_baseline=False
    )
    for flow in flows.order_by("-pk")[:MOST]:
        moved = _unbooked(flow_report(flow))
        yield Suspect(
            Candidate(
                f"flow:{flow.pk}",
                CandidateKind.FLOW,
                {(flow.wallet, asset): amount for asset, amount in moved.items()},
                (_record(flow),),
            ),
            always(_flow_words(flow) % _facts(flow)),
        )


def _undone_fills(scope: Scope) -> Iterator[Suspect]:
    """Give the fills that the exchange tells no more: what they moved may have been moved back."""
    denied = scope.account.discrepancies.filter(
        state__in=Discrepancy.LIVE, code=Discrepancy.Code.FILL_LOCAL_ONLY
    )
    keys = list(denied.values_list("key", flat=True)[:MOST])
    for fill in denied_fills(scope.account, keys, scope.until):
        moved = sums_by(pair for part in parts_of_fill(fill) for pair in part.items())
        facts = {"id": fill.external_id, "amount": plain(fill.amount), "symbol": fill.symbol}
        yield Suspect(
            Candidate(
                denied_key(fill.pk),
                CandidateKind.FILL,
                {(scope.wallet, asset): amount.copy_negate() for asset, amount in moved.items()},
                (_("the exchange tells the fill no more"),),
            ),
            always(_("fill %(id)s of %(amount)s %(symbol)s was undone") % facts),
        )


def _flow_words(flow: Flow) -> str:
    if flow.kind == FlowKind.OTHER:
        return _("movement %(id)s of %(amount)s %(asset)s, of unknown kind, counts")
    if flow.status == FlowStatus.FAILED:
        return _("%(kind)s %(id)s of %(amount)s %(asset)s failed, and has not come back")
    if (flow.kind, flow.status) == (FlowKind.WITHDRAWAL, FlowStatus.PENDING):
        return _("%(kind)s %(id)s of %(amount)s %(asset)s has not left yet")
    return _("%(kind)s %(id)s of %(amount)s %(asset)s counts, though it is not recorded as done")


def _unbooked(flow: FlowReport) -> dict[str, Decimal]:
    """Tell by what the balances differ from the books if they count `flow` the other way."""
    kind = FlowKind.TRANSFER if flow.kind is FlowKind.OTHER else flow.kind
    done = flow_effect(replace(flow, kind=kind, status=FlowStatus.DONE))
    booked = flow_effect(flow)
    if booked == done:
        return {asset: amount.copy_negate() for asset, amount in booked.items()}
    return {asset: difference(amount, booked.get(asset, ZERO)) for asset, amount in done.items()}


def _facts(flow: Flow) -> dict[str, str]:
    return {
        "kind": flow.kind,
        "id": flow.external_id,
        "amount": plain(flow.amount),
        "asset": flow.asset,
    }


def _record(flow: Flow) -> str:
    at = f"{flow.occurred_at:%Y-%m-%d %H:%M} UTC" if flow.occurred_at else _("time not told")
    return f"{flow.kind} {flow.external_id}, {plain(flow.amount)} {flow.asset}, {at}"


def _between_wallets(scope: Scope) -> Iterator[Suspect]:
    """Give the opposite differences of one asset in two wallets."""
    for one, other in combinations(scope.wanted(), 2):
        (wallet, asset), amount = one
        (target, same), opposite = other
        if asset == same and amount == opposite.copy_negate():
            source, target = (wallet, target) if amount < 0 else (target, wallet)
            text = _("%(amount)s %(asset)s were moved from %(source)s to %(target)s") % {
                "amount": plain(amount.copy_abs()),
                "asset": asset,
                "source": source,
                "target": target,
            }
            vector = {one[0]: amount, other[0]: opposite}
            key = f"transfer:{source}:{target}:{asset}"
            evidence = (_("opposite differences of the same size in both wallets"),)
            yield Suspect(Candidate(key, CandidateKind.TRANSFER, vector, evidence), always(text))


def _other_wallets(scope: Scope) -> Iterator[Suspect]:
    """Give the recorded transfers that only one of two wallets was booked for."""
    wanted = dict(scope.wanted())
    flows = scope.account.flows.filter(
        kind=FlowKind.TRANSFER, status=FlowStatus.DONE, asset__in=scope.assets, in_baseline=False
    )
    for flow in flows.order_by("-pk")[:MOST]:
        for (wallet, asset), amount in wanted.items():
            is_other_side = amount == flow.amount.copy_negate()
            if asset == flow.asset and wallet != flow.wallet and is_other_side:
                text = _("the other side of transfer %(id)s, which is recorded in %(wallet)s")
                yield Suspect(
                    Candidate(
                        f"side:{flow.pk}:{wallet}",
                        CandidateKind.TRANSFER,
                        {(wallet, asset): amount},
                        (_record(flow),),
                    ),
                    always(text % {"id": flow.external_id, "wallet": flow.wallet}),
                )


def _between_accounts(scope: Scope) -> Iterator[Suspect]:
    """Give the opposite differences of one asset on other accounts; neither side is booked by it."""
    others = Discrepancy.objects.filter(
        account__sandbox=scope.account.sandbox,
        code__in=BALANCE_CODES,
        state__in=STANDING,
        asset__in=scope.assets,
    ).exclude(account=scope.account)
    rows = list(others.select_related("account").order_by("-pk")[:MOST])
    for (wallet, asset), amount in scope.wanted():
        for row in rows:
            is_exact = row.low == row.high
            if is_exact and (row.asset, row.difference) == (asset, amount.copy_negate()):
                evidence = _("%(account)s: %(difference)s %(asset)s in %(wallet)s since %(since)s")
                facts = {
                    "account": row.account.label,
                    "difference": plain(amount.copy_negate()),
                    "asset": asset,
                    "wallet": row.wallet,
                    "since": f"{row.first_seen:%Y-%m-%d %H:%M} UTC",
                }
                yield _from_account(
                    row.account, (wallet, asset), amount, row.wallet, evidence % facts
                )


def _records_elsewhere(scope: Scope) -> Iterator[Suspect]:
    """Give what other accounts record as sent or received, of the same size, and this one has no record of."""
    wanted = dict(scope.wanted())
    flows = Flow.objects.filter(
        account__sandbox=scope.account.sandbox,
        asset__in=scope.assets,
        amount__in=[amount.copy_negate() for amount in wanted.values()],
        occurred_at__range=(scope.since - _LONGEST_WAY, scope.until),
    ).exclude(Q(account=scope.account) | Q(status=FlowStatus.FAILED))
    moving = [FlowKind.WITHDRAWAL, FlowKind.DEPOSIT, FlowKind.TRANSFER, FlowKind.OTHER]
    # What left here after it last agreed had not come there before.
    possible = flows.exclude(amount__negative=False, occurred_at__lt=scope.since - _ABOUT)
    recorded = possible.filter(kind__in=moving).select_related("account").order_by("-pk")[:MOST]
    for flow in recorded:
        for holding, amount in wanted.items():
            is_opposite = (holding[1], amount) == (flow.asset, flow.amount.copy_negate())
            if is_opposite and not _is_met(scope.account, flow):
                yield _from_account(flow.account, holding, amount, f"flow:{flow.pk}", _record(flow))


def _is_met(account: ExchangeAccount, flow: Flow) -> bool:
    """Whether the account has its own record of the other side."""
    if flow.occurred_at is None:
        return False
    about = (flow.occurred_at - _ABOUT, flow.occurred_at + _ABOUT)
    opposite = account.flows.filter(asset=flow.asset, amount=flow.amount.copy_negate())
    return opposite.filter(occurred_at__range=about).exists()


def _from_account(
    other: ExchangeAccount, holding: Holding, amount: Decimal, what: str, evidence: str
) -> Suspect:
    words = _("%(amount)s %(asset)s came from account %(account)s")
    if amount < 0:
        words = _("%(amount)s %(asset)s went to account %(account)s")
    wallet, asset = holding
    return Suspect(
        Candidate(
            f"transfer:account {other.pk}:{what}:{wallet}:{asset}",
            CandidateKind.TRANSFER,
            {holding: amount},
            (evidence,),
        ),
        always(
            words % {"amount": plain(amount.copy_abs()), "asset": asset, "account": other.label}
        ),
    )


def _aliases(scope: Scope) -> Iterator[Suspect]:
    """Give the opposite differences of two assets one of whose names contains the other, such as LDBTC and BTC."""
    for one, other in combinations(scope.wanted(), 2):
        (wallet, asset), amount = one
        (same, name), opposite = other
        longer, shorter = sorted((asset, name), key=len, reverse=True)
        is_like = len(longer) > len(shorter) and shorter in longer
        if wallet == same and is_like and amount == opposite.copy_negate():
            text = _("%(longer)s may be another name of %(shorter)s") % {
                "longer": longer,
                "shorter": shorter,
            }
            evidence = (_("opposite differences of the same size"),)
            vector = {one[0]: amount, other[0]: opposite}
            key = f"alias:{wallet}:{longer}:{shorter}"
            yield Suspect(Candidate(key, CandidateKind.ALIAS, vector, evidence), always(text))


def roundings(scope: Scope, computed: Iterable[Candidate]) -> list[Suspect]:
    """Give what the exchange may have cut off of amounts that we computed: of each up to a quantum."""
    touched: dict[Holding, int] = {}
    for candidate in computed:
        for holding in candidate.vector:
            touched[holding] = touched.get(holding, 0) + 1
    found = []
    for (wallet, asset), times in touched.items():
        quantum = scope.quanta.get(asset)
        if quantum is None:
            continue
        for sign in (1, -1):
            candidate = Candidate(
                f"rounding:{wallet}:{asset}:{sign}",
                CandidateKind.ROUNDING,
                {(wallet, asset): Decimal(sign)},
                most=exact_mul(quantum, Decimal(min(times, _MOST_ROUNDED))),
            )
            text = _("the exchange rounded %(asset)s otherwise") % {"asset": asset}
            found.append(Suspect(candidate, always(text)))
    return found
