"""What a process of the pages, or a command, loads when it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.processes import ROOT, product_environment

CHECK = "from django.core.management import execute_from_command_line as run; run(['manage.py', 'check'])"
PAGES = "import possync_site.wsgi"
ASK = "import sys; print(*sorted({'ccxt', 'ninja', 'pydantic', 'rich'} & sys.modules.keys()))"


@pytest.mark.parametrize(
    ("statements", "heavy"), [(CHECK, []), (PAGES, ["ninja", "pydantic"])], ids=["check", "pages"]
)
def test_it_loads_nothing_heavy_that_it_does_not_use(
    tmp_path: Path, statements: str, heavy: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{statements}\n{ASK}"],
        cwd=ROOT,
        env=product_environment(tmp_path, DJANGO_SETTINGS_MODULE="possync_site.settings"),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1].split() == heavy
