"""The bars that judging has to clear against known truth, and the table beside the rules of other products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final

from tests.simulation.judging.order_trials import order_trials
from tests.simulation.judging.tally import Fault, Tally
from tests.simulation.judging.trials import (
    OURS,
    RATES,
    RULES,
    clean_trial,
    fault_trial,
)

RUNS_OF_A_TRIAL: Final = 25
ONE_FILL_SHARE: Final = Decimal("0.96")


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    reached: str
    is_cleared: bool

    def __str__(self) -> str:
        return f"{'ok    ' if self.is_cleared else 'FAILED'} {self.name}: {self.reached}"


def clean(
    rate: float, runs: int, names: Iterable[str] = (OURS,), first: int = 0
) -> dict[str, Tally]:
    """Look at accounts on which all is right, until about `runs` reads are judged."""
    tallies = {name: Tally() for name in names}
    for seed in range(first, first - (-runs // RUNS_OF_A_TRIAL)):
        for name, tally in clean_trial(seed, rate, RUNS_OF_A_TRIAL, tallies).close().items():
            tallies[name].add(tally)
    return tallies


def faulty(
    rate: float, fault: Fault, count: int, names: Iterable[str] = (OURS,), first: int = 0
) -> dict[str, Tally]:
    """Let `fault` happen to `count` accounts; large ones that are not wider than the reads left open do not count."""
    tallies = {name: Tally() for name in names}
    for seed in range(first, first + count):
        trial = fault_trial(seed, rate, fault, tallies)
        if fault is Fault.LARGE and not trial.is_wide:
            continue
        for name, tally in trial.close().items():
            tallies[name].add(tally)
    return tallies


def bars(runs: int) -> Iterator[Bar]:
    """Try each bar on `runs` judged runs, and on a tenth as many faults of each kind."""
    total, per_rate = Tally(), runs // len(RATES)
    for rate in RATES:
        total.add(clean(rate, per_rate)[OURS])
    reached = f"{total.false_alarms} of {total.clean_looks}"
    yield Bar("false OPEN over clean judged runs", reached, not total.false_alarms)
    for fault in (Fault.LARGE, Fault.ONE_FILL, Fault.ONE_UNIT):
        for rate in RATES:
            tally = faulty(rate, fault, per_rate // 10)[OURS]
            total.add(tally)
            yield from _bars_of(fault, rate, tally)
    total.add(order_trials(runs // 10, (OURS,))[OURS])
    yield Bar("wrong automatic actions", str(total.wrong_actions), not total.wrong_actions)
    yield Bar(
        "false alarms with faults and lost orders", str(total.false_alarms), not total.false_alarms
    )


def _bars_of(fault: Fault, rate: float, tally: Tally) -> Iterator[Bar]:
    told, where = tally.told[fault], f"at {rate} fills/s"
    count = len(told)
    if fault is Fault.LARGE:
        first = sum(one.suspected == 1 for one in told)
        second = sum(one.opened == 2 for one in told)
        yield Bar(
            f"large, SUSPECTED at the first look {where}", f"{first} of {count}", first == count
        )
        yield Bar(
            f"large, OPEN at the second look {where}", f"{second} of {count}", second == count
        )
        return
    found = count - tally.missed(fault)
    least = ONE_FILL_SHARE * count if fault is Fault.ONE_FILL else count
    yield Bar(f"{fault}, OPEN by the sixth look {where}", f"{found} of {count}", found >= least)


def compared(runs: int) -> dict[str, Tally]:
    """Let all rules look at the same accounts and orders."""
    tallies, per_rate = {name: Tally() for name in RULES}, runs // len(RATES)
    found = [clean(rate, per_rate, RULES) for rate in RATES]
    found += [
        faulty(rate, fault, per_rate // 25, RULES)
        for fault in (Fault.LARGE, Fault.ONE_FILL, Fault.ONE_UNIT)
        for rate in RATES
    ]
    found.append(order_trials(per_rate // 25))
    for each in found:
        for name, tally in each.items():
            tallies[name].add(tally)
    return tallies


# Percent.
LEAST_SHOWN: Final = 0.1
HEADINGS: Final = (
    "rule",
    "false alarms",
    *(f"missed: {fault}" for fault in Fault),
    "wrong actions",
    "looks until told (median, worst)",
)


def table(tallies: dict[str, Tally]) -> list[tuple[str, ...]]:
    return [HEADINGS, *(_row(name, tally) for name, tally in tallies.items())]


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    looks = tally.looks_to_tell()
    return (
        name,
        _share(tally.false_alarms, tally.clean_looks),
        *(_share(tally.missed(fault), len(tally.told[fault])) for fault in Fault),
        str(tally.wrong_actions),
        f"{median(looks):g}, {looks[-1]}" if looks else "never",
    )


def _share(part: int, whole: int) -> str:
    if not part:
        return "0"
    percent = 100 * part / whole
    return f"{percent:.1f} %" if percent >= LEAST_SHOWN else f"< {LEAST_SHOWN} %"
