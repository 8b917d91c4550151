"""A person's decision: shown before it is done, done exactly as it was shown, and noted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from portfolios.models import Decision, ExchangeAccount
from portfolios.services.accounts import disturb
from portfolios.services.claims import ClaimRefused
from portfolios.services.decisions.changes import Changes, books_of, changes_between, scope_of
from portfolios.services.decisions.doing import DecisionRefused, Doing, Proposal
from portfolios.services.decisions.kinds import KINDS, Kind, act_of, reversed_by
from portfolios.services.discrepancy_decisions import DiscrepancyRefused
from portfolios.services.lapses import LapseRefused
from portfolios.services.ledger import rewrite_reserved


class ChangedMeanwhile(DecisionRefused):
    """What would change is not what was shown; nothing has changed, and `changes` is what would change now."""

    def __init__(self, message: str, changes: Changes) -> None:
        super().__init__(message)
        self.changes = changes


def preview(proposal: Proposal) -> Changes:
    """Tell what `decide` would change: it is done, looked at and rolled back.

    Raises
    ------
    DecisionRefused
        If it is not possible, or no longer.
    """
    return _rehearse(proposal)[0]


def _rehearse(proposal: Proposal) -> tuple[Changes, Doing]:
    with transaction.atomic():
        doing = Doing(_locked(proposal), proposal.given, Decision())
        doing.decision = _noted(proposal.kind, doing)
        changes = _do(doing, proposal.kind)
        transaction.set_rollback(True)
    return changes, doing


@transaction.atomic
def decide(
    proposal: Proposal, *, actor: AbstractBaseUser | None, reason: str = "", token: str = ""
) -> Decision:
    """Do what `preview` tells, and note who did it and why.

    Parameters
    ----------
    actor : AbstractBaseUser or None
        None if no user did it, such as a command.
    token : str
        Names the changes that the person has seen; empty if nobody was shown any.

    Raises
    ------
    ChangedMeanwhile
        If what would change now is something else than what was shown.
    DecisionRefused
        If it is not possible, or no longer, or not for this account.
    """
    doing = Doing(_locked(proposal), proposal.given, Decision())
    _refuse_unless_allowed(doing, proposal.kind, reason)
    shown, rehearsed = _rehearse(proposal)
    if token and token != shown.token(proposal.kind, proposal.given):
        raise ChangedMeanwhile(
            _(
                "What this would change on account %(account)s is no longer what was shown. "
                "Nothing was changed; look at it again and decide anew."
            )
            % {"account": doing.account},
            shown,
        )
    kept = {"kept": rehearsed.kept} if rehearsed.kept else {}
    doing.decision = _noted(
        proposal.kind,
        doing,
        given={**proposal.given, **kept},
        changes=shown.as_json(),
        reason=reason.strip()[:500],
        actor_id=actor.pk if actor is not None else None,
        actor_name=actor.get_username()[:150] if actor is not None else "",
    )
    if _do(doing, proposal.kind) != shown:
        raise RuntimeError("A decision has changed something else than its dry run.")
    disturb([doing.account.pk])
    return doing.decision


def _locked(proposal: Proposal) -> ExchangeAccount:
    return ExchangeAccount.objects.select_for_update().get(pk=proposal.account.pk)


def why_not(account: ExchangeAccount, *, is_bookless: bool = False) -> str:
    """Say why nobody may decide this on `account`; empty if one may."""
    if account.policy != ExchangeAccount.Policy.STANDARD:
        return _(
            "Account %(account)s is only observed: nobody decides anything on it. "
            "Set its policy to standard first."
        ) % {"account": account}
    if account.read_only_because and not is_bookless:
        return _(
            "Nothing is booked on account %(account)s: %(why)s. Restore its books first, then decide."
        ) % {"account": account, "why": account.read_only_because}
    return ""


def _refuse_unless_allowed(doing: Doing, kind: Decision.Kind, reason: str) -> None:
    act = act_of(doing, kind)
    if why := why_not(doing.account, is_bookless=act.is_bookless):
        raise DecisionRefused(why)
    if KINDS[kind].needs_reason and not reason.strip():
        raise doing.refused(_("A reason is missing: nobody could tell later why it was booked."))


def _noted(kind: Decision.Kind, doing: Doing, **values: Any) -> Decision:
    # It is stored, and read by others.
    with _refusals(), translation.override(settings.LANGUAGE_CODE):
        subject = KINDS[kind].about(doing)[:200]
    reverses = None
    if kind == Kind.REVERSE:
        reverses = reversed_by(doing).decision
        if Decision.objects.filter(reverses=reverses).exists():
            raise doing.refused(_("This decision has been taken back already."))
    return Decision.objects.create(
        account=doing.account, kind=kind, subject=subject, reverses=reverses, **values
    )


def _do(doing: Doing, kind: Decision.Kind) -> Changes:
    scope = scope_of(doing.account, doing.given)
    before = books_of(scope)
    with _refusals():
        KINDS[kind].do(doing)
    rewrite_reserved(doing.account)
    changes = changes_between(before, books_of(scope), scope)
    if changes.totals_changed and not act_of(doing, kind).changes_totals:
        raise doing.refused(
            _("It would change what the account is expected to hold of %(assets)s.")
            % {"assets": ", ".join(changes.totals_changed)}
        )
    return changes


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (ClaimRefused, LapseRefused, DiscrepancyRefused) as e:
        raise DecisionRefused(str(e)) from None
    except ValidationError as e:  # a sum that is longer than any amount may be
        raise DecisionRefused(" ".join(e.messages)) from None
