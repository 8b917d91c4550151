from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from portfolios.services.api_tokens import make_token


@pytest.fixture
def bot(db: None) -> Callable[..., Client]:
    """Make a program that signs in with a token of the given scopes."""

    def make(*scopes: str) -> Client:
        _token, text = make_token(f"bot of {scopes}", scopes)
        return Client(headers={"authorization": f"Bearer {text}"})

    return make
