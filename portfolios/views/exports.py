from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from portfolios.models import ExchangeAccount
from portfolios.selectors.exports import MergedExport, exported, find_export
from portfolios.selectors.listing import is_key
from portfolios.selectors.report import Row

# A cell that begins so is a formula to a spreadsheet, in East Asian ones by wide characters too; a number is none.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Tells a spreadsheet that the file is UTF-8.
_MARK: Final = "\ufeff"


@require_safe
def export(request: HttpRequest, name: str, form: str) -> HttpResponseBase:
    """Stream a list as CSV or JSON: of the account that `account` names, or of all."""
    found = find_export(name)
    if found is None:
        raise Http404(_("There is no list of this name."))
    if isinstance(found, MergedExport) and not request.user.has_perm(found.permission):
        raise PermissionDenied
    rows = exported(found, _account(request))
    lines, kind = (_csv(rows), "text/csv") if form == "csv" else (_json(rows), "application/json")
    response = StreamingHttpResponse(lines, content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="possync-{name}.{form}"'
    return response


def _account(request: HttpRequest) -> ExchangeAccount | None:
    asked = request.GET.get("account", "")
    if not asked:
        return None
    if not is_key(asked):
        raise Http404(_("There is no such account."))
    return get_object_or_404(ExchangeAccount, pk=asked)


def _json(rows: Iterable[Row]) -> Iterator[str]:
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


class _Line:
    """What `csv` writes to: it gives each line back."""

    def write(self, line: str) -> str:
        return line


def _csv(rows: Iterator[Row]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield _MARK
    first = next(rows, None)
    if first is None:
        return
    yield writer.writerow(first)
    for row in chain((first,), rows):
        yield writer.writerow([cell(value) for value in row.values()])


def cell(value: Any) -> str:
    """Write a value so that no spreadsheet takes it for a formula, and every digit stays."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if not text.startswith(_FORMULA) or _is_number(text) else f"'{text}"


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-").replace(".", "", 1)
    return digits.isascii() and digits.isdecimal()
