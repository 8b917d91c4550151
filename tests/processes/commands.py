"""Commands of the product, one after another in one process: to start Python for each costs a second of CPU.

Reads a line of JSON for each, `{"words": [...], "given": "..."}`, and answers with one: what the command printed, and
the error that it ended with, empty if none.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

import django
from django.core.management import CommandError, call_command
from django.db import connections


def carry_out(asked: dict[str, Any]) -> dict[str, str]:
    printed, error = io.StringIO(), ""
    sys.stdin = io.TextIOWrapper(io.BytesIO(asked["given"].encode()))
    try:
        with redirect_stdout(printed):
            call_command(*asked["words"])
    except CommandError as e:
        error = str(e)
    finally:
        connections.close_all()
    return {"printed": printed.getvalue(), "error": error}


def main() -> None:
    django.setup()
    for line in iter(sys.stdin.readline, ""):
        asked_from = sys.stdin
        answer = carry_out(json.loads(line))
        sys.stdin = asked_from
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
