from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.portfolios.views.pages import user_of_every_button


@pytest.fixture
def client(db: None) -> Client:
    return user_of_every_button()


@pytest.fixture
def reader(db: None) -> Client:
    """Log in somebody who may look and nothing else."""
    client = Client()
    client.force_login(User.objects.create_user("bob"))
    return client


@pytest.fixture
def stranger(db: None) -> Client:
    return Client()
