from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    summary: str
    parameters: list[tuple[str, str, str]]
    fields: list[tuple[str, str]]
    answers: list[str]


class OwnDocs(DocsBase):
    """The API's own page: rendered here, without a script or a file of another host."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        schema = api.get_openapi_schema()
        context = {
            "operations": list(_operations(schema)),
            "schema_url": self.get_openapi_url(api, kwargs),
        }
        return render(request, "portfolios/api.html", context)


def _operations(schema: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            yield Operation(
                method=method.upper(),
                path=path,
                summary=_(told.get("description", told["summary"])),
                parameters=[_parameter(one) for one in told.get("parameters", [])],
                fields=_body(schema, told),
                answers=[str(status) for status in told["responses"]],
            )


def _parameter(told: dict[str, Any]) -> tuple[str, str, str]:
    """Name a parameter, where it stands, and what it means in the reader's language."""
    return told["name"], told["in"], _in_words(told.get("description", ""))


def _in_words(text: str) -> str:
    return (
        _(text) if text else ""
    )  # an empty text has the head of the catalogue for its translation


def _body(schema: dict[str, Any], told: dict[str, Any]) -> list[tuple[str, str]]:
    if "requestBody" not in told:
        return []
    reference = told["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    properties = schema["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
    return [(name, _in_words(field.get("description", ""))) for name, field in properties.items()]
