"""Count how many injected causes are named: `python -m tests.simulation.attribution` injects 1,000, or as many as told.

First into the search alone, where the truth is to try every amount of every set of candidates; then into the stored
state of accounts, of which the product has to find the candidates itself.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Final

from portfolios.reconciliation.attribution import Outcome, attribute
from tests.portfolios.reconciliation.causes import brute_force, drawn, unlike
from tests.simulation import standalone
from tests.simulation.injected import Told, told

CASES: Final = 1_000
# Of 100 whose smallest explanation is unique.
NAMED_AT_LEAST: Final = 95


def searched(cases: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for seed in range(cases):
        case = drawn(seed)
        truth = brute_force(case, len(case.cause))
        found = attribute(case.residuals, case.candidates)
        is_right = [explanation.keys for explanation in found.explanations] == truth
        is_unique = len(truth) == 1
        counts["unique"] += is_unique
        counts["named"] += is_unique and is_right
        counts["several"] += not is_unique
        counts["listed"] += not is_unique and is_right
        counts["wrong"] += found.outcome is Outcome.EXPLAINED and not is_right
        counts["ambiguous"] += found.outcome is Outcome.AMBIGUOUS and is_unique
        other = unlike(seed)
        if other is not None:
            counts["unlike"] += 1
            invented = attribute(other.residuals, other.candidates).outcome
            counts["invented"] += invented is not Outcome.UNEXPLAINED
    return counts


def is_search_good(cases: int) -> bool:
    counts = searched(cases)
    _say("injected into the search", cases)
    _say("of these with one smallest explanation", counts["unique"])
    _say("  named", counts["named"])
    _say("  told as ambiguous", counts["ambiguous"])
    _say("with several smallest explanations", counts["several"])
    _say("  all of them listed", counts["listed"])
    _say("wrong unique proposals", counts["wrong"])
    _say("causes that were no candidate", counts["unlike"])
    _say("  explained nevertheless", counts["invented"])
    is_wrong = counts["wrong"] or counts["ambiguous"] or counts["invented"]
    return not is_wrong and counts["named"] * 100 >= counts["unique"] * NAMED_AT_LEAST


def is_product_good(cases: int) -> bool:
    standalone.open_database()
    counts: dict[str, Counter[str]] = {}
    for seed in range(cases):
        cause, said = told(seed)
        counts.setdefault(cause, Counter())[said] += 1
    _say("injected into stored accounts", cases)
    for cause, of_cause in sorted(counts.items()):
        _say(cause, of_cause.total())
        for said in Told:
            _say(f"  {said}", of_cause[said])
    total = sum(counts.values(), Counter[str]())
    is_named = total[Told.NAMED] * 100 >= total.total() * NAMED_AT_LEAST
    return is_named and not total[Told.WRONG]


def _say(words: str, count: int) -> None:
    sys.stdout.write(f"{words:<40}{count:>6}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.attribution")
    parser.add_argument("cases", type=int, nargs="?", default=CASES)
    cases = parser.parse_args().cases
    return 0 if is_search_good(cases) and is_product_good(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
