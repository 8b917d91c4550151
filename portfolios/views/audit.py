from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portfolios.selectors.audit import audit_page
from portfolios.views.requests import may_audit, query_of


@require_safe
@may_audit
def audit(request: HttpRequest) -> HttpResponse:
    page = audit_page(query_of(request), timezone.now())
    return render(request, "portfolios/audit.html", {"page": page})
