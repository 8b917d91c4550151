"""Run one history, or many: `python -m tests.simulation SEED [COUNT]`."""

from __future__ import annotations

import os
import sys
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

from django.db import connection

from tests.simulation.history import History

if __name__ == "__main__":
    connection.creation.create_test_db(verbosity=0, serialize=False)
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    without = frozenset(sys.argv[3].split(",")) if len(sys.argv) > 3 else frozenset()
    began, failed = time.perf_counter(), 0
    for seed in range(first, first + count):
        outcome = History(seed, without=without).run()
        if count == 1:
            print(outcome, outcome.digest, sep="\n")
        elif outcome.wrong:
            failed += 1
            print(seed, *outcome.wrong[:4], sep="\n   ")
    print(f"{failed} of {count} failed, {(time.perf_counter() - began) / count:.2f} s each")
