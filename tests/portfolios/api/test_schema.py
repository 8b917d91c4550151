"""The API against its own schema: whatever is sent, it answers as it says, and never with a fault of its own."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.specs.openapi.checks import positive_data_acceptance

from portfolios.api.application import api
from portfolios.services.api_tokens import make_token
from tests.builders import (
    make_account,
    make_discrepancy,
    make_entry,
    make_incident,
    make_leg,
    make_occurrence,
    make_order,
    make_portfolio,
    make_portfolio_snapshot,
    make_run,
)
from tests.hypothesis_profiles import IS_PROVE

written = api.get_openapi_schema(path_prefix="/api/v1/")
OPERATIONS = [
    f"{method.upper()} {path}" for path, methods in written["paths"].items() for method in methods
]


@pytest.fixture(scope="module")
def schema() -> Any:
    load_all_checks()
    schema = schemathesis.openapi.from_dict(written)
    schema.app = get_wsgi_application()
    return schema


@pytest.fixture(scope="module")
def feedback(schema: Any) -> FeedbackSources:
    return FeedbackSources(constants_value_source=make_constants_value_source(schema))


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    """Make what the examples of the schema name; sign in a program that may do everything."""
    portfolio = make_portfolio(make_account(label="main"), name="alpha")
    run = make_run(portfolio.account, pk=1)
    make_leg(run, complete=False)
    order = make_order(portfolio, external_id="77")
    make_entry(portfolio, order=order, run=run)
    for taken in range(2):
        make_portfolio_snapshot(portfolio, run, cost=str(taken))
    found = make_discrepancy(portfolio.account, pk=1, order=order)
    found.events.create(episode=1, after="OPEN", run=run, at=found.first_seen)
    make_occurrence(make_incident(portfolio.account, pk=1), run, trace="Traceback")
    chief = User.objects.create_superuser("chief")
    _token, text = make_token("bot", ["read", "book", "sync"], chief)
    # It reads what is not compressed only.
    return {"Authorization": f"Bearer {text}", "Accept-Encoding": "identity"}


@settings(
    # Besides those by which it covers each limit of each parameter.
    max_examples=400 if IS_PROVE else 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def answer(case: schemathesis.Case[Any], headers: dict[str, str]) -> None:
    header = case.meta.components.get(ParameterLocation.HEADER) if case.meta else None
    if header is not None and header.mode.is_negative:
        # It is about how one signs in: with the token put in its place it would be a good request after all.
        headers = {name: value for name, value in headers.items() if name != "Authorization"}
    # The books refuse more than a schema can say: an order that was told otherwise before, or an amount of nothing.
    left_out: list[Any] = [positive_data_acceptance] if case.method == "PUT" else []
    case.call_and_validate(headers=headers, excluded_checks=left_out)


# As `schema.parametrize` does it, but not while tests are collected: it takes each process seconds.
@pytest.mark.parametrize("label", OPERATIONS)
def test_it_answers_as_its_schema_says(
    label: str, schema: Any, feedback: FeedbackSources, headers: dict[str, str]
) -> None:
    asked = build_operation_test(
        config=schema.config,
        operation=schema.find_operation_by_label(label),
        test_func=answer,
        given_kwargs={},
        feedback=feedback,
    )
    asked(headers=headers)
