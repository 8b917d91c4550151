from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from portfolios.models import JudgedSnapshot, SyncRun
from portfolios.selectors.verdicts import verdicts_page


@require_safe
def verdicts(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what was said of each asset by what run `pk` read, reckoned again."""
    snapshots = JudgedSnapshot.objects.select_related("account", "content", "run")
    page = verdicts_page(get_object_or_404(snapshots, run=get_object_or_404(SyncRun, pk=pk)))
    return render(request, "portfolios/verdicts.html", {"page": page})
