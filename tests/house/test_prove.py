from __future__ import annotations

import subprocess

import pytest

from scripts import prove
from tests.house.processes import ROOT

PARTS = prove.parts(150) | prove.parts_on_postgres()


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_long_proof_can_be_begun(name: str) -> None:
    began = subprocess.run(
        [*PARTS[name], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "usage:" in began.stdout, began.stderr
