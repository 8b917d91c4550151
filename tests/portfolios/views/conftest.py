from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def client(db: None) -> Client:
    """Log in somebody who is no administrator."""
    client = Client()
    client.force_login(User.objects.create_user("alice"))
    return client


@pytest.fixture
def stranger(db: None) -> Client:
    return Client()
