from __future__ import annotations

import json
import time
import zlib
from pathlib import Path

import pytest

from providers.file_cache import FileCache


def test_it_finds_what_was_saved(tmp_path: Path) -> None:
    FileCache(tmp_path / "new").save("a.json.z", {"amount": "0.1234567890123456789"})

    found = FileCache(tmp_path / "new").load("a.json.z", max_age=60)

    assert found == {"amount": "0.1234567890123456789"}


def test_it_forgets_what_is_too_old(tmp_path: Path) -> None:
    document = {"saved_at": time.time() - 61, "content": {"a": 1}}
    (tmp_path / "a").write_bytes(zlib.compress(json.dumps(document).encode()))

    assert FileCache(tmp_path).load("a", max_age=60) is None
    assert FileCache(tmp_path).load("a", max_age=120) == {"a": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not compressed",
        zlib.compress(b"not JSON"),
        zlib.compress(b"[]"),
        zlib.compress(b"null"),
        zlib.compress(b'{"content": {}}'),
        zlib.compress(b'{"saved_at": "now", "content": {}}'),
        zlib.compress(b'{"saved_at": 99999999999, "content": {}}'),
        zlib.compress(b'{"saved_at": 0, "content": []}'),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b'{"saved_at": 0, "content": {}}')[:-9],
    ],
)
def test_a_damaged_file_is_no_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    assert FileCache(tmp_path).load("a", max_age=1e12) is None


def test_a_replaced_file_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    cache.save("a", {"a": 1})
    cache.save("a", {"a": 2})

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert cache.load("a", max_age=60) == {"a": 2}


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    cache = FileCache(tmp_path / "file")

    cache.save("a", {"a": 1})

    assert cache.load("a", max_age=60) is None


def test_without_a_folder_it_keeps_nothing() -> None:
    cache = FileCache(None)

    cache.save("a", {"a": 1})

    assert cache.load("a", max_age=60) is None
