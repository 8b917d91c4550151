"""What a soak sees of its workers all along, and what of it is not as it should be.

Growth is told by the medians of thirds: the first one warms up, the last is compared with the one before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from django.apps import apps

# What may be more in the last third than in the one before it: a part of that, and MB or tasks besides. A worker's
# first task takes some 40 MB, whenever it comes.
_GROWS: Final = 1.2
_MORE_MB: Final = 40
# What a process may take at any time, warm, with what it shares.
_MOST_MB: Final = 200
_MORE_TASKS: Final = 2
_KB: Final = 1024
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
# A process by its number and the time of its start: numbers are given again.
Process = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Parameters
    ----------
    memory : int
        MB of all processes, what they share counted once; 0 if the system does not tell.
    resident : Mapping of Process to int
        MB of each, what it shares included.
    orphans : frozenset of Process
        Those that the workers have started, and that live on although what started them has ended.
    """

    queued: int
    memory: int
    resident: Mapping[Process, int]
    orphans: frozenset[Process] = frozenset()


@dataclass(slots=True)
class Watch:
    """Looks at the workers of process `pid` and at their queue."""

    pid: int
    samples: list[Sample] = field(default_factory=list)
    _seen: set[Process] = field(default_factory=set)

    def look(self) -> None:
        table = _process_table()
        family = _family(self.pid, table)
        living = {(pid, started) for pid, (_parent, started) in table.items()}
        self._seen |= family
        self.samples.append(
            Sample(
                queued=apps.get_model("django_q", "OrmQ")._default_manager.count(),  # noqa: SLF001
                memory=sum(_kb_of_its_own(pid) for pid, _started in family) // _KB,
                resident={each: _resident_mb(each[0]) for each in family},
                orphans=frozenset((self._seen & living) - family),
            )
        )

    def left(self) -> list[Process]:
        """Give those of all that were ever seen that still live."""
        living = {(pid, started) for pid, (_parent, started) in _process_table().items()}
        return sorted(self._seen & living)


def wrong_in(samples: Sequence[Sample]) -> list[str]:
    """Say what grew, and what was left alone; nothing if all is well."""
    if len(samples) < 3:
        return [f"there were only {len(samples)} looks at the workers"]
    _first, before, last = _thirds(samples)
    found = [
        _grown("memory", "MB", _memory, before, last, _MORE_MB),
        _grown("the queue", "tasks", _queued, before, last, _MORE_TASKS),
        *_grown_processes(before, last),
        *_large_processes(samples),
    ]
    # Who is about to end is seen once; who is seen twice is there to stay.
    stayed = {each for one, other in pairwise(samples) for each in one.orphans & other.orphans}
    if stayed:
        found.append(f"{len(stayed)} processes lived on without what started them")
    return [words for words in found if words]


def table_of(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Tell of each third, in plain values."""
    names = ("first", "second", "last")
    return [
        {
            "third": name,
            "queued": median(map(_queued, third)),
            "most_queued": max(map(_queued, third)),
            "memory_mb": median(map(_memory, third)),
            "largest_mb": max((mb for row in third for mb in row.resident.values()), default=0),
            "processes": max(len(row.resident) for row in third),
            "orphans": max(len(row.orphans) for row in third),
        }
        for name, third in zip(names, _thirds(samples), strict=True)
        if third
    ]


def _queued(sample: Sample) -> int:
    return sample.queued


def _memory(sample: Sample) -> int:
    return sample.memory


def _thirds(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    cuts = [len(samples) * third // 3 for third in range(4)]
    return [samples[begin:end] for begin, end in pairwise(cuts)]


def _grown(
    what: str,
    unit: str,
    value: Callable[[Sample], int],
    before: Iterable[Sample],
    last: Iterable[Sample],
    more: int,
) -> str:
    then, now = median(map(value, before)), median(map(value, last))
    return f"{what} grew from {then:g} to {now:g} {unit}" if now > _GROWS * then + more else ""


def _grown_processes(before: Sequence[Sample], last: Sequence[Sample]) -> list[str]:
    """Tell of each process that was there in both, which of them grew."""
    in_both = {each for row in before for each in row.resident} & set(last[-1].resident)
    return [
        _grown(
            f"process {each[0]}",
            "MB",
            lambda row, each=each: row.resident[each],  # type: ignore[misc]
            [row for row in before if each in row.resident],
            [row for row in last if each in row.resident],
            _MORE_MB,
        )
        for each in sorted(in_both)
    ]


def _large_processes(samples: Sequence[Sample]) -> list[str]:
    most: dict[Process, int] = {}
    for sample in samples:
        for each, mb in sample.resident.items():
            most[each] = max(mb, most.get(each, 0))
    return [
        f"process {each[0]} took {mb} MB, more than {_MOST_MB}"
        for each, mb in sorted(most.items())
        if mb > _MOST_MB
    ]


def _process_table() -> dict[int, tuple[int, int]]:
    """Parent and start of every process that has not ended; empty where the system does not tell."""
    table = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *rest = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # ended meanwhile
        if state != "Z":
            table[int(stat.parent.name)] = (int(parent), int(rest[17]))
    return table


def _family(pid: int, table: Mapping[int, tuple[int, int]]) -> set[Process]:
    """Give a process and all that it has started."""
    found = {pid} & table.keys()
    while more := {each for each, (parent, _at) in table.items() if parent in found} - found:
        found |= more
    return {(each, table[each][1]) for each in found}


def _kb_of_its_own(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _resident_mb(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * _PAGE // _KB // _KB
