"""What came of trials."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """`LARGE` is wider than what the reads leave open, `ONE_UNIT` one quantum of a quiet account."""

    LARGE = "large"
    ONE_FILL = "one fill"
    ONE_UNIT = "one unit"
    LOST_ORDER = "lost order"


@dataclass(frozen=True, slots=True)
class Told:
    """How one fault was noticed: after how many judged looks, None if not within six.

    Parameters
    ----------
    suspected : int or None
        Until it was looked at, at least.
    """

    opened: int | None
    suspected: int | None


@dataclass(slots=True)
class Tally:
    """What one rule made of trials.

    Attributes
    ----------
    clean_looks, false_alarms : int
        Judged looks at what was right, and those of them at which somebody was told otherwise.
    wrong_actions : int
        Changes of the books that are not what happened.
    """

    clean_looks: int = 0
    false_alarms: int = 0
    wrong_actions: int = 0
    told: dict[Fault, list[Told]] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        self.clean_looks += other.clean_looks
        self.false_alarms += other.false_alarms
        self.wrong_actions += other.wrong_actions
        for fault, told in other.told.items():
            self.told.setdefault(fault, []).extend(told)

    def missed(self, fault: Fault) -> int:
        return sum(told.opened is None for told in self.told.get(fault, ()))

    def looks_to_tell(self) -> list[int]:
        """List after how many looks faults were told, the soonest first."""
        every = (told.opened for faults in self.told.values() for told in faults)
        return sorted(looks for looks in every if looks is not None)
