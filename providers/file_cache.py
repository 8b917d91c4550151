"""What may be forgotten at any time, kept in files for the next process."""

from __future__ import annotations

import json
import os
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, Final

# A cached file is ours, but not beyond being damaged: it may not fill the memory.
_MAX_BYTES: Final = 256 * 1024 * 1024


class FileCache:
    """JSON documents, compressed, with the time at which each was saved.

    Parameters
    ----------
    folder : Path or None
        Made if missing; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, name: str, max_age: float) -> dict[str, Any] | None:
        """Find what was saved under `name` at most `max_age` seconds ago.

        A file that is missing, damaged, from the future or of another shape counts as none.
        """
        if self._folder is None:
            return None
        try:
            packed = (self._folder / name).read_bytes()
            document = json.loads(zlib.decompressobj().decompress(packed, _MAX_BYTES))
            age = time.time() - document["saved_at"]
            content = document["content"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError, zlib.error):
            return None
        return content if 0 <= age <= max_age and isinstance(content, dict) else None

    def save(self, name: str, content: dict[str, Any]) -> None:
        """Replace `name` at once; a folder that cannot be written is no error."""
        if self._folder is None:
            return
        document = json.dumps({"saved_at": time.time(), "content": content})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(zlib.compress(document.encode()))
            Path(temporary).replace(self._folder / name)
        except OSError:
            return
