from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portfolios.management.soak_samples import Sample, Watch, wrong_in
from tests.portfolios.commands.command_line import Manage


@pytest.mark.processes
def test_workers_left_alone_with_a_bad_exchange_keep_the_books_true(tmp_path: Path) -> None:
    done = Manage(tmp_path / "data", tmp_path)(
        "soak", "--minutes", "0.33", "--accounts", "3", "--json"
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["runs"] >= 3
    assert told["faults"] >= 1
    assert [row["third"] for row in told["thirds"]] == ["first", "second", "last"]
    assert all(row["memory_mb"] > 0 and row["processes"] >= 4 for row in told["thirds"][1:])
    assert told["wrong"] == []


def seen(count: int, **last: Any) -> list[Sample]:
    """Give flat looks, of which those of the last third are otherwise."""
    flat = Sample(queued=1, memory=200, resident={(7, 1): 100})
    return [flat] * (2 * count) + [replace(flat, **last)] * count


def test_what_is_flat_is_not_wrong() -> None:
    assert wrong_in(seen(5)) == []


def test_a_single_peak_is_no_growth() -> None:
    samples = seen(5)
    samples[-1] = replace(samples[-1], queued=50, memory=900)

    assert wrong_in(samples) == []


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ({"memory": 300}, "memory grew from 200 to 300 MB"),
        ({"queued": 9}, "the queue grew from 1 to 9 tasks"),
        ({"resident": {(7, 1): 180}}, "process 7 grew from 100 to 180 MB"),
        ({"orphans": frozenset({(8, 1)})}, "1 processes lived on without what started them"),
    ],
)
def test_what_grows_or_is_left_alone_is_told(last: dict[str, Any], words: str) -> None:
    assert wrong_in(seen(5, **last)) == [words]


def test_a_process_that_was_large_at_any_time_is_told() -> None:
    samples = seen(5)
    samples[2] = replace(samples[2], resident={(7, 1): 201})

    assert wrong_in(samples) == ["process 7 took 201 MB, more than 200"]


def test_a_process_that_takes_the_number_of_another_one_has_not_grown() -> None:
    assert wrong_in(seen(5, resident={(7, 2): 180})) == []


def test_who_is_about_to_end_is_no_orphan_yet() -> None:
    samples = seen(5)
    samples[7] = replace(samples[7], orphans=frozenset({(8, 1)}))

    assert wrong_in(samples) == []


def test_workers_that_nobody_looked_at_prove_nothing() -> None:
    assert wrong_in([]) == ["there were only 0 looks at the workers"]


@pytest.mark.django_db
def test_a_process_whose_parent_has_ended_is_an_orphan() -> None:
    words = ["sh", "-c", "sleep 60 & echo $!; read _line"]
    parent = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    watch = Watch(os.getpid())
    watch.look()
    try:
        parent.stdin.close()
        parent.wait()
        watch.look()

        assert watch.samples[0].orphans == frozenset()
        assert orphan in {pid for pid, _started in watch.samples[1].orphans}
    finally:
        os.kill(orphan, signal.SIGKILL)
        parent.stdout.close()
