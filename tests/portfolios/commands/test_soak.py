from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.portfolios.commands.command_line import Manage


@pytest.mark.processes
def test_workers_left_alone_with_a_bad_exchange_keep_the_books_true(tmp_path: Path) -> None:
    done = Manage(tmp_path / "data", tmp_path)("soak", "--minutes", "0.33", "--accounts", "3")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["runs"] >= 3
    assert told["wrong"] == []
