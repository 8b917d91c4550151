"""What happens at the exchanges and at the desks: drawn from a seed, told in a line each."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from providers.sandbox.errors import Refused
from tests.simulation.movements import Movements
from tests.simulation.orders import Orders
from tests.simulation.place import Place


def all_acts_but(*kept: str) -> frozenset[str]:
    """Name what is not to happen, for a history of nothing else than `kept`."""
    nothing = random.Random()  # noqa: S311 - never drawn from
    return frozenset({*Orders(nothing).acts(), *Movements(nothing).acts()} - {*kept})


class World:
    """Draws what happens next.

    Parameters
    ----------
    tell : Callable
        Takes a line for the trace.
    without : frozenset of str
        Acts that never happen: for finding out which of them matters.
    """

    def __init__(
        self,
        rng: random.Random,
        places: Sequence[Place],
        tell: Callable[[str], None],
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._rng = rng
        self._places = places
        self._tell = tell
        self._movements = Movements(rng)
        acts = {**Orders(rng).acts(), **self._movements.acts()}
        kept = [(name, *acts[name]) for name in acts if name not in without]
        self._names, self._weights, self._acts = zip(*kept, strict=True)

    def act(self) -> None:
        """Let one thing happen; what the exchange refuses has not happened."""
        place = self._rng.choice(self._places)
        [number] = self._rng.choices(range(len(self._acts)), self._weights)
        try:
            said = self._acts[number](place)
        except Refused as e:
            said = f"{self._names[number]} refused: {type(e).__name__}"
        if said:
            self._tell(f"{place.label}: {said}")

    def let_drift(self) -> None:
        """Let things move without a record from now on."""
        self._movements.drifts = True

    def awaits_deposits(self) -> bool:
        return any(map(self._movements.has_announced, self._places))

    def told_by_lists_alone(self) -> bool:
        return self._movements.passed_through

    def end_what_waits(self) -> None:
        """Settle every movement: while one is under way its amount is neither here nor there."""
        for place in self._places:
            while said := self._movements.settle(place):
                self._tell(f"{place.label}: {said}")
