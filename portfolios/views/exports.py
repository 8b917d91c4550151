from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from portfolios.models import ExchangeAccount
from portfolios.selectors.exports import export_owner, exported, find_export
from portfolios.selectors.listing import is_key
from portfolios.selectors.report import Row
from portfolios.views.requests import query_of

# A cell that begins so is a formula to a spreadsheet, in East Asian ones by wide characters too; a number is none.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Tells a spreadsheet that the file is UTF-8.
_MARK: Final = "\ufeff"


@require_safe
def export(
    request: HttpRequest, name: str, form: str, of: str = "", pk: int = 0
) -> HttpResponseBase:
    """Stream a list as CSV or JSON, of what `of` and `pk` name or of everything; its query is that of its page."""
    found, writes = find_export(of, name), _FORMS.get(form)
    owner = export_owner(of, pk) if of else None
    if found is None or writes is None or (of and owner is None):
        raise Http404(_("There is no list of this name."))
    if found.permission and not request.user.has_perm(found.permission):
        raise PermissionDenied
    _refuse_unknown_account(request)
    write, kind = writes
    rows = exported(found, owner, query_of(request), timezone.now())
    response = StreamingHttpResponse(write(rows), content_type=f"{kind}; charset=utf-8")
    about = f"{of}-{pk}-" if of else ""
    response["Content-Disposition"] = f'attachment; filename="possync-{about}{name}.{form}"'
    return response


def _refuse_unknown_account(request: HttpRequest) -> None:
    """Pages show all accounts instead; a file would not say that it holds them all."""
    asked = request.GET.get("account", "")
    if asked and not (is_key(asked) and ExchangeAccount.objects.filter(pk=asked).exists()):
        raise Http404(_("There is no such account."))


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


_FORMS: Final[Mapping[str, tuple[Callable[[Iterator[Row]], Iterator[str]], str]]] = {
    "csv": (_csv, "text/csv"),
    "json": (_json, "application/json"),
}
