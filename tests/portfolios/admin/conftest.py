from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def key_file(settings: Settings, tmp_path: Path) -> None:
    """Give each test keys of its own."""
    settings.POSSYNC_CREDENTIAL_KEY_FILE = tmp_path / "credentials.key"
