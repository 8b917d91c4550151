"""`python manage.py` as a person types it: another process, and nothing set but the data folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.house.processes import ROOT, product_environment


class Manage:
    def __init__(self, data_folder: Path, cwd: Path) -> None:
        self.cwd = cwd
        self.data_folder = data_folder

    def __call__(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(args),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **self._place(),
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command(args),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self._place(),
        )

    def _command(self, args: tuple[str, ...]) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), *args]

    def _place(self) -> dict[str, Any]:
        return {"cwd": self.cwd, "env": product_environment(self.data_folder)}
