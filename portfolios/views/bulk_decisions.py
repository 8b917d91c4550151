from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from portfolios.forms import DECISION_FORMS, DecisionForm
from portfolios.models import Decision
from portfolios.selectors.bulk_decisions import Chosen, chosen
from portfolios.selectors.decisions import may_decide
from portfolios.selectors.listing import is_key
from portfolios.services.decisions import DecisionRefused
from portfolios.services.decisions.bulk import (
    FITS,
    Selection,
    SelectionChanged,
    decide_many,
    named,
    selection_of,
)
from portfolios.views.requests import actor_of, redirect_back

Kind = Decision.Kind


@dataclass(frozen=True, slots=True)
class BulkPage:
    """One decision on many discrepancies, before it is made.

    Parameters
    ----------
    form : DecisionForm or None
        What all of them are decided with; None if none of them can be decided on.
    refused : str
        Why it was not done; empty if nobody has tried.
    """

    selection: Selection
    chosen: Chosen
    form: DecisionForm | None
    refused: str
    reason: str
    next: str


@require_http_methods(["GET", "HEAD", "POST"])
def bulk_decision(request: HttpRequest) -> HttpResponse:
    """Show what a decision on the chosen rows does, and make it on all of them when it was shown."""
    sent = request.POST if request.method == "POST" else request.GET
    kind = _kind(sent.get("kind", ""))
    if not may_decide(request.user, kind):
        raise PermissionDenied
    pks = [int(pk) for pk in sent.getlist("row") if is_key(pk)]
    if not pks:
        messages.warning(request, _("Choose at least one discrepancy first."))
        return redirect("discrepancies")
    try:
        selection = selection_of(kind, pks)
    except DecisionRefused as e:
        messages.warning(request, str(e))
        return redirect("discrepancies")
    form = _form(selection, request)
    if request.method == "POST" and form is not None and form.is_valid():
        return _decide(request, selection, form)
    return _show(request, selection, form)


def _kind(kind: str) -> Decision.Kind:
    if kind not in FITS:
        raise Http404(_("This is not decided on many at once."))
    return Kind(kind)


def _form(selection: Selection, request: HttpRequest) -> DecisionForm | None:
    """Make the form of the first row: what is entered holds for all of them."""
    if not selection.fitting:
        return None
    first = selection.fitting[0]
    form = DECISION_FORMS[selection.kind]
    if request.method != "POST":
        return form(first.account, initial=named(selection.kind, first))
    return form(first.account, data=request.POST.dict() | named(selection.kind, first))


def _decide(request: HttpRequest, selection: Selection, form: DecisionForm) -> HttpResponse:
    about = named(selection.kind, selection.fitting[0])
    try:
        made = decide_many(
            selection,
            given={name: value for name, value in form.given().items() if name not in about},
            actor=actor_of(request),
            reason=request.POST.get("reason", "").replace("\0", ""),
            token=request.POST.get("token", ""),
        )
    except SelectionChanged as e:
        again = selection_of(selection.kind, [row.pk for row in selection.fitting])
        return _show(request, again, form if again.fitting else None, str(e))
    except DecisionRefused as e:
        return _show(request, selection, form, str(e))
    words = ngettext(
        "Done: %(what)s, %(count)s discrepancy.",
        "Done: %(what)s, %(count)s discrepancies.",
        len(made),
    )
    messages.success(request, words % {"what": selection.kind.label, "count": len(made)})
    return redirect_back(request, reverse("discrepancies"))


def _show(
    request: HttpRequest, selection: Selection, form: DecisionForm | None, refused: str = ""
) -> HttpResponse:
    sent = request.POST or request.GET
    page = BulkPage(
        selection=selection,
        chosen=chosen(selection),
        form=form,
        refused=refused,
        reason=sent.get("reason", ""),
        next=sent.get("next", ""),
    )
    return render(request, "portfolios/bulk_decision.html", {"page": page})
