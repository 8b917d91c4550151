from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from portfolios.forms import DECISION_FORMS, DecisionForm
from portfolios.models import Decision, ExchangeAccount
from portfolios.selectors.decisions import (
    SENTENCES,
    ShownChanges,
    decisions_page,
    may_decide,
    shown_changes,
)
from portfolios.selectors.listing import is_key
from portfolios.selectors.told import told
from portfolios.services.decisions import (
    KINDS,
    ChangedMeanwhile,
    Changes,
    DecisionRefused,
    Proposal,
    decide,
    preview,
    why_not,
)
from portfolios.views.requests import query_of, redirect_back

Kind = Decision.Kind


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """One decision before it is made.

    Parameters
    ----------
    changes : ShownChanges or None
        None while something is still to be entered, or where it is refused.
    refused : str
        Why it cannot be decided; empty if it can.
    """

    account: ExchangeAccount
    kind: Decision.Kind
    sentence: object
    form: DecisionForm
    needs_reason: bool
    changes: ShownChanges | None
    token: str
    refused: str
    reason: str
    next: str


@require_safe
def decisions(request: HttpRequest) -> HttpResponse:
    page = decisions_page(query_of(request), request.user)
    return render(request, "portfolios/decisions.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
def decision(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """Ask for what is missing, show what the decision would change, and make it when it was shown."""
    account = get_object_or_404(ExchangeAccount, pk=pk)
    chosen = _kind(kind)
    _refuse_strangers(request, account, chosen)
    sent = request.POST if request.method == "POST" else request.GET
    asked = DECISION_FORMS[chosen](account, data=sent)
    if request.method != "POST" and asked.visible_fields() and "look" not in sent:
        asked = DECISION_FORMS[chosen](account, initial=sent.dict())
    if not asked.is_valid():
        return _show(request, asked, chosen)
    proposal = Proposal(account, chosen, asked.given())
    if request.method == "POST":
        return _decide(request, proposal, asked)
    return _preview(request, proposal, asked)


def _kind(kind: str) -> Decision.Kind:
    if kind not in Kind.values:
        raise Http404
    return Kind(kind)


def _refuse_strangers(request: HttpRequest, account: ExchangeAccount, kind: Decision.Kind) -> None:
    what: Decision | str | None = kind
    if kind == Kind.REVERSE:
        pk = (request.POST or request.GET).get("decision", "")
        what = account.decisions.filter(pk=pk).first() if is_key(pk) else None
        if what is None:
            raise Http404
    if what is None or not may_decide(request.user, what):
        raise PermissionDenied


def _preview(request: HttpRequest, proposal: Proposal, form: DecisionForm) -> HttpResponse:
    try:
        changes = preview(proposal)
    except DecisionRefused as e:
        return _show(request, form, proposal.kind, refused=str(e))
    refused = why_not(proposal.account, is_bookless=KINDS[proposal.kind].is_bookless)
    return _show(request, form, proposal.kind, changes, refused=refused)


def _decide(request: HttpRequest, proposal: Proposal, form: DecisionForm) -> HttpResponse:
    reason, token = request.POST.get("reason", ""), request.POST.get("token", "")
    if not token:  # nobody has seen what it changes
        return _preview(request, proposal, form)
    if KINDS[proposal.kind].needs_reason and not reason.strip():
        # Blanks pass the browser's own check: what was entered must not be entered again.
        messages.error(
            request, _("A reason is missing: nobody could tell later why it was booked.")
        )
        return _preview(request, proposal, form)
    actor = request.user if request.user.is_authenticated else None
    try:
        made = decide(proposal, actor=actor, reason=reason.replace("\0", ""), token=token)
    except ChangedMeanwhile as e:
        messages.error(request, str(e))
        return _show(request, form, proposal.kind, e.changes)
    except DecisionRefused as e:
        return _show(request, form, proposal.kind, refused=str(e))
    words = {"what": made.get_kind_display(), "subject": told(made.subject)}
    messages.success(request, _("Done: %(what)s (%(subject)s).") % words)
    return redirect_back(request, proposal.account.get_absolute_url())


def _show(
    request: HttpRequest,
    form: DecisionForm,
    kind: Decision.Kind,
    changes: Changes | None = None,
    refused: str = "",
) -> HttpResponse:
    sent = request.POST or request.GET
    page = DecisionPage(
        account=form.account,
        kind=kind,
        sentence=SENTENCES[kind],
        form=form,
        needs_reason=KINDS[kind].needs_reason,
        changes=shown_changes(changes) if changes else None,
        token=changes.token(kind, form.given()) if changes else "",
        refused=refused,
        reason=sent.get("reason", ""),
        next=sent.get("next", ""),
    )
    return render(request, "portfolios/decision.html", {"page": page})
