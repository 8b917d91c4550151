from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


@pytest.fixture
def client(db: None) -> Client:
    """Log in somebody who is no administrator but may press every button."""
    alice = User.objects.create_user("alice")
    rights = [
        "add_syncrun",
        "change_exchangeaccount",
        "change_incident",
        "change_order",
        "change_portfolio",
        "change_discrepancy",
        "add_exchangeaccount",
        "add_marketcredential",
        "add_portfolio",
        "view_auditevent",
    ]
    alice.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def reader(db: None) -> Client:
    """Log in somebody who may look and nothing else."""
    client = Client()
    client.force_login(User.objects.create_user("bob"))
    return client


@pytest.fixture
def stranger(db: None) -> Client:
    return Client()
