from __future__ import annotations

import pytest

from providers.sandbox.server import SandboxServer
from tests.desk import Desk


@pytest.fixture
def desk(db: None, sandbox: SandboxServer) -> Desk:
    return Desk(sandbox)
