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
    state: str  # "done", "now", "next" or, where a run has ended too early, "failed"


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
        broke_off = not self.run.is_open and here < len(STAGES)
        words = [str(stage.label) for stage in STAGES]
        return [Step(word, _step_state(i, here, broke_off)) for i, word in enumerate(words)]

    @property
    def token(self) -> str:
        """What the browser has seen: as long as it stays the same, there is nothing to swap."""
        run = self.run
        seen = (run.status, run.stage, run.progress_done, run.progress_total, run.attempts)
        return "-".join(str(part) for part in (*seen, int(self.workers_silent)))


def run_progress(run: SyncRun, now: datetime, *, refresh_url: str = "") -> RunProgress:
    return RunProgress(run, run.is_open and not workers(now).alive, refresh_url)


def _position(run: SyncRun) -> int:
    stage = SyncRun.Stage(run.stage)
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _step_state(index: int, here: int, broke_off: bool) -> str:
    if index != here:
        return "done" if index < here else "next"
    return "failed" if broke_off else "now"
