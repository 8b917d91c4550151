"""How fast a market may be asked, by all processes together.

A budget is time: a request uses up what ccxt's own throttler reckons it to be worth, its cost times the market's
`rateLimit`, and passing time gives it back. All that has to be known of one is the moment up to which it is used up.
A process takes a block of several requests at once, so that not every request is a write to where budgets are kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import math
from collections import defaultdict
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Final, Protocol
from urllib.parse import urlsplit

# Seconds of a budget that may be saved up, or ccxt's cheapest reads would wait for each other.
BURST: Final = 1.0
# Kraken counts to 15 for each key and takes off one in three seconds, which is ccxt's cost of a private read.
_BURSTS: Final = {"kraken": 15.0}
# Their private reads are counted for each key or user, whatever address they come from, say their documentations.
_COUNTED_BY_KEY: Final = frozenset({"kraken", "okx"})
# Seconds taken at once, if that is more than two requests: a settled account is read by two.
_BLOCK: Final = 1.0
# Seconds: what an exchange asks for beyond that is taken as a day.
LONGEST_HOLD: Final = 86_400.0


class BudgetStore(Protocol):
    """Where budgets are kept; may block. Times are seconds from now, so that nobody's clock has to be right."""

    def reserve(self, names: Sequence[str], seconds: float, burst: float) -> float:
        """Use up `seconds` of every budget of `names`, and tell in how many seconds they may be spent.

        Parameters
        ----------
        burst : float
            Seconds by which that may lie in the past: what was saved up. The answer is negative then.
        """

    def hold(self, name: str, seconds: float) -> None:
        """Let nothing of the budget be spent for `seconds`; never shortens another hold."""


class MemoryBudgets:
    """Budgets of this process alone."""

    def __init__(self) -> None:
        self._used_until: dict[str, float] = {}
        self._lock = Lock()

    def reserve(self, names: Sequence[str], seconds: float, burst: float) -> float:
        with self._lock:
            used = (self._used_until.get(name, 0.0) for name in names)
            now = monotonic()
            start = max(now - burst, *used)
            self._used_until.update(dict.fromkeys(names, start + seconds))
        return start - now

    def hold(self, name: str, seconds: float) -> None:
        with self._lock:
            until = monotonic() + seconds
            self._used_until[name] = max(self._used_until.get(name, 0.0), until)


@dataclass(frozen=True, slots=True)
class Pacing:
    """How requests keep within what a market allows.

    Parameters
    ----------
    egress : str
        Names the address that requests leave from; hosts behind one address have the same.
    everywhere : bool
        Whether what answers on this machine is asked at the market's pace as well.
    """

    store: BudgetStore = field(default_factory=MemoryBudgets)
    egress: str = ""
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Budgets:
    """The names of the budgets that an account's requests use up.

    Parameters
    ----------
    place : str
        Of everything that this address asks of the market.
    key : str
        Of what is asked with the account's key, from wherever; empty if that is not known.
    """

    market: str
    place: str
    key: str = ""

    def of(self, *, private: bool) -> tuple[str, ...]:
        if not private or not self.key:
            return (self.place,)
        return (self.key,) if self.market in _COUNTED_BY_KEY else (self.place, self.key)

    @property
    def refused(self) -> str:
        """The budget that an exchange speaks of when it asks for fewer requests."""
        return self.key if self.key and self.market in _COUNTED_BY_KEY else self.place

    @property
    def burst(self) -> float:
        return _BURSTS.get(self.market, BURST)


@dataclass(slots=True)
class Block:
    """A part of some budgets that is this process's to spend, from `at` to `ends` by its monotonic clock."""

    at: float
    ends: float


Blocks = MutableMapping[tuple[str, ...], Block]


class Pacer:
    """Tells the requests of one event loop when they may go."""

    def __init__(self, store: BudgetStore, blocks: Blocks) -> None:
        self._store = store
        self._blocks = blocks
        self._locks: defaultdict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def wait(
        self, names: tuple[str, ...], seconds: float, burst: float, longest: float = math.inf
    ) -> float:
        """Use up `seconds` of the budgets, and tell in how many seconds the request may go; 0 for at once.

        Parameters
        ----------
        longest : float
            Seconds; who would have to wait for longer will not send anything, and so uses up nothing.
        """
        async with self._locks[names]:
            now = monotonic()
            block = self._blocks.get(names) or Block(0.0, 0.0)
            # The last request of a block may have been dearer than what was left of it.
            owed = max(0.0, block.at - block.ends)
            # What nobody spent in time is gone, or every process could save up.
            block.at = max(block.at, now - burst)
            if block.at >= block.ends:
                block = await self._taken(names, max(_BLOCK, 2 * seconds), owed, burst)
            wait = max(0.0, block.at - now)
            if wait <= longest:
                block.at += seconds
            return wait

    async def hold(self, name: str, seconds: float) -> None:
        """Let nobody spend the budget for `seconds`."""
        for names in [names for names in self._blocks if name in names]:
            self._blocks.pop(names, None)
        held = min(max(seconds, 0.0), LONGEST_HOLD)
        await asyncio.to_thread(self._store.hold, name, held)

    async def _taken(
        self, names: tuple[str, ...], seconds: float, owed: float, burst: float
    ) -> Block:
        starts_in = await asyncio.to_thread(self._store.reserve, names, owed + seconds, burst)
        starts = monotonic() + starts_in
        block = self._blocks[names] = Block(starts + owed, starts + owed + seconds)
        return block


def place_name(market: str, endpoint: str, *, sandbox: bool) -> str:
    """Name the site that is asked: the market's own, its test network, or what stands in for it."""
    where = hashlib.sha256(endpoint.encode()).hexdigest()[:16] if endpoint else ""
    return " ".join(filter(None, (market, "sandbox" if sandbox else "", where)))


def budget_name(place: str, egress: str) -> str:
    """Name the budget of what is asked of `place` from the address `egress`."""
    return f"{place} from {egress}" if egress else place


def has_rate_limit(endpoint: str) -> bool:
    """Whether the market is asked itself; what answers on this machine (practice, a recording) limits nobody."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
