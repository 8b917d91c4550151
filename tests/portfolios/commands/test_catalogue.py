from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from providers import catalogue


def test_it_writes_what_it_then_finds_fresh_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "catalogue.json"
    monkeypatch.setattr(catalogue, "CATALOGUE_FILE", file)

    call_command("catalogue")
    call_command("catalogue", "--check")
    file.write_text(file.read_text(encoding="utf-8").replace("binance", "finance"))

    with pytest.raises(CommandError, match=r"^The catalogue is stale\."):
        call_command("catalogue", "--check")
