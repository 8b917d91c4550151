from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portfolios.models import SyncRun
from portfolios.selectors.workers import workers

STAGES = (
    SyncRun.Stage.WAITING,
    SyncRun.Stage.FETCHING,
    SyncRun.Stage.APPLYING,
    SyncRun.Stage.JUDGING,
)


@dataclass(frozen=True, slots=True)
class Step:
    word: str
    state: str  # "done", "now" or "next"


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is.

    Parameters
    ----------
    refresh_url : str
        The page to bring up to date once the run is over; empty for none.
    """

    run: SyncRun
    workers_silent: bool
    refresh_url: str = ""

    @property
    def steps(self) -> list[Step]:
        here = _position(self.run)
        return [Step(str(stage.label), _step_state(i, here)) for i, stage in enumerate(STAGES)]

    @property
    def token(self) -> str:
        """What the browser has seen: as long as it stays the same, there is nothing to swap."""
        run = self.run
        seen = (run.status, run.stage, run.progress_done, run.progress_total, run.attempts)
        return "-".join(str(part) for part in (*seen, int(self.workers_silent)))


def run_progress(run: SyncRun, now: datetime, *, refresh_url: str = "") -> RunProgress:
    return RunProgress(run, run.is_open and not workers(now).alive, refresh_url)


def _position(run: SyncRun) -> int:
    return len(STAGES) if not run.is_open else STAGES.index(SyncRun.Stage(run.stage))


def _step_state(index: int, here: int) -> str:
    if index < here:
        return "done"
    return "now" if index == here else "next"
