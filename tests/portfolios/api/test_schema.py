"""The API against its own schema: whatever is sent, it answers as it says, and never with a fault of its own."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from portfolios.api.application import api
from portfolios.services.api_tokens import make_token
from tests.builders import make_account, make_order, make_portfolio

schema = schemathesis.openapi.from_dict(api.get_openapi_schema(path_prefix="/api/v1/"))
schema.app = get_wsgi_application()


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    make_order(make_portfolio(make_account(label="main"), name="alpha"), external_id="77")
    _token, text = make_token("bot", ["read", "book", "sync"])
    # It reads what is not compressed only.
    return {"Authorization": f"Bearer {text}", "Accept-Encoding": "identity"}


@schema.parametrize()
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_answers_as_its_schema_says(
    case: schemathesis.Case[Any], headers: dict[str, str]
) -> None:
    # A parameter that nobody knows is ignored, as everywhere on the web.
    case.call_and_validate(headers=headers, excluded_checks=[negative_data_rejection])
